"""API keys: where they come from, and how they are kept out of every text.

A key is found in the environment, in `.env` of the current folder, or in a file of keys. It travels as a Secret, which
no print, log, record or pickle shows; only `reveal()` gives the text, and only headers call it. What others write
(a server's error, a library's exception) may still hold a key, so `redact` takes out every value that was found in this
process. It needs one process-wide set for that, since an error is put into words far from where keys are known.
Rejected: pydantic's SecretStr, which a pickle shows, and which costs the core an import.
"""

import os
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

from thinkscale.errors import ConfigError, DataError

KEY_VARIABLES = ("HF_TOKEN", "OPENAI_API_KEY", "ANTHROPIC_API_KEY")
"""Variables whose values are secret, known without a recipe."""
PLAIN_VARIABLES = ("HF_USERNAME",)
"""Variables that are read beside them and may be shown."""
HIDDEN = "***"
MIN_REDACTED_CHARACTERS = 8
"""A shorter value is no key, and to blank it would blank words."""
_DOTENV = Path(".env")
_ASSIGNMENT = re.compile(r"(export\s+)?[A-Z][A-Z0-9_]*\s*=\s*[^\s=]")
_NUMBER = re.compile(r"_([0-9]{1,6})")
_KEY = re.compile(r"[\x21-\x7e]+")

_found: set[str] = set()
"""Secret values that this process has read."""


class Secret:
    """A value that shows itself only to `reveal`. It cannot be pickled; copies are the same object."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """The value. Only what sends it may ask."""
        return self.__value

    def __repr__(self) -> str:
        return HIDDEN

    def __format__(self, specification: str) -> str:
        return format(HIDDEN, specification)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.__value == self.__value

    def __hash__(self) -> int:
        return hash(self.__value)

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: object) -> "Secret":
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret is not pickled: the other process reads it where this one did")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """One key under the name that messages may show: `OPENAI_API_KEY`, `OPENAI_API_KEY_2`, `keys.txt:3`."""

    name: str
    secret: Secret
    origin: str = ""
    """`environment`, `.env`, or the name of the file."""


def find_keys(variable: str, file: Path | None = None) -> tuple[ApiKey, ...]:
    """The keys of `file` where one is given, else those of VARIABLE, VARIABLE_2, VARIABLE_3 and so on.

    A variable may hold several keys between commas (`VARIABLE:2` is the second); a file has one on a line, and `#`
    begins a comment. The environment wins over `.env` name by name, also where it is empty. A value that occurs twice
    counts once. Raises ConfigError where there is none or a value cannot be a key, DataError on an unreadable file; no
    message holds a value.
    """
    keys = _unique(_keys_of_file(file) if file is not None else _keys_of_variable(variable))
    if not keys and file is not None:
        raise DataError(f"{file}: there is no key in it; put one on each line")
    if not keys:
        raise ConfigError(
            f"no API key: {variable} is not set. Export it, or put {variable}=... into .env in the current folder "
            f"(more keys as {variable}_2, {variable}_3, or between commas), or name a file with one key on each line"
        )
    _found.update(key.secret.reveal() for key in keys)
    return keys


def origins(variable: str) -> dict[str, str]:
    """Which of VARIABLE, VARIABLE_2, ... are set, and where: `environment` or `.env`. Values are not handed out.

    Raises DataError where `.env` cannot be read.
    """
    return {name: origin for name, (value, origin) in _settings(variable).items() if value.strip()}


def export_hub_token() -> bool:
    """Sets HF_TOKEN from `.env` where the environment lacks it, for huggingface_hub; whether one is set now."""
    value, origin = _settings("HF_TOKEN").get("HF_TOKEN", ("", ""))
    if value and origin != "environment":
        os.environ["HF_TOKEN"] = value.strip()
    return bool(value)


def exposure_warnings(file: Path | None = None) -> tuple[str, ...]:
    """A sentence for each of `.env` and `file` that other users of this machine can read; for the caller to show."""
    return tuple(
        f"{path}: others on this machine can read the keys in it; run: chmod 600 {path}"
        for path in (_DOTENV, *(() if file is None else (file,)))
        if path.is_file() and path.stat().st_mode & 0o077
    )


def redact(text: str) -> str:
    """`text` with `***` for each secret that this process read or has in its environment, and for what looks like one.

    Values are found as they are, URL-encoded, in JSON, and within base64 (a Basic header). For messages, never for
    data: it also blanks what only looks like a key. Redact before cutting a text short, since half a key is not found.
    """
    ambient = {value for variable in KEY_VARIABLES for value, _ in _of_environment(variable).values()}
    parts = {part for value in ambient | _found for part in (value.strip(), *_items(value))}
    values = frozenset(part for part in parts if len(part) >= MIN_REDACTED_CHARACTERS)
    if values:
        text = _pattern(values).sub(HIDDEN, text)
    return _LOOKS_SECRET.sub(HIDDEN, text)


_LOOKS_SECRET = re.compile(
    r"""(?<![A-Za-z0-9])(?:sk-[\w*-]{8,}|(?:hf|gsk)_[A-Za-z0-9]{16,}|AIza[\w-]{20,})"""
    r"""|(?:(?<=bearer\ )|(?<=basic\ ))(?=\S*[\d=+/._-])[^\s"',;]{8,}"""
    r"""|(?:(?<=x-api-key:)|(?<=x-api-key:\ )|(?<=x-api-key":\ ")|(?<=x-api-key':\ '))[^\s"',;]{8,}""",
    re.IGNORECASE,
)
"""The key formats of OpenAI, Anthropic and those who followed them, Hugging Face, Groq and Google, also where a server
has starred out their middle; and what stands in the headers that carry keys."""


