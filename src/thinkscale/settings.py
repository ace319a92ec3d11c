"""Settings: strict YAML into typed pydantic models, with the origin of every value and errors that name the mistake.

Scalars follow YAML 1.2 (`1e-5` is a number; `on`, `off`, `yes` and `no` are words). Models are meant to be frozen,
strict and closed (`extra="forbid"`), without aliases. Dotted paths count list items from 0.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    ClassVar,
    Generic,
    Literal,
    NamedTuple,
    TypeAlias,
    TypeVar,
    Union,
    get_args,
    get_origin,
)

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, to_jsonable_python

from thinkscale.errors import ConfigError, DataError
from thinkscale.keys import JSON

_DEFAULT = 0
_OVERRIDE = 10**9
"""Line numbers of values that come from no line of the file: they sort before and behind all that do."""

M = TypeVar("M", bound=BaseModel)
Keys: TypeAlias = tuple[str | int, ...]
Hint: TypeAlias = Any
"""A type annotation, which Python has no type for."""
Data: TypeAlias = Any
"""A value of unknown shape: what YAML gave, or a part of a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One setting for printing. `default` is None and means nothing where `is_required`."""

    path: str
    value: JSON
    default: JSON
    is_required: bool
    origin: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded(Generic[M]):
    """A checked model. `origins` maps each dotted path to `default of X`, `file:line` or `--set path=value`."""

    value: M
    rows: tuple[Row, ...]

    @property
    def origins(self) -> dict[str, str]:
        return {row.path: row.origin for row in self.rows}


@dataclass(slots=True)
class _Source:
    """Plain data before it is checked: where each value came from, as text and line to sort by, and what is wrong."""

    name: str
    data: Data = field(default_factory=dict)
    origins: dict[Keys, tuple[int, str]] = field(default_factory=dict)
    errors: list[tuple[int, str]] = field(default_factory=list)

    def origin(self, keys: Keys) -> tuple[int, str]:
        while keys and keys not in self.origins:
            keys = keys[:-1]
        return self.origins.get(keys, (1, f"{self.name}:1"))

    def put(self, keys: Keys, origin: tuple[int, str]) -> None:
        """Notes a new origin for `keys` and all that is below."""
        for old in [old for old in self.origins if old[: len(keys)] == keys]:
            del self.origins[old]
        self.origins[keys] = origin

    def complain(self, keys: Keys, message: str) -> None:
        line, origin = self.origin(keys)
        self.errors.append((line, f"{origin}: {message}"))

    def raise_errors(self) -> None:
        if self.errors:
            raise ConfigError("\n".join(text for _, text in sorted(self.errors, key=lambda error: error[0])))


def load_settings(
    model_type: type[M], text_or_path: str | Path, overrides: Sequence[str] = (), name: str = "settings"
) -> Loaded[M]:
    """The model that YAML text (a string, called `name` in messages) or a file (a Path) describes.

    Overrides are `a.b=value`, or `a.0.b=value` for an item of a list; the value is YAML, the last one wins, and what
    they do not name stays as it was, defaults included. Raises ConfigError, a line for each mistake, and DataError
    where the file cannot be read.
    """
    text, name = (_read(text_or_path), str(text_or_path)) if isinstance(text_or_path, Path) else (text_or_path, name)
    source = _Source(name)
    source.data = _parse(text, source)
    source.raise_errors()
    for number, override in enumerate(overrides if isinstance(source.data, dict) else ()):
        _override(model_type, source, override, number)
    try:
        value = model_type.model_validate_json(json.dumps(source.data))
    except ValidationError as error:
        _explain(model_type, source, error.errors(include_url=False))
        source.raise_errors()
        raise
    source.raise_errors()
    return Loaded(value=value, rows=tuple(_rows(value, source)))


def settings_table(loaded: Loaded[M]) -> list[Row]:
    """Every setting in the order of declaration, with where its value came from."""
    return list(loaded.rows)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else f"cannot be read ({error})"
        raise DataError(f"{path}: {reason}") from error


def _dotted(keys: Keys) -> str:
    return ".".join(map(str, keys))


# YAML

_SCALARS = (
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", "~nN"),
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("tag:yaml.org,2002:int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("tag:yaml.org,2002:merge", r"<<", "<"),
)


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    found: dict[str, list[tuple[str, re.Pattern[str]]]] = {"": [(_SCALARS[0][0], re.compile("^$"))]}
    for tag, pattern, starts in _SCALARS:
        for start in starts:
            found.setdefault(start, []).append((tag, re.compile(f"^(?:{pattern})$")))
    return found


_RESOLVERS = _resolvers()


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = _RESOLVERS


def _parse(text: str, source: _Source) -> JSON:
    """The plain data of one YAML document; fills the origins and errors of `source`."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line = mark.line + 1 if mark is not None else 1
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(f"{source.name}:{line}: not valid YAML: {reason}") from error
    return {} if node is None else _plain(node, (), source, ())


