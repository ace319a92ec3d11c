"""Settings of the selection."""

from pydantic import Field

from thinkscale.config.base import Settings


class SelectSettings(Settings):
    """The training set: s1's quality, difficulty and diversity."""

    count: int = Field(default=1000, ge=1, description="examples, exactly")
    ngram_words: int = Field(default=8, ge=2, description="words of a shared n-gram that marks contamination")
    duplicate_containment: float = Field(
        default=0.5, gt=0, le=1, description="share of a question's n-grams in another that makes it a duplicate"
    )
    min_trace_tokens: int = Field(default=50, ge=0, description="shorter thinking is dropped")
    max_trace_tokens: int = Field(default=32768, ge=1, description="longer thinking is dropped")
    drop_solved: bool = Field(default=True, description="drop what a weak model solves")
