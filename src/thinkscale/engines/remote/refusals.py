"""What a server's refusal means: statuses, error objects and headers as a Failure. Pure; the clock is handed in.

Both families of servers say the same things in different places: OpenAI in `error.code`, vLLM in a numeric
`error.code`, Anthropic in `error.type`, proxies in the status alone. Texts are for a person: short, and without
the key, which servers like to echo.
"""

import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from thinkscale.credentials import redact
from thinkscale.engines.remote.failures import Failure, FailureKind
from thinkscale.keys import JSON

MAX_TEXT = 300
SECRET_NAMES = ("auth", "key", "token", "cookie")
"""A header whose name holds one of these may hold a secret."""

_KINDS = {
    401: FailureKind.REFUSED_KEY,
    402: FailureKind.OUT_OF_CREDIT,
    403: FailureKind.REFUSED_KEY,
    408: FailureKind.SERVER_ERROR,
    409: FailureKind.SERVER_ERROR,
    429: FailureKind.RATE_LIMIT,
    502: FailureKind.CONNECTION,
    503: FailureKind.OVERLOADED,
    529: FailureKind.OVERLOADED,
}

_STATUS_OF = {
    "invalid_request_error": 400,
    "badrequesterror": 400,
    "context_length_exceeded": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "billing_error": 402,
    "insufficient_quota": 402,
    "billing_not_active": 402,
    "billing_hard_limit_reached": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "notfounderror": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "requests": 429,
    "tokens": 429,
    "api_error": 500,
    "server_error": 500,
    "internalservererror": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
    "engine_overloaded": 529,
}
"""Names in `error.code` and `error.type`, in lower case, of OpenAI, Anthropic and vLLM."""

_NO_CREDIT = re.compile(
    r"credit balance is too low|insufficient[ _](?:credit|balance|funds|quota)|out of credits?\b|billing_hard_limit",
    re.I,
)
"""Not the bare word `billing`: OpenAI's ordinary rate limits point to a page of that name."""

_WITHOUT_STATUS = 500
"""An error in mid-stream that names no kind we know: the server had accepted the request, so it is the server's."""


def refusal(status: int, headers: Mapping[str, str], body: JSON, *, now: float) -> Failure:
    """The failure that an HTTP answer other than 2xx stands for. `body` is its JSON, or its text.

    Names of `headers` are in lower case; `now` is Unix time, for a Retry-After that is a date. The text is not yet
    free of secrets: see `shown`.
    """
    error = _error_object(body)
    kind = _kind(status, _name_status(error), _message(error))
    hint = " (redirects are not followed: use the address it leads to)" if 300 <= status < 400 else ""
    limited = kind in (FailureKind.RATE_LIMIT, FailureKind.OVERLOADED, FailureKind.SERVER_ERROR)
    wait = retry_after(headers, now=now, limited=kind is FailureKind.RATE_LIMIT) if limited else None
    return Failure(kind, _short(f"HTTP {status}{hint}: {_message(error)}"), wait)


def failure_in(event: Mapping[str, JSON]) -> Failure | None:
    """The failure that an event or a result carries under `error`, None where it carries none."""
    error = event.get("error")
    if error is None:
        return None
    found = _error_object(dict(event))
    status = _name_status(found) or _WITHOUT_STATUS
    return Failure(_kind(status, status, _message(found)), _short(f"the server says: {_message(found)}"))


def _error_object(body: JSON) -> dict[str, JSON]:
    """The error of a body in any known shape: `{"error": {...}}`, `{"error": text}`, vLLM's bare object, plain text."""
    if not isinstance(body, dict):
        return {"message": body}
    error = body.get("error", body)
    if isinstance(error, list) and error:
        error = error[0]
    return error if isinstance(error, dict) else {"message": error}


def _message(error: Mapping[str, JSON]) -> str:
    said = error.get("message") or error.get("detail") or error.get("code") or error.get("type") or "no reason given"
    return " ".join(str(said).split())


def _name_status(error: Mapping[str, JSON]) -> int | None:
    """The status that the error's code or type stands for, None where neither is known."""
    for name in ("code", "type"):
        value = error.get(name)
        if isinstance(value, str):
            value = int(value) if value.isascii() and value.isdigit() and len(value) == 3 else value.lower()
            value = _STATUS_OF.get(value) if isinstance(value, str) else value
        if isinstance(value, int) and 400 <= value < 600:
            return value
    return None


