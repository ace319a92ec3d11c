"""Recipes: every setting of a run, typed, with its default and what it does.

A recipe holds choices only. A stage runs where its section is present. Fields marked PLACEMENT say where and how
fast to run, and are outside a stage's identity: changing them never invalidates what is stored.

Rejected: one flat namespace of options (nobody can say which stage an option belongs to), and settings with
interpolation (a recipe must read as what it does).
"""

from thinkscale.config.base import PLACEMENT, Settings, identity_of
from thinkscale.config.collect import (
    CatalogueSourceSettings,
    CollectSettings,
    FileSourceSettings,
    HubSourceSettings,
    LabSourceSettings,
    SourceSettings,
)
from thinkscale.config.engines import (
    AnthropicEngineSettings,
    EndpointSettings,
    EngineSettings,
    LocalEngineSettings,
    OpenAIEngineSettings,
    RemoteEngineSettings,
    ScriptedEngineSettings,
    engine_name,
)
from thinkscale.config.evaluate import EvaluateSettings
from thinkscale.config.label import LabelSettings
from thinkscale.config.recipe import Recipe, recipe_source, shipped_recipes
from thinkscale.config.report import ReportSettings
from thinkscale.config.select import SelectSettings
from thinkscale.config.student import LoraSettings, PreferSettings, StudentSettings, TrainingSection, TrainSettings
from thinkscale.config.teach import GenerateSettings, GradeSettings

__all__ = [
    "PLACEMENT",
    "AnthropicEngineSettings",
    "CatalogueSourceSettings",
    "CollectSettings",
    "EndpointSettings",
    "EngineSettings",
    "EvaluateSettings",
    "FileSourceSettings",
    "GenerateSettings",
    "GradeSettings",
    "HubSourceSettings",
    "LabSourceSettings",
    "LabelSettings",
    "LocalEngineSettings",
    "LoraSettings",
    "OpenAIEngineSettings",
    "PreferSettings",
    "Recipe",
    "RemoteEngineSettings",
    "ReportSettings",
    "ScriptedEngineSettings",
    "SelectSettings",
    "Settings",
    "SourceSettings",
    "StudentSettings",
    "TrainSettings",
    "TrainingSection",
    "engine_name",
    "identity_of",
    "recipe_source",
    "shipped_recipes",
]
