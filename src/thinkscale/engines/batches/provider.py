"""The seam to a provider's batch interface: lines in, one result for each line out, at half the price and in a day."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Protocol

import aiohttp

from thinkscale.engines.batches.notes import Flight
from thinkscale.engines.chat import ChatCompletion, ChatRequest
from thinkscale.engines.remote.failures import Failure
from thinkscale.engines.remote.wire import Dialect
from thinkscale.keys import JSON

MAX_ROWS = 10_000
MAX_BYTES = 100 * 2**20
"""Below what either provider takes (OpenAI 50,000 rows and 200 MB, Anthropic 100,000 and 256 MB): a batch is in
memory while it is sent, and a smaller one is finished sooner."""
SEARCH_SECONDS = 600
"""How much earlier than its note a batch may seem to have been created: clocks differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchState:
    """Where a batch stands."""

    ended: bool
    files: tuple[str, ...] = ()
    """Files of results, where the provider has such."""
    failure: Failure | None = None
    """Why the batch as a whole brought nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowResult:
    """What became of one line: the body of a reply, or a failure."""

    custom_id: str
    body: Mapping[str, JSON] | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a search for a batch without an id brought. Undecided: it may be one that the provider does not show yet."""

    batch_id: str | None = None
    decided: bool = True


class BatchProvider(Protocol):
    """One provider with one key. Everything may raise Failure."""

    @property
    def dialect(self) -> Dialect[ChatRequest, ChatCompletion]:
        """Makes bodies and reads replies."""
        ...

    @property
    def max_rows(self) -> int:
        """Most rows of a batch."""
        ...

    @property
    def max_bytes(self) -> int:
        """Most bytes of a batch's lines."""
        ...

    def line(self, custom_id: str, body: Mapping[str, JSON]) -> bytes:
        """One row as it is sent."""
        ...

    async def submit(self, session: aiohttp.ClientSession, marker: str, lines: list[bytes]) -> str:
        """Creates a batch that can be found by `marker`; its id."""
        ...

    async def search(self, session: aiohttp.ClientSession, flight: Flight) -> Search:
        """The batch of a note that has no id."""
        ...

    async def poll(self, session: aiohttp.ClientSession, batch_id: str) -> BatchState:
        """Where the batch stands."""
        ...

    def results(
        self, session: aiohttp.ClientSession, batch_id: str, state: BatchState
    ) -> AsyncGenerator[RowResult, None]:
        """Results of an ended batch, in any order."""
        ...
