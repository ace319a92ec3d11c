"""Settings as YAML that loads back, and as rows that say where each value came from."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from thinkscale.keys import JSON
from thinkscale.settings.annotations import UNKNOWN, descend
from thinkscale.settings.overrides import default_of
from thinkscale.settings.source import DEFAULT, Data, Keys, Source, dotted
from thinkscale.settings.text import RESOLVERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One setting for printing. `default` is None and means nothing where `is_required`."""

    path: str
    value: JSON
    default: JSON
    is_required: bool
    origin: str
    description: str


class _Owner(NamedTuple):
    """The field that a value belongs to, and the model whose default the value is where it was not given."""

    info: FieldInfo
    name: str


def dump_settings(value: BaseModel) -> str:
    """Every setting as YAML in the order of declaration; `load_settings` makes an equal model of it."""
    data = value.model_dump(mode="json", round_trip=True)
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


_ODD_BREAK = re.compile("[\r\x85\u2028\u2029\ufeff]")
"""Characters that survive YAML's folding of lines only as escapes."""


class _Dumper(yaml.SafeDumper):
    """Quotes every string that YAML 1.1 or 1.2 would read as something else."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML declares it otherwise
        start: RESOLVERS.get(start, []) + found for start, found in yaml.SafeDumper.yaml_implicit_resolvers.items()
    }

    def represent_text(self, text: str) -> yaml.Node:
        style = '"' if _ODD_BREAK.search(text) else "|" if "\n" in text else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    def represent_items(self, items: list[Any]) -> yaml.Node:
        is_flat = not any(isinstance(item, (dict, list)) or "\n" in str(item) for item in items)
        return self.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=is_flat)

    def ignore_aliases(self, data: Data) -> bool:
        return True

    yaml_representers: ClassVar[dict[type, Any]] = {
        **yaml.SafeDumper.yaml_representers,
        str: represent_text,
        list: represent_items,
    }


def rows(model: BaseModel, source: Source) -> Iterator[Row]:
    for name, child, info in _children(model):
        assert info is not None
        yield from _rows_of(child, (name,), _Owner(info, type(model).__name__), source)


def _rows_of(value: Data, keys: Keys, owner: _Owner, source: Source) -> Iterator[Row]:
    children = _children(value)
    for key, child, info in children:
        inner = owner if info is None or _is_inherited(info, child) else _Owner(info, type(value).__name__)
        yield from _rows_of(child, (*keys, key), _Owner(info or owner.info, inner.name), source)
    if not children:
        yield _row(value, keys, owner, source)


def _is_inherited(info: FieldInfo, value: Data) -> bool:
    """Whether an absent setting has another value than its own model's default: one that an outer model gave it."""
    return not info.is_required() and value != default_of(info)


def _row(value: Data, keys: Keys, owner: _Owner, source: Source) -> Row:
    is_absent = source.origin(keys)[0] == DEFAULT or descend(Any, keys, source.data)[1] is UNKNOWN
    plain = to_jsonable_python(value, by_alias=False)
    default = None if owner.info.is_required() else to_jsonable_python(default_of(owner.info), by_alias=False)
    return Row(
        path=dotted(keys),
        value=plain,
        default=plain if is_absent else default,
        is_required=owner.info.is_required(),
        origin=f"default of {owner.name}" if is_absent else source.origin(keys)[1],
        description=owner.info.description or "",
    )


def _children(value: Data) -> list[tuple[str | int, Any, FieldInfo | None]]:
    """The parts of a value that are rows of their own: fields of models, and items that hold models."""
    if isinstance(value, BaseModel):
        return [(name, getattr(value, name), info) for name, info in type(value).model_fields.items()]
    if isinstance(value, (list, tuple)) and any(isinstance(item, BaseModel) for item in value):
        return [(index, item, None) for index, item in enumerate(value)]
    if isinstance(value, Mapping) and any(isinstance(item, BaseModel) for item in value.values()):
        return [(str(key), item, None) for key, item in value.items()]
    return []