def _plain(node: yaml.Node, keys: Keys, source: _Source, above: tuple[yaml.Node, ...]) -> JSON:
    line = node.start_mark.line + 1
    source.origins.setdefault(keys, (line, f"{source.name}:{line}"))
    if any(node is parent for parent in above):
        source.complain(keys, f"{_dotted(keys)} contains itself")
        return None
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*keys, index), source, (*above, node)) for index, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, keys, source, above)
    try:
        return _scalar(node.tag.rpartition(":")[2], node.value)
    except ValueError:
        source.complain(keys, f"{_dotted(keys)} is {node.value!r} with the tag {node.tag}, which cannot be read")
        return None


def _scalar(kind: str, text: str) -> JSON:
    if kind in ("str", "merge"):
        return text
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind == "int":
        return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
    if kind == "float":
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    raise ValueError(kind)


def _mapping(node: yaml.MappingNode, keys: Keys, source: _Source, above: tuple[yaml.Node, ...]) -> JSON:
    """A mapping; what `<<` brings in is read first, so that the mapping's own keys win."""
    merged: dict[str, JSON] = {}
    own: dict[str, JSON] = {}
    for key_node, value_node in sorted(node.value, key=lambda pair: not _is_merge(pair[0])):
        line = key_node.start_mark.line + 1
        origin = (line, f"{source.name}:{line}")
        if _is_merge(key_node):
            parts = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
            for part in reversed(parts):
                more = _plain(part, keys, source, (*above, node))
                merged |= more if isinstance(more, dict) else {}
        elif not isinstance(key_node, yaml.ScalarNode):
            source.errors.append((line, f"{origin[1]}: the name of a setting must be a word, not a list or a group"))
        elif key_node.value in own:
            first = source.origins[*keys, key_node.value][0]
            text = f"{origin[1]}: {_dotted((*keys, key_node.value))} is given twice (first in line {first})"
            source.errors.append((line, text))
        else:
            source.put((*keys, key_node.value), origin)
            own[key_node.value] = _plain(value_node, (*keys, key_node.value), source, (*above, node))
    return merged | own


def _is_merge(node: yaml.Node) -> bool:
    return bool(node.tag.endswith(":merge"))


# Types

_UNKNOWN = object()


def _members(hint: Hint) -> list[Hint]:
    """The alternatives of an annotation, None left out."""
    origin: Hint = get_origin(hint)
    if origin is Annotated:
        return _members(get_args(hint)[0])
    if origin in (Union, UnionType):
        return [member for option in get_args(hint) if option is not NoneType for member in _members(option)]
    return [hint]


def _models(hint: Hint, data: Data) -> list[type[BaseModel]]:
    """The models that `data` may stand for: those whose literal fields it agrees with, or all."""
    models = [member for member in _members(hint) if isinstance(member, type) and issubclass(member, BaseModel)]
    return [model for model in models if _agrees(model, data)] or models


def _agrees(model: type[BaseModel], data: Data) -> bool:
    literals = {
        name: info.annotation for name, info in model.model_fields.items() if get_origin(info.annotation) is Literal
    }
    return isinstance(data, dict) and all(
        data.get(name) in get_args(hint) for name, hint in literals.items() if name in data
    )


def _child(hint: Hint, key: str | int, data: Data) -> Hint:
    """The annotation of an item or field, `_UNKNOWN` where there is no such place."""
    found = [model.model_fields[key].annotation for model in _models(hint, data) if key in model.model_fields]
    for member in _members(hint):
        arguments = [argument for argument in get_args(member) if argument is not Ellipsis]
        origin: Hint = get_origin(member) or member
        if origin in (Any, object):
            found.append(Any)
        elif isinstance(origin, type) and issubclass(origin, Mapping):
            found.append(arguments[1] if arguments else Any)
        elif isinstance(key, int) and origin in (list, tuple, set, frozenset, Sequence):
            found.append(Any if not arguments else arguments[min(key, len(arguments) - 1)])
    return Union[tuple(found)] if found else _UNKNOWN  # noqa: UP007 - made of a list


def _descend(hint: Hint, keys: Keys, data: Data) -> tuple[Hint, Data]:
    """Annotation and data at `keys`, either `_UNKNOWN` where there is none."""
    for key in keys:
        hint = _child(hint, key, data)
        data = _item(data, key)
    return hint, data


