"""A recipe as a whole, and the shipped ones."""

from importlib.resources import files
from pathlib import Path

from pydantic import Field

from thinkscale.config.base import Settings
from thinkscale.config.collect import CollectSettings
from thinkscale.config.evaluate import EvaluateSettings
from thinkscale.config.label import LabelSettings
from thinkscale.config.report import ReportSettings
from thinkscale.config.select import SelectSettings
from thinkscale.config.student import StudentSettings, TrainSettings
from thinkscale.config.teach import GenerateSettings, GradeSettings
from thinkscale.errors import ConfigError


class Recipe(Settings):
    """A whole run. A stage without a section does not run."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    seed: int = Field(default=42, ge=0, lt=2**32)
    student: StudentSettings | None = None
    collect: CollectSettings | None = None
    generate: GenerateSettings | None = None
    grade: GradeSettings | None = None
    label: LabelSettings | None = None
    select: SelectSettings | None = None
    train: TrainSettings | None = None
    evaluate: EvaluateSettings | None = None
    report: ReportSettings = Field(default_factory=ReportSettings)

    @property
    def the_student(self) -> StudentSettings:
        """The student of a recipe with a stage that needs one. ConfigError where the recipe names none."""
        if self.student is None:
            raise ConfigError(f"the recipe {self.name!r} has no section `student`, which its stages need")
        return self.student


def shipped_recipes() -> dict[str, str]:
    """Name to text of every recipe in the package."""
    folder = files("thinkscale.recipes")
    return {
        item.name.removesuffix(".yaml"): item.read_text(encoding="utf-8")
        for item in sorted(folder.iterdir(), key=lambda item: item.name)
        if item.name.endswith(".yaml")
    }


def recipe_source(name: str) -> tuple[str, str]:
    """The text of a shipped recipe or of a YAML file, and what to call it in messages."""
    shipped = shipped_recipes()
    if name in shipped:
        return shipped[name], f"{name}.yaml"
    path = Path(name)
    if path.is_file():
        try:
            return path.read_text(encoding="utf-8"), name
        except UnicodeDecodeError as error:
            raise ConfigError(f"{name} is not a recipe in UTF-8: {error}") from error
    raise ConfigError(
        f"there is no recipe {name!r}: it is neither shipped ({', '.join(shipped)}) nor a file; "
        "`thinkscale list recipes` says what each does"
    )
