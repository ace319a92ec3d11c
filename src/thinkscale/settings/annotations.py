"""What a model's annotations allow at a dotted path."""

from collections.abc import Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from thinkscale.settings.source import Data, Hint, Keys

UNKNOWN = object()


def members(hint: Hint) -> list[Hint]:
    """The alternatives of an annotation, None left out."""
    origin: Hint = get_origin(hint)
    if origin is Annotated:
        return members(get_args(hint)[0])
    if origin in (Union, UnionType):
        return [member for option in get_args(hint) if option is not NoneType for member in members(option)]
    return [hint]


def models(hint: Hint, data: Data) -> list[type[BaseModel]]:
    """The models that `data` may stand for: those whose literal fields it agrees with, or all."""
    models = [member for member in members(hint) if isinstance(member, type) and issubclass(member, BaseModel)]
    return [model for model in models if _agrees(model, data)] or models


def _agrees(model: type[BaseModel], data: Data) -> bool:
    literals = {
        name: info.annotation for name, info in model.model_fields.items() if get_origin(info.annotation) is Literal
    }
    return isinstance(data, dict) and all(
        data.get(name) in get_args(hint) for name, hint in literals.items() if name in data
    )


def annotation_at(hint: Hint, key: str | int, data: Data) -> Hint:
    """The annotation of an item or field, `UNKNOWN` where there is no such place."""
    found = [model.model_fields[key].annotation for model in models(hint, data) if key in model.model_fields]
    for member in members(hint):
        arguments = [argument for argument in get_args(member) if argument is not Ellipsis]
        origin: Hint = get_origin(member) or member
        if origin in (Any, object):
            found.append(Any)
        elif isinstance(origin, type) and issubclass(origin, Mapping):
            found.append(arguments[1] if arguments else Any)
        elif isinstance(key, int) and origin in (list, tuple, set, frozenset, Sequence):
            found.append(Any if not arguments else arguments[min(key, len(arguments) - 1)])
    return Union[tuple(found)] if found else UNKNOWN  # noqa: UP007 - made of a list


def descend(hint: Hint, keys: Keys, data: Data) -> tuple[Hint, Data]:
    """Annotation and data at `keys`, either `UNKNOWN` where there is none."""
    for key in keys:
        hint = annotation_at(hint, key, data)
        data = item(data, key)
    return hint, data


def item(data: Data, key: str | int) -> Data:
    if isinstance(data, dict):
        return data.get(key, UNKNOWN)
    is_index = isinstance(data, list) and isinstance(key, int) and 0 <= key < len(data)
    return data[key] if is_index else UNKNOWN


def all_paths(model: type[BaseModel], above: tuple[type[BaseModel], ...] = ()) -> Iterator[str]:
    for name, info in model.model_fields.items():
        yield name
        for part in models(info.annotation, None):
            if part not in above:
                yield from (f"{name}.{path}" for path in all_paths(part, (*above, model)))