def _item(data: Data, key: str | int) -> Data:
    if isinstance(data, dict):
        return data.get(key, _UNKNOWN)
    is_index = isinstance(data, list) and isinstance(key, int) and 0 <= key < len(data)
    return data[key] if is_index else _UNKNOWN


def _all_paths(model: type[BaseModel], above: tuple[type[BaseModel], ...] = ()) -> Iterator[str]:
    for name, info in model.model_fields.items():
        yield name
        for part in _models(info.annotation, None):
            if part not in above:
                yield from (f"{name}.{path}" for path in _all_paths(part, (*above, model)))


# Overrides


def _override(model_type: type[BaseModel], source: _Source, text: str, number: int) -> None:
    """Puts one `--set` into the data; its mistakes join the source's errors."""
    origin = (_OVERRIDE + number, f"--set {text}")
    path, equals, value_text = text.partition("=")
    if not equals or not all(path.split(".")):
        source.errors.append((origin[0], f"{origin[1]}: write it as a.b=value"))
        return
    given = _Source("line")
    try:
        value = _parse(value_text, given) if value_text.strip() else None
        given.raise_errors()
    except ConfigError as error:
        source.errors.append((origin[0], f"{origin[1]}: {str(error).partition(': ')[2]}"))
        return
    here, keys = _container(model_type, source, path.split("."), origin)
    if here is not None:
        here[keys[-1]] = value
        source.put(keys, origin)


def _container(
    model_type: type[BaseModel], source: _Source, parts: list[str], origin: tuple[int, str]
) -> tuple[Data, Keys]:
    """The object or list that the last part is a key of, and the whole path as keys; (None, ()) after a complaint."""
    here: Data = source.data
    keys: Keys = ()
    for depth, part in enumerate(parts):
        problem = ""
        if isinstance(here, list):
            if not (part.isdecimal() and int(part) < len(here)):
                problem = f"{_dotted(keys)} has {len(here)} items, counted from 0, and none is {part}"
        elif not isinstance(here, dict):
            problem = f"{_dotted(keys)} is {_shown(here)}, with nothing below it to set"
        keys = (*keys, int(part) if isinstance(here, list) and not problem else part)
        hint, _ = _descend(model_type, keys, source.data)
        if not problem and hint is _UNKNOWN:
            problem = _unknown(model_type, source, keys)
        if problem:
            source.errors.append((origin[0], f"{origin[1]}: {problem}"))
            return None, ()
        if depth < len(parts) - 1:
            if _item(here, keys[-1]) in (_UNKNOWN, None):
                here[keys[-1]] = _default_data(model_type, source, keys)
            here = here[keys[-1]]
    return here, keys


def _default_data(model_type: type[BaseModel], source: _Source, keys: Keys) -> Data:
    """What an absent setting would have been, as plain data, so that an override changes only what it names."""
    owner_hint, owner_data = _descend(model_type, keys[:-1], source.data)
    for owner in _models(owner_hint, owner_data):
        info = owner.model_fields.get(str(keys[-1]))
        if info is not None and not info.is_required():
            source.put(keys, (_DEFAULT, f"default of {owner.__name__}"))
            default = to_jsonable_python(_default(info), by_alias=False, round_trip=True)
            return {} if default is None else default
    return {}


def _default(info: FieldInfo) -> Data:
    if info.default_factory_takes_validated_data:
        return None
    return info.get_default(call_default_factory=True, validated_data={})


# Errors

_WANTED = {
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "string_type": "a string",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "path_type": "a path",
    "none_required": "null",
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type"), "a list"),
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type", "dataclass_type"), "a group of settings"),
}
_SHOULD = "Input should be "


def _explain(model_type: type[BaseModel], source: _Source, details: list[ErrorDetails]) -> None:
    """Adds a readable line for each place that pydantic found wrong; the branches of a union make one line."""
    wanted: dict[Keys, list[str]] = defaultdict(list)
    inputs: dict[Keys, Any] = {}
    for error in details:
        keys = _real_keys(model_type, error["loc"], source.data)
        want = _WANTED.get(error["type"]) or error["msg"].partition(_SHOULD)[2]
        if error["type"].startswith("union_tag"):
            keys = (*keys, str(error["ctx"]["discriminator"]).strip("'"))
            source.complain(keys, _wrong_tag(model_type, source, keys))
        elif error["type"] == "missing":
            source.complain(keys, f"{_dotted(keys)} is missing, and has no default")
        elif error["type"] == "extra_forbidden":
            source.complain(keys, _unknown(model_type, source, keys))
        elif want:
            wanted[keys] += [want] if want not in wanted[keys] else []
            inputs[keys] = error["input"]
        else:
            message = error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
            source.complain(keys, f"{_dotted(keys)}: {message}" if keys else message)
    for keys, wants in wanted.items():
        text = f"{_dotted(keys) or 'the file'} must be {' or '.join(wants)}, not {_shown(inputs[keys])}"
        source.complain(keys, text + _hint(wants, inputs[keys]))


