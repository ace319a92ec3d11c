"""`--set a.b=value`: one value put into the data before it is checked."""

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from thinkscale.errors import ConfigError
from thinkscale.settings.annotations import UNKNOWN, descend, item, models
from thinkscale.settings.mistakes import shown, unknown
from thinkscale.settings.source import DEFAULT, OVERRIDE, Data, Keys, Source, dotted
from thinkscale.settings.text import parse_yaml


def apply_override(model_type: type[BaseModel], source: Source, text: str, number: int) -> None:
    """Puts one `--set` into the data; its mistakes join the source's errors."""
    origin = (OVERRIDE + number, f"--set {text}")
    path, equals, value_text = text.partition("=")
    if not equals or not all(path.split(".")):
        source.errors.append((origin[0], f"{origin[1]}: write it as a.b=value"))
        return
    given = Source("line")
    try:
        value = parse_yaml(value_text, given) if value_text.strip() else None
        given.raise_errors()
    except ConfigError as error:
        source.errors.append((origin[0], f"{origin[1]}: {str(error).partition(': ')[2]}"))
        return
    here, keys = _container(model_type, source, path.split("."), origin)
    if here is not None:
        here[keys[-1]] = value
        source.put(keys, origin)


def _container(
    model_type: type[BaseModel], source: Source, parts: list[str], origin: tuple[int, str]
) -> tuple[Data, Keys]:
    """The object or list that the last part is a key of, and the whole path as keys; (None, ()) after a complaint."""
    here: Data = source.data
    keys: Keys = ()
    for depth, part in enumerate(parts):
        problem = ""
        if isinstance(here, list):
            if not (part.isdecimal() and int(part) < len(here)):
                problem = f"{dotted(keys)} has {len(here)} items, counted from 0, and none is {part}"
        elif not isinstance(here, dict):
            problem = f"{dotted(keys)} is {shown(here)}, with nothing below it to set"
        keys = (*keys, int(part) if isinstance(here, list) and not problem else part)
        hint, _ = descend(model_type, keys, source.data)
        if not problem and hint is UNKNOWN:
            problem = unknown(model_type, source, keys)
        if problem:
            source.errors.append((origin[0], f"{origin[1]}: {problem}"))
            return None, ()
        if depth < len(parts) - 1:
            if item(here, keys[-1]) in (UNKNOWN, None):
                here[keys[-1]] = _default_data(model_type, source, keys)
            here = here[keys[-1]]
    return here, keys


def _default_data(model_type: type[BaseModel], source: Source, keys: Keys) -> Data:
    """What an absent setting would have been, as plain data, so that an override changes only what it names."""
    owner_hint, owner_data = descend(model_type, keys[:-1], source.data)
    for owner in models(owner_hint, owner_data):
        info = owner.model_fields.get(str(keys[-1]))
        if info is not None and not info.is_required():
            source.put(keys, (DEFAULT, f"default of {owner.__name__}"))
            default = to_jsonable_python(default_of(info), by_alias=False, round_trip=True)
            return {} if default is None else default
    return {}


def default_of(info: FieldInfo) -> Data:
    if info.default_factory_takes_validated_data:
        return None
    return info.get_default(call_default_factory=True, validated_data={})
