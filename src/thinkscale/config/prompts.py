"""Settings of how a model is asked."""

from pydantic import Field

from thinkscale.config.base import Settings


class TemplateSettings(Settings):
    """A prompt template of one's own."""

    text: str = Field(
        min_length=1,
        description="the user turn, with {question}, {options} (of a choice) and {program} (what the tests of a "
        "program need) in their places; all else stands as it is",
    )
    answer: str = Field(
        description="how an answer is written under it, with {answer} in its place, such as \\boxed{{answer}}; the "
        "grader must be able to read it. Empty where the template does not say"
    )
    system: str = Field(default="", description="the system turn; none if not given")