def _keys_of_variable(variable: str) -> Iterator[ApiKey]:
    for name, (value, origin) in _settings(variable).items():
        for number, item in enumerate(_items(value), 1):
            public = name if number == 1 else f"{name}:{number}"
            yield _key(public, item, origin)


def _keys_of_file(path: Path) -> Iterator[ApiKey]:
    for number, line in enumerate(_read(path).splitlines(), 1):
        value = re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip()
        if _ASSIGNMENT.match(value):
            raise DataError(f"{path}:{number}: this is NAME=value; a file of keys has only the key on each line")
        if value:
            yield _key(f"{path.name}:{number}", value, path.name)


def _key(name: str, value: str, origin: str) -> ApiKey:
    if not _KEY.fullmatch(value):
        raise ConfigError(f"{name}: a key has no spaces, control characters or letters outside ASCII; this value has")
    return ApiKey(name=name, secret=Secret(value), origin=origin)


def _unique(keys: Iterable[ApiKey]) -> tuple[ApiKey, ...]:
    first: dict[Secret, ApiKey] = {}
    for key in keys:
        first.setdefault(key.secret, key)
    return tuple(first.values())


def _items(value: str) -> list[str]:
    return [item.strip() for item in value.split(",") if item.strip()]


def _settings(variable: str) -> dict[str, tuple[str, str]]:
    """Value and origin of VARIABLE and its numbered kin, in the order of their numbers."""
    found = {name: (value, ".env") for name, value in _matching(variable, _dotenv())} | _of_environment(variable)
    if variable not in PLAIN_VARIABLES:
        _found.update(item for value, _ in found.values() for item in _items(value))
    return dict(sorted(found.items(), key=lambda pair: _number(variable, pair[0])))


def _of_environment(variable: str) -> dict[str, tuple[str, str]]:
    return {name: (value, "environment") for name, value in _matching(variable, os.environ)}


def _matching(variable: str, values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    return ((name, value) for name, value in values.items() if _number(variable, name) >= 0)


def _number(variable: str, name: str) -> int:
    """0 for VARIABLE, 2 for VARIABLE_2, -1 for any other name."""
    if name == variable:
        return 0
    numbered = _NUMBER.fullmatch(name.removeprefix(variable)) if name.startswith(variable) else None
    return int(numbered[1]) if numbered else -1


def _dotenv() -> dict[str, str]:
    """What `.env` says, as it stands there: `${NAME}` is not filled in, since a key may hold any character."""
    if not _DOTENV.is_file():
        return {}
    from dotenv import dotenv_values

    try:
        values = dotenv_values(_DOTENV, interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(_DOTENV, error) from None
    return {name: value for name, value in values.items() if value is not None}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError | UnicodeDecodeError) -> DataError:
    """Raised `from None`: a decoding error carries the bytes of the file."""
    reason = error.strerror or "unreadable" if isinstance(error, OSError) else "it is not UTF-8 text"
    return DataError(f"{path}: the keys in it cannot be read: {reason}")


@lru_cache(maxsize=4)
def _pattern(values: frozenset[str]) -> re.Pattern[str]:
    """Finds each value in any of its spellings, the longest first."""
    plain = {spelling for value in values for spelling in _spellings(value)}
    encoded = {core for value in values for core in _base64_cores(value.encode())}
    # The characters beside a core hold a part of the secret and a part of what surrounds it.
    around = r"[A-Za-z0-9+/_-]{0,4}"
    parts = [re.escape(part) for part in sorted(plain, key=lambda part: (-len(part), part))]
    cores = "|".join(re.escape(core) for core in sorted(encoded))
    return re.compile("|".join([*parts, f"{around}(?:{cores}){around}={{0,2}}"]))


def _spellings(value: str) -> set[str]:
    """As it is, as a URL has it with small or capital digits, and as JSON and Python quote it."""
    url = quote(value, safe="")
    small = re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), url)
    escaped = value.replace("\\", "\\\\")
    return {value, url, small, quote(value), escaped, escaped.replace('"', '\\"')}


def _base64_cores(value: bytes) -> Iterator[str]:
    """The characters of base64 that depend on `value` alone, for each place that it may have in a group of three."""
    for skipped in range(3):
        whole = value[skipped : skipped + (len(value) - skipped) // 3 * 3]
        core = b64encode(whole).decode()
        yield from {core, core.replace("+", "-").replace("/", "_")}