def _real_keys(model_type: type[BaseModel], loc: tuple[str | int, ...], data: Data) -> Keys:
    """The path that the file has for pydantic's `loc`, which also names the branches of unions."""
    hint: Hint = model_type
    keys: Keys = ()
    may_be_branch = False
    for index, part in enumerate(loc):
        is_branch = isinstance(part, str) and may_be_branch
        may_be_branch = False
        child = _child(hint, part, data)
        if is_branch or part == "[key]" or (child is _UNKNOWN and index < len(loc) - 1):
            continue
        keys = (*keys, part)
        hint, data = child, _item(data, part)
        may_be_branch = len(_members(hint)) > 1
    return keys


def _unknown(model_type: type[BaseModel], source: _Source, keys: Keys) -> str:
    """`x is not a setting`, with the nearest right one, or the same name elsewhere, or all that would do here."""
    hint, data = _descend(model_type, keys[:-1], source.data)
    names = list(dict.fromkeys(name for model in _models(hint, data) for name in model.model_fields))
    last = str(keys[-1])
    near = [_dotted((*keys[:-1], name)) for name in get_close_matches(last, names, 1)]
    near = near or [path for path in _all_paths(model_type) if path.rpartition(".")[2] == last][:3]
    is_of_another_kind = any(last in model.model_fields for model in _models(hint, None))
    if near and not is_of_another_kind:
        return f"{_dotted(keys)} is not a setting; did you mean {' or '.join(near)}?"
    place = f"the settings of {_dotted(keys[:-1])}" if len(keys) > 1 else "the settings"
    return f"{_dotted(keys)} is not a setting; {place} are {', '.join(names) or 'none'}"


def _wrong_tag(model_type: type[BaseModel], source: _Source, keys: Keys) -> str:
    """What to say where the field that tells the members of a union apart is absent or has another value."""
    hint, data = _descend(model_type, keys[:-1], source.data)
    fields = [model.model_fields.get(str(keys[-1])) for model in _models(hint, None)]
    options = [str(option) for info in fields if info is not None for option in get_args(info.annotation)]
    given = _item(data, keys[-1])
    if given is _UNKNOWN:
        return f"{_dotted(keys)} is missing; it must be one of {', '.join(options)}"
    return f"{_dotted(keys)} must be one of {', '.join(options)}, not {_shown(given)}{_nearest(given, options)}"


def _hint(wants: list[str], given: Data) -> str:
    if "a string" in wants and isinstance(given, (int, float)):
        return " (put it in quotes)"
    return _nearest(given, [option for want in wants for option in re.findall(r"'([^']*)'", want)])


def _nearest(given: Data, options: list[str]) -> str:
    near = get_close_matches(given, options, 1) if isinstance(given, str) else []
    return f"; did you mean {near[0]}?" if near else ""


def _shown(value: Data) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


# Printing


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
        start: _RESOLVERS.get(start, []) + found for start, found in yaml.SafeDumper.yaml_implicit_resolvers.items()
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


def _rows(model: BaseModel, source: _Source) -> Iterator[Row]:
    for name, child, info in _children(model):
        assert info is not None
        yield from _rows_of(child, (name,), _Owner(info, type(model).__name__), source)


def _rows_of(value: Data, keys: Keys, owner: _Owner, source: _Source) -> Iterator[Row]:
    children = _children(value)
    for key, child, info in children:
        inner = owner if info is None or _is_inherited(info, child) else _Owner(info, type(value).__name__)
        yield from _rows_of(child, (*keys, key), _Owner(info or owner.info, inner.name), source)
    if not children:
        yield _row(value, keys, owner, source)


def _is_inherited(info: FieldInfo, value: Data) -> bool:
    """Whether an absent setting has another value than its own model's default: one that an outer model gave it."""
    return not info.is_required() and value != _default(info)


def _row(value: Data, keys: Keys, owner: _Owner, source: _Source) -> Row:
    is_absent = source.origin(keys)[0] == _DEFAULT or _descend(Any, keys, source.data)[1] is _UNKNOWN
    plain = to_jsonable_python(value, by_alias=False)
    default = None if owner.info.is_required() else to_jsonable_python(_default(owner.info), by_alias=False)
    return Row(
        path=_dotted(keys),
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
