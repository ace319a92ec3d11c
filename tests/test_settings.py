import math
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from thinkscale.errors import ConfigError, DataError
from thinkscale.settings import dump_settings, load_settings, settings_table


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Device(StrEnum):
    CPU = "cpu"
    CUDA = "cuda"


class Files(Closed):
    type: Literal["files"] = "files"
    path: Path
    size: int | None = None


class Hub(Closed):
    type: Literal["hub"] = "hub"
    dataset: str
    size: int = 1000


Source = Annotated[Files | Hub, Field(discriminator="type")]


class Collect(Closed):
    sources: tuple[Source, ...] = (Hub(dataset="a/b"), Hub(dataset="c/d", size=5))
    extra: Source | None = None


class Train(Closed):
    """Training."""

    epochs: int = Field(default=3, ge=1, description="Passes over the data.")
    learning_rate: float = 1e-5
    device: Device = Device.CPU
    shuffle: bool = True
    betas: tuple[float, float] = (0.9, 0.95)
    out: Path | None = None

    @model_validator(mode="after")
    def _check(self) -> "Train":
        if self.epochs > 100:
            raise ValueError("more than 100 epochs is a mistake")
        return self


class Sweep(Closed):
    budgets: tuple[int | Literal["none"], ...] = (500, "none")
    waits: dict[str, tuple[str, ...]] = {}
    models: Mapping[str, Train] = {}


class Recipe(Closed):
    name: str
    seed: int = 42
    prompt: str = ""
    train: Train = Field(default_factory=Train)
    long: Train = Train(epochs=9)
    collect: Collect = Collect()
    sweep: Sweep = Field(default_factory=Sweep)


def load(text: str, *overrides: str) -> Recipe:
    return load_settings(Recipe, text, overrides, name="lab.yaml").value


FULL = """\
name: lab
train:
  epochs: 5
  learning_rate: 1e-5
  device: cuda
  shuffle: false
  betas: [0, 0.5]
  out: runs/x
collect:
  sources:
    - type: files
      path: pool.jsonl
    - {type: hub, dataset: on}
sweep:
  budgets: [500, none]
  waits:
    yes: [Wait]
  models:
    tiny: {epochs: 2}
"""


def test_yaml_becomes_typed_settings() -> None:
    value = load(FULL)
    assert value.train.learning_rate == 1e-5
    assert value.train.device is Device.CUDA
    assert value.train.betas == (0.0, 0.5)
    assert value.train.out == Path("runs/x")
    assert value.collect.sources == (Files(path=Path("pool.jsonl")), Hub(dataset="on"))
    assert value.sweep.budgets == (500, "none")
    assert value.sweep.waits == {"yes": ("Wait",)}
    assert value.sweep.models["tiny"].epochs == 2


class Anything(Closed):
    x: Any


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-5", 1e-5),
        ("1E5", 1e5),
        (".5", 0.5),
        ("-1.", -1.0),
        ("+3", 3),
        ("0x1F", 31),
        ("0o17", 15),
        ("010", 10),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("No", "No"),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("'1'", "1"),
        ("!!str 1", "1"),
        ("1.2.3", "1.2.3"),
        ("e5", "e5"),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, expected: object) -> None:
    found = load_settings(Anything, f"x: {text}").value.x
    assert found == expected
    assert type(found) is type(expected)


def test_anchors_and_merges_work_and_own_keys_win() -> None:
    text = "name: x\nlong: &base\n  epochs: 7\n  shuffle: false\ntrain:\n  epochs: 8\n  <<: *base\n"
    loaded = load_settings(Recipe, text, ["train.shuffle=true"], name="lab.yaml")
    assert (loaded.value.train.epochs, loaded.value.train.shuffle, loaded.value.long.shuffle) == (8, True, False)
    assert loaded.origins["train.epochs"] == "lab.yaml:6"
    assert loaded.origins["long.shuffle"] == "lab.yaml:4"


