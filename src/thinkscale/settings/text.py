"""YAML text as plain data. Scalars follow YAML 1.2; repeated keys are mistakes."""

import re

import yaml

from thinkscale.errors import ConfigError
from thinkscale.keys import JSON
from thinkscale.settings.source import Keys, Source, dotted

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


RESOLVERS = _resolvers()


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = RESOLVERS


class _FastLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # libyaml, where PyYAML has it
    yaml_implicit_resolvers = RESOLVERS


def parse_yaml(text: str, source: Source) -> JSON:
    """The plain data of one YAML document; fills the origins and errors of `source`."""
    try:
        node = _composed(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line = mark.line + 1 if mark is not None else 1
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(f"{source.name}:{line}: not valid YAML: {reason}") from error
    return {} if node is None else _plain(node, (), source, ())


def _composed(text: str) -> yaml.Node | None:
    """By libyaml, ten times as fast; what is wrong is said by PyYAML's own parser, so alike on every machine."""
    try:
        return yaml.compose(text, Loader=_FastLoader)
    except yaml.YAMLError:
        return yaml.compose(text, Loader=_Loader)


def _plain(node: yaml.Node, keys: Keys, source: Source, above: tuple[yaml.Node, ...]) -> JSON:
    line = node.start_mark.line + 1
    source.origins.setdefault(keys, (line, f"{source.name}:{line}"))
    if any(node is parent for parent in above):
        source.complain(keys, f"{dotted(keys)} contains itself")
        return None
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*keys, index), source, (*above, node)) for index, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, keys, source, above)
    try:
        return _scalar(node.tag.rpartition(":")[2], node.value)
    except ValueError:
        source.complain(keys, f"{dotted(keys)} is {node.value!r} with the tag {node.tag}, which cannot be read")
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


def _mapping(node: yaml.MappingNode, keys: Keys, source: Source, above: tuple[yaml.Node, ...]) -> JSON:
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
            text = f"{origin[1]}: {dotted((*keys, key_node.value))} is given twice (first in line {first})"
            source.errors.append((line, text))
        else:
            if key_node.value in merged:
                source.put((*keys, key_node.value), origin)
            else:
                source.origins[*keys, key_node.value] = origin
            own[key_node.value] = _plain(value_node, (*keys, key_node.value), source, (*above, node))
    return merged | own


def _is_merge(node: yaml.Node) -> bool:
    return bool(node.tag.endswith(":merge"))
