"""What is wrong with settings, in words: the place, what was wanted, and the nearest right key."""

import json
import re
from collections import defaultdict
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from thinkscale.settings.annotations import UNKNOWN, all_paths, annotation_at, descend, item, members, models
from thinkscale.settings.source import Data, Hint, Keys, Source, dotted

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


def explain(model_type: type[BaseModel], source: Source, details: list[ErrorDetails]) -> None:
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
            source.complain(keys, f"{dotted(keys)} is missing, and has no default")
        elif error["type"] == "extra_forbidden":
            source.complain(keys, unknown(model_type, source, keys))
        elif want:
            wanted[keys] += [want] if want not in wanted[keys] else []
            inputs[keys] = error["input"]
        else:
            message = error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
            source.complain(keys, f"{dotted(keys)}: {message}" if keys else message)
    for keys, wants in wanted.items():
        text = f"{dotted(keys) or 'the file'} must be {' or '.join(wants)}, not {shown(inputs[keys])}"
        source.complain(keys, text + _hint(wants, inputs[keys]))


def _real_keys(model_type: type[BaseModel], loc: tuple[str | int, ...], data: Data) -> Keys:
    """The path that the file has for pydantic's `loc`, which also names the branches of unions."""
    hint: Hint = model_type
    keys: Keys = ()
    may_be_branch = False
    for index, part in enumerate(loc):
        is_branch = isinstance(part, str) and may_be_branch
        may_be_branch = False
        child = annotation_at(hint, part, data)
        if is_branch or part == "[key]" or (child is UNKNOWN and index < len(loc) - 1):
            continue
        keys = (*keys, part)
        hint, data = child, item(data, part)
        may_be_branch = len(members(hint)) > 1
    return keys


def unknown(model_type: type[BaseModel], source: Source, keys: Keys) -> str:
    """`x is not a setting`, with the nearest right one, or the same name elsewhere, or all that would do here."""
    hint, data = descend(model_type, keys[:-1], source.data)
    names = list(dict.fromkeys(name for model in models(hint, data) for name in model.model_fields))
    last = str(keys[-1])
    near = [dotted((*keys[:-1], name)) for name in get_close_matches(last, names, 1)]
    near = near or [path for path in all_paths(model_type) if path.rpartition(".")[2] == last][:3]
    is_of_another_kind = any(last in model.model_fields for model in models(hint, None))
    if near and not is_of_another_kind:
        return f"{dotted(keys)} is not a setting; did you mean {' or '.join(near)}?"
    place = f"the settings of {dotted(keys[:-1])}" if len(keys) > 1 else "the settings"
    return f"{dotted(keys)} is not a setting; {place} are {', '.join(names) or 'none'}"


def _wrong_tag(model_type: type[BaseModel], source: Source, keys: Keys) -> str:
    """What to say where the field that tells the members of a union apart is absent or has another value."""
    hint, data = descend(model_type, keys[:-1], source.data)
    fields = [model.model_fields.get(str(keys[-1])) for model in models(hint, None)]
    options = [str(option) for info in fields if info is not None for option in get_args(info.annotation)]
    given = item(data, keys[-1])
    if given is UNKNOWN:
        return f"{dotted(keys)} is missing; it must be one of {', '.join(options)}"
    return f"{dotted(keys)} must be one of {', '.join(options)}, not {shown(given)}{_nearest(given, options)}"


def _hint(wants: list[str], given: Data) -> str:
    if "a string" in wants and isinstance(given, (int, float)):
        return " (put it in quotes)"
    return _nearest(given, [option for want in wants for option in re.findall(r"'([^']*)'", want)])


def _nearest(given: Data, options: list[str]) -> str:
    near = get_close_matches(given, options, 1) if isinstance(given, str) else []
    return f"; did you mean {near[0]}?" if near else ""


def shown(value: Data) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."
