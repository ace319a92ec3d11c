"""What can go wrong between us and a server, by what is to be done about it.

A failure is data. Some are the server's passing trouble (try again, perhaps elsewhere), some the key's (leave it out),
some the request's own (a retry would fail alike). Nothing else in the package decides by status codes or exceptions.
"""

from enum import StrEnum


class FailureKind(StrEnum):
    """Why one attempt brought no whole reply."""

    RATE_LIMIT = "rate_limit"
    """429: more requests or tokens than the server allows."""
    OVERLOADED = "overloaded"
    """503 or 529: the server has too much to do."""
    SERVER_ERROR = "server_error"
    """Any other 5xx, 408 or 409: the server's own trouble."""
    CONNECTION = "connection"
    """Refused, reset or unresolved before any reply; 502: a proxy could not reach the server."""
    STALL = "stall"
    """The server sent nothing for longer than it may."""
    TORN = "torn_stream"
    """The connection ended before the reply did."""
    MALFORMED = "malformed_reply"
    """A reply that is no JSON, or not of the protocol's shape."""
    WRONG_COUNTS = "wrong_counts"
    """The reply contradicts itself: more or fewer tokens, or choices, than it says or than were asked for."""
    REFUSED_KEY = "refused_key"
    """401 or 403: the key is wrong, or may not use this model."""
    OUT_OF_CREDIT = "out_of_credit"
    """402, or a 429 that says the quota is spent."""
    BAD_REQUEST = "bad_request"
    """Any other 4xx: this request will never be answered."""


TRANSIENT = frozenset(
    {
        FailureKind.RATE_LIMIT,
        FailureKind.OVERLOADED,
        FailureKind.SERVER_ERROR,
        FailureKind.CONNECTION,
        FailureKind.STALL,
        FailureKind.TORN,
        FailureKind.MALFORMED,
        FailureKind.WRONG_COUNTS,
    }
)
"""Worth another attempt."""

CROWDED = frozenset({FailureKind.RATE_LIMIT, FailureKind.OVERLOADED})
"""The server asks for less at a time. Such a failure is the server's, not the request's."""

OF_THE_KEY = frozenset({FailureKind.REFUSED_KEY, FailureKind.OUT_OF_CREDIT})
"""The key leaves the rotation; the request goes to another."""


class Failure(Exception):  # noqa: N818 - an outcome of one attempt, not an error for users
    """One failed attempt. `text` is for a person and holds no secret; `retry_after` is what the server asked for."""

    def __init__(self, kind: FailureKind, text: str, retry_after: float | None = None) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind
        self.text = text
        self.retry_after = retry_after