MISTAKES = [
    ("name: x\ntrain:\n  epoch: 3\n", "lab.yaml:3: train.epoch is not a setting; did you mean train.epochs?"),
    ("name: x\ntrain:\n\n  epochs: three\n", 'lab.yaml:4: train.epochs must be an integer, not "three"'),
    ('name: x\ntrain: {epochs: "3"}\n', 'lab.yaml:2: train.epochs must be an integer, not "3"'),
    ("name: x\ntrain: {epochs: 3.0}\n", "lab.yaml:2: train.epochs must be an integer, not 3.0"),
    ("name: x\ntrain: {epochs: true}\n", "lab.yaml:2: train.epochs must be an integer, not true"),
    ("name: x\ntrain: {epochs: 0}\n", "lab.yaml:2: train.epochs must be greater than or equal to 1, not 0"),
    ("name: x\ntrain: {shuffle: yes}\n", 'lab.yaml:2: train.shuffle must be true or false, not "yes"'),
    ("name: x\ntrain: {learning_rate: fast}\n", 'lab.yaml:2: train.learning_rate must be a number, not "fast"'),
    (
        "name: x\ntrain: {device: cuba}\n",
        "lab.yaml:2: train.device must be 'cpu' or 'cuda', not \"cuba\"; did you mean cuda?",
    ),
    ("name: x\ntrain: {betas: 1}\n", "lab.yaml:2: train.betas must be a list, not 1"),
    ("name: x\ntrain: {betas: [1]}\n", "lab.yaml:2: train.betas.1 is missing, and has no default"),
    ("name: x\ntrain:\n  betas:\n    - 1\n    - a\n", 'lab.yaml:5: train.betas.1 must be a number, not "a"'),
    ("name: x\ntrain: {epochs: 101}\n", "lab.yaml:2: train: more than 100 epochs is a mistake"),
    ("name: x\ntrain: 3\n", "lab.yaml:2: train must be a group of settings, not 3"),
    ("name: x\ntrain: null\n", "lab.yaml:2: train must be a group of settings, not null"),
    ("name: 7\n", "lab.yaml:1: name must be a string, not 7 (put it in quotes)"),
    ("seed: 7\n", "lab.yaml:1: name is missing, and has no default"),
    ("", "lab.yaml:1: name is missing, and has no default"),
    ("name: x\nepochs: 3\n", "lab.yaml:2: epochs is not a setting; did you mean train.epochs or long.epochs?"),
    (
        "name: x\nzzzz: 3\n",
        "lab.yaml:2: zzzz is not a setting; the settings are name, seed, prompt, train, long, collect, sweep",
    ),
    (
        "name: x\nsweep:\n  zzzz: 3\n",
        "lab.yaml:3: sweep.zzzz is not a setting; the settings of sweep are budgets, waits, models",
    ),
    (
        "name: x\ncollect:\n  sources:\n    - type: hub\n      dataset: d\n      sise: 3\n",
        "lab.yaml:6: collect.sources.0.sise is not a setting; did you mean collect.sources.0.size?",
    ),
    (
        "name: x\ncollect:\n  sources:\n    - {type: hub, dataset: d}\n    - {type: hub, dataset: 3}\n",
        "lab.yaml:5: collect.sources.1.dataset must be a string, not 3 (put it in quotes)",
    ),
    (
        "name: x\ncollect:\n  sources:\n    - {type: hup}\n",
        'lab.yaml:4: collect.sources.0.type must be one of files, hub, not "hup"; did you mean hub?',
    ),
    (
        "name: x\ncollect:\n  extra: {dataset: d}\n",
        "lab.yaml:3: collect.extra.type is missing; it must be one of files, hub",
    ),
    (
        "name: x\ncollect:\n  extra: {type: hub, dataset: d, path: p}\n",
        "lab.yaml:3: collect.extra.path is not a setting; the settings of collect.extra are type, dataset, size",
    ),
    (
        "name: x\nsweep:\n  budgets: [500, 2.5]\n",
        "lab.yaml:3: sweep.budgets.1 must be an integer or 'none', not 2.5",
    ),
    (
        "name: x\nsweep:\n  budgets: [500, nine]\n",
        "lab.yaml:3: sweep.budgets.1 must be an integer or 'none', not \"nine\"; did you mean none?",
    ),
    (
        "name: x\nsweep: {models: {tiny: {epoch: 1}}}\n",
        "lab.yaml:2: sweep.models.tiny.epoch is not a setting; did you mean sweep.models.tiny.epochs?",
    ),
    ("name: x\nseed: 1\nname: y\n", "lab.yaml:3: name is given twice (first in line 1)"),
    ("name: x\ntrain: {epochs: 1, epochs: 2}\n", "lab.yaml:2: train.epochs is given twice (first in line 2)"),
    ("name: x\ntrain: {epochs: [}\n", "lab.yaml:2: not valid YAML: expected the node content, but found '}'"),
    ("name: x\n\ttrain: 1\n", "lab.yaml:2: not valid YAML: found character '\\t' that cannot start any token"),
    ("name: x\n---\nname: y\n", "lab.yaml:2: not valid YAML: but found another document"),
    ("name: *gone\n", "lab.yaml:1: not valid YAML: found undefined alias 'gone'"),
    ("name: &a [*a]\n", "lab.yaml:1: name.0 contains itself"),
    (
        "name: !!python/object:os.system x\n",
        "lab.yaml:1: name is 'x' with the tag tag:yaml.org,2002:python/object:os.system, which cannot be read",
    ),
    ("name: !!int x\n", "lab.yaml:1: name is 'x' with the tag tag:yaml.org,2002:int, which cannot be read"),
    ("[a, b]: x\n", "lab.yaml:1: the name of a setting must be a word, not a list or a group"),
    ("- name\n", 'lab.yaml:1: the file must be a group of settings, not ["name"]'),
    ("three\n", 'lab.yaml:1: the file must be a group of settings, not "three"'),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_a_mistake_is_named_with_file_line_and_path(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert str(caught.value) == message


def test_every_mistake_is_listed_in_the_order_of_the_file() -> None:
    text = "seed: x\ntrain:\n  epoch: 3\n  shuffle: 1\nnam: y\n"
    with pytest.raises(ConfigError) as caught:
        load(text, "train.betas=3", "sed=1", "train.device=cpu=1")
    assert str(caught.value).splitlines() == [
        "lab.yaml:1: name is missing, and has no default",
        'lab.yaml:1: seed must be an integer, not "x"',
        "lab.yaml:3: train.epoch is not a setting; did you mean train.epochs?",
        "lab.yaml:4: train.shuffle must be true or false, not 1",
        "lab.yaml:5: nam is not a setting; did you mean name?",
        "--set train.betas=3: train.betas must be a list, not 3",
        "--set sed=1: sed is not a setting; did you mean seed?",
        "--set train.device=cpu=1: train.device must be 'cpu' or 'cuda', not \"cpu=1\"; did you mean cpu?",
    ]


@pytest.mark.parametrize(
    ("override", "path", "expected"),
    [
        ("seed=7", "seed", 7),
        ("train.learning_rate=3", "train.learning_rate", 3.0),
        ("train.learning_rate=2e-4", "train.learning_rate", 2e-4),
        ("train.betas=[1, 2]", "train.betas", (1.0, 2.0)),
        ("train.betas.1=0.5", "train.betas", (0.9, 0.5)),
        ("train.out=a=b", "train.out", Path("a=b")),
        ("train.out=", "train.out", None),
        ("train={epochs: 4}", "train.epochs", 4),
        ("long.shuffle=false", "long.epochs", 9),
        ("collect.sources.1.size=6", "collect.sources.1", Hub(dataset="c/d", size=6)),
        ("collect.sources.1.size=6", "collect.sources.0", Hub(dataset="a/b")),
        ("collect.extra={type: hub, dataset: d}", "collect.extra.dataset", "d"),
        ("sweep.budgets=[none]", "sweep.budgets", ("none",)),
        ("sweep.waits.two=[Wait, Hmm]", "sweep.waits", {"two": ("Wait", "Hmm")}),
        ("sweep.models.tiny.epochs=4", "sweep.models", {"tiny": Train(epochs=4)}),
        ('name="3"', "name", "3"),
    ],
)
def test_an_override_changes_what_it_names_alone(override: str, path: str, expected: object) -> None:
    value: Any = load("name: x\n", override)
    for key in path.split("."):
        value = value[int(key)] if key.isdecimal() else getattr(value, key)
    assert value == expected


def test_later_overrides_win_and_reach_into_earlier_ones() -> None:
    value = load(FULL, "train={epochs: 4}", "train.epochs=6", "train.epochs=7", "collect.sources.0.path=other")
    assert value.train == Train(epochs=7)
    assert value.collect.sources[0] == Files(path=Path("other"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epoch=3", "train.epoch is not a setting; did you mean train.epochs?"),
        ("trian.epochs=3", "trian is not a setting; did you mean train?"),
        ("train.epochs=three", 'train.epochs must be an integer, not "three"'),
        ('train.epochs="3"', 'train.epochs must be an integer, not "3"'),
        ("name=3", "name must be a string, not 3 (put it in quotes)"),
        ("train.epochs.x=3", "train.epochs is 5, with nothing below it to set"),
        ("seed.x=3", "seed is 42, with nothing below it to set"),
        ("collect.sources.2.size=3", "collect.sources has 2 items, counted from 0, and none is 2"),
        ("collect.sources.x.size=3", "collect.sources has 2 items, counted from 0, and none is x"),
        ("collect.sources.0.sise=3", "collect.sources.0.sise is not a setting; did you mean collect.sources.0.size?"),
        (
            "collect.sources.0.dataset=d",
            "collect.sources.0.dataset is not a setting; the settings of collect.sources.0 are type, path, size",
        ),
        ("train.epochs", "write it as a.b=value"),
        ("=3", "write it as a.b=value"),
        ("train..epochs=3", "write it as a.b=value"),
        ("seed=[", "not valid YAML: expected the node content, but found '<stream end>'"),
        ("train={epochs: 1, epochs: 2}", "epochs is given twice (first in line 1)"),
    ],
)
def test_a_wrong_override_is_named(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(FULL, override)
    assert str(caught.value) == f"--set {override}: {message}"


def test_every_setting_knows_where_it_came_from() -> None:
    text = "name: x\ntrain:\n  epochs: 5\ncollect:\n  sources:\n    - type: hub\n      dataset: d\n"
    loaded = load_settings(Recipe, text, ["train.betas=[1,2]", "long.shuffle=false"], name="lab.yaml")
    origins = loaded.origins
    assert origins["name"] == "lab.yaml:1"
    assert origins["train.epochs"] == "lab.yaml:3"
    assert origins["train.learning_rate"] == "default of Train"
    assert origins["train.betas"] == "--set train.betas=[1,2]"
    assert origins["long.epochs"] == "default of Recipe"
    assert origins["long.learning_rate"] == "default of Train"
    assert origins["long.shuffle"] == "--set long.shuffle=false"
    assert origins["collect.sources.0.dataset"] == "lab.yaml:7"
    assert origins["collect.sources.0.size"] == "default of Hub"
    assert origins["collect.extra"] == "default of Collect"
    assert origins["seed"] == "default of Recipe"


def test_the_table_shows_value_default_and_description() -> None:
    rows = {row.path: row for row in settings_table(load_settings(Recipe, "name: x\ntrain: {epochs: 5}\n"))}
    epochs = rows["train.epochs"]
    assert (epochs.value, epochs.default, epochs.is_required) == (5, 3, False)
    assert epochs.description == "Passes over the data."
    assert (rows["name"].value, rows["name"].is_required) == ("x", True)
    assert (rows["long.epochs"].value, rows["long.epochs"].default) == (9, 9)
    assert rows["train.device"].value == "cpu"
    assert list(rows)[:4] == ["name", "seed", "prompt", "train.epochs"]


def test_a_file_is_named_in_its_errors(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    with pytest.raises(DataError, match=r"lab.yaml: there is no such file"):
        load_settings(Recipe, path)
    path.write_bytes(b"name: \xff")
    with pytest.raises(DataError, match=r"lab.yaml: cannot be read"):
        load_settings(Recipe, path)
    path.write_text("name: x\nsed: 3\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(Recipe, path)
    assert str(caught.value) == f"{path}:2: sed is not a setting; did you mean seed?"
    path.write_text("name: x\n")
    assert load_settings(Recipe, path).origins["name"] == f"{path}:1"


PROMPTS = [
    "",
    "on",
    "1e-5",
    "~",
    "<<",
    " x ",
    "a\nb\n",
    "\n a\n\n",
    "\tx\ny",
    "# no comment",
    "é😀\u2028\x07",
    "a: b",
    "x" * 500,
    "=",
    "y",
    "0o7",
    "\x85",
    "a\r\nb\n",
]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_what_is_dumped_loads_back_equal(prompt: str) -> None:
    value = load(FULL, "long.learning_rate=1e20").model_copy(update={"prompt": prompt})
    text = dump_settings(value)
    assert load_settings(Recipe, text).value == value
    assert dump_settings(load_settings(Recipe, text).value) == text


def test_a_dump_is_for_reading_too() -> None:
    text = dump_settings(load(FULL, 'prompt="one\\ntwo\\n"'))
    assert "prompt: |\n  one\n  two\n" in text
    assert "  budgets: [500, none]\n" in text
    assert "  betas: [0.0, 0.5]\n" in text
    assert text.index("name:") < text.index("seed:") < text.index("train:")
    assert "'on'" in text