def _kind(status: int, named: int | None, message: str) -> FailureKind:
    out_of_credit = named == 402 or _NO_CREDIT.search(message[:MAX_TEXT])
    if status == 402 or (out_of_credit and 400 <= status < 500):
        return FailureKind.OUT_OF_CREDIT
    if status in _KINDS:
        return _KINDS[status]
    return FailureKind.SERVER_ERROR if status >= 500 else FailureKind.BAD_REQUEST


def retry_after(headers: Mapping[str, str], *, now: float, limited: bool) -> float | None:
    """Seconds that the server asks us to wait, None where it asks for nothing. Names of `headers` in lower case.

    `retry-after-ms` comes before `retry-after` (seconds or an HTTP date). With `limited` the resets of
    `x-ratelimit-reset-*` count too: the latest of those that have nothing left, else the earliest of all.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        wait = _number(value, unit) if value else None
        if value and wait is None:
            wait = _until(value, now)
        if wait is not None:
            return wait
    return _reset(headers, now) if limited else None


def _reset(headers: Mapping[str, str], now: float) -> float | None:
    prefix = "x-ratelimit-reset"
    waits: dict[str, float] = {}
    for name, value in headers.items():
        if name.startswith(prefix) and (wait := _duration(value.strip(), now)) is not None:
            waits[name.removeprefix(prefix)] = wait
    spent = [wait for name, wait in waits.items() if headers.get(f"x-ratelimit-remaining{name}", "").strip() == "0"]
    if spent:
        return max(spent)
    return min(waits.values()) if waits else None


def _number(value: str, unit: float) -> float | None:
    try:
        seconds = float(value) * unit
    except ValueError:
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _until(date: str, now: float) -> float | None:
    try:
        return max(0.0, parsedate_to_datetime(date).timestamp() - now)
    except (ValueError, OverflowError, IndexError, TypeError):
        return None


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PIECE = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNIX_TIME = 10**9


def _duration(value: str, now: float) -> float | None:
    """`6m0s`, `20ms`, `1.5` (seconds), or a Unix time in seconds or milliseconds."""
    if (seconds := _number(value, 1.0)) is not None:
        if seconds >= _UNIX_TIME * 1000:
            seconds /= 1000
        return max(0.0, seconds - now) if seconds >= _UNIX_TIME else seconds
    if not value or _PIECE.sub("", value):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _PIECE.findall(value))


_WORD = re.compile(r"[^\s'\"]+")
_LOOKS_LIKE_A_KEY = re.compile(r"\b(?:sk|hf|gsk|xai|pk|rk|nvapi|AIza)[-_][\w*.…-]{4,}")


def secrets_of(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Values of headers that may be secret, without the name of their scheme; the longest first."""
    found = set()
    for name, value in headers.items():
        if any(part in name.lower() for part in SECRET_NAMES):
            found.update({value.strip(), value.strip().rpartition(" ")[2]})
    return tuple(sorted(found - {""}, key=len, reverse=True))


def without_secrets(said: str, secrets: tuple[str, ...]) -> str:
    """`said` with every secret as `***`: whole, or as a server shortens one (`sk-...abcd`, `****abcd`)."""
    for secret in secrets:
        said = said.replace(secret, "***")
    long = [secret for secret in secrets if len(secret) >= 8]

    def checked(found: re.Match[str]) -> str:
        word = found.group()
        is_short = any(mark in word for mark in ("**", "..", "…"))
        is_part = any(secret[:8] in word or (is_short and secret[-4:] in word) for secret in long)
        return "***" if is_part else word

    return _LOOKS_LIKE_A_KEY.sub("***", _WORD.sub(checked, said) if long else said)


def _short(said: str) -> str:
    return said[: 8 * MAX_TEXT]


def shown(failure: Failure, secrets: tuple[str, ...]) -> Failure:
    """`failure` with a text that may be shown: free of secrets first, and then cut to MAX_TEXT characters."""
    said = redact(without_secrets(failure.text, secrets))
    said = said if len(said) <= MAX_TEXT else said[: MAX_TEXT - 3] + "..."
    return Failure(failure.kind, said, failure.retry_after)
