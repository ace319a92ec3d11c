"""Settings of the labels."""

from typing import Literal, Self

from pydantic import Field, model_validator

from thinkscale.config.asking import AskingSettings
from thinkscale.config.base import PLACEMENT, Settings
from thinkscale.config.engines import EngineSettings


class QuestionnaireSettings(Settings):
    """A model that is asked something of every question."""

    engine: EngineSettings = Field(description="the model that labels")
    questions_per_request: int = Field(
        default=1, ge=1, le=100, description="questions that share a request; what is not answered is asked alone"
    )
    max_tokens: int = Field(default=1024, ge=1, description="of a request, thinking included")
    temperature: float = Field(default=0.0, ge=0, description="0 is greedy")
    thinks: bool = Field(default=False, description="true: a model of token ids thinks before it answers")
    batch: bool = Field(
        default=False,
        description="through the provider's batch API: slower, at half the price",
        json_schema_extra=PLACEMENT,
    )


class DomainSettings(QuestionnaireSettings):
    """The class (MSC, first level) and the subject of each question by a model."""

    relabel: bool = Field(default=False, description="true: also questions whose source gives a domain")


class RatingSettings(QuestionnaireSettings):
    """The difficulty of each question on a scale from 1 to 10 by a model."""

    samples: int = Field(default=1, ge=1, description="ratings of each question, whose mean is the label")

    @model_validator(mode="after")
    def _samples_differ(self) -> Self:
        """Greedy answers to one prompt are one answer."""
        if self.samples > 1 and self.temperature == 0:
            raise ValueError(
                f"samples is {self.samples}, but at temperature 0 they are all the same; raise one of them"
            )
        return self


class LabelSettings(AskingSettings):
    """Domain, difficulty by a model's rating, by weak models' attempts, and by the length of the trace."""

    problems: Literal["correct_trace", "all"] = Field(
        default="correct_trace",
        description="which problems are labelled: those with a correct trace (all, where there are no traces), or all",
    )
    domain: DomainSettings | None = Field(default=None, description="a classifier; only what sources say if not given")
    rating: RatingSettings | None = Field(default=None, description="a rater of difficulty from 1 to 10")
    weak_models: tuple[EngineSettings, ...] = Field(
        default=(), description="a problem that any of these solves is too easy to teach with"
    )
    weak_samples: int = Field(default=1, ge=1, description="attempts of each weak model at each problem")
    weak_temperature: float = Field(default=0.05, ge=0, description="s1 used 0.05")
    weak_max_tokens: int = Field(default=8192, ge=1, description="an answer that is cut off counts as not solved")
    thinking_format: Literal["s1", "think_tags", "sky_t1"] | None = Field(
        default=None,
        description="how models of token ids mark their thinking; as the student if not given, s1 without a student",
    )
    tokenizer: str | None = Field(
        default=None,
        description="counts the tokens of traces: `lab`, a folder or a Hub id; as the responses state if not given",
    )
    responses: str | None = Field(
        default=None, description="a file of traces, in a recipe without `generate`; relative to the recipe's folder"
    )
    grades: str | None = Field(default=None, description="a file of grades of those traces")
    labels: tuple[str, ...] = Field(
        default=(), description="files of labels (problem_id, name, value) that are taken as they are and go first"
    )
