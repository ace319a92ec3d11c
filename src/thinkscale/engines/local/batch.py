"""The running batch: who enters, who shares whose cache, who gives way when memory is short."""

from collections import deque
from collections.abc import Sequence

import torch

from thinkscale.engines.local.memory import Room, Source, is_out_of_memory
from thinkscale.engines.local.passes import LEAST_PREFILL_TOKENS, Passes, prefill_groups
from thinkscale.engines.local.rows import Drawn, Row, begin_row, completed, failed, shared_length, take_token
from thinkscale.engines.local.shelf import HEAD_TOKENS
from thinkscale.engines.tokens import DRAFT_TOKENS, Drafts, TokenCompletion, TokenRequest, save_draft
from thinkscale.records import Finish

MOST_FED_TOKENS = 64
"""A row with more tokens than this beyond what it shares is prefilled: a pass is cheaper than as many steps."""


class Batch:
    """Rows of one `complete` call. `limit` is the most that run at once; lack of memory lowers it."""

    def __init__(self, passes: Passes, room: Room, drafts: Drafts, limit: int) -> None:
        self._passes = passes
        self._room = room
        self._drafts = drafts
        self._limit = limit
        self._waiting: deque[Row] = deque()
        self._next: Row | None = None
        self._num_begun = 0

    @property
    def is_busy(self) -> bool:
        """Whether rows run, or wait to run again."""
        return bool(self._room.num_rows or self._waiting)

    @torch.inference_mode()
    def admit(self, queue: deque[TokenRequest]) -> list[TokenCompletion]:
        """Moves requests from the queue into free rows; returns those that need no row.

        Those that share nearly all of their tokens with a cached sequence enter at once; the others wait for a
        quarter of the rows, since a prefill is a pass of its own, unless all that wait fit or the batch is empty."""
        done: list[TokenCompletion] = []
        entered: list[Row] = []
        try:
            self._enter(queue, done, entered)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        else:
            return done
        # Outside of the handler: an exception that is being handled holds the tensors of its frames.
        return done + self._relieve(entered)

    def _enter(self, queue: deque[TokenRequest], done: list[TokenCompletion], entered: list[Row]) -> None:
        """Fills the free rows; `done` and `entered` are lists to add to, since memory may end in the middle."""
        joining: list[Row] = []
        free = self._limit - self._room.num_rows
        patient = free < min(len(queue) + len(self._waiting), self._limit // 4)
        while self._room.num_rows < self._limit and (row := self._peek(queue, done)):
            source = self._room.source(row)
            is_quick = source is not None and len(row.tokens) - 1 - source.shared <= MOST_FED_TOKENS
            if (patient and not is_quick) or not self._room.place(row, self._room.band_for(len(row.tokens))):
                break
            self._take(queue)
            entered.append(row)
            if source:
                self._copy(row, source)
            if not is_quick:
                joining.append(row)
        self._join(joining)

    def _peek(self, queue: deque[TokenRequest], done: list[TokenCompletion]) -> Row | None:
        """The row that comes next, which stays where it is; requests that need none go to `done`."""
        if self._waiting:
            return self._waiting[0]
        while queue:
            request = queue[0]
            if self._next is None or self._next.request is not request:
                problem = self._problem(request)
                if problem:
                    done.append(failed(request, problem))
                    queue.popleft()
                    continue
                self._next = begin_row(request, self._drafts, self._num_begun)
            if not self._next.is_full:
                return self._next
            done.append(completed(self._next, Finish.LENGTH))
            queue.popleft()
        return None

    def _take(self, queue: deque[TokenRequest]) -> None:
        if self._waiting:
            self._waiting.popleft()
        else:
            queue.popleft()
            self._num_begun += 1
            self._next = None

    def _problem(self, request: TokenRequest) -> str | None:
        needed = len(request.prompt) + request.sampling.max_tokens
        most = self._room.bands[-1].capacity
        if not request.prompt:
            return "empty prompt"
        if needed > most:
            return f"prompt and max_tokens need {needed} tokens, the model has {most}"
        return None

    def _join(self, joining: Sequence[Row]) -> None:
        """Prefills rows, each beginning once; rows that begin like one of them copy it and add what is their own."""
        leaders: list[Row] = []
        others: list[Row] = []
        for row in joining:
            is_alike = not row.length and any(_is_alike(row, leader) for leader in leaders)
            (others if is_alike else leaders).append(row)
        self._prefill(leaders)
        for row in others:
            source = self._room.source(row)
            if source:
                self._copy(row, source)
        self._prefill([row for row in others if row.missing > MOST_FED_TOKENS])

    def _prefill(self, rows: Sequence[Row]) -> None:
        for band, group in prefill_groups(self._room.bands, rows, self._passes.prefill_tokens):
            self._passes.prefill(band, group)

    def _copy(self, row: Row, source: Source) -> None:
        band = self._room.band_of(row)
        band.fill(band.rows.index(row), source.columns, source.shared)
        row.length = source.shared

    @torch.inference_mode()
    def step(self) -> list[TokenCompletion]:
        """Feeds one token to every row, draws the next, and returns the rows that finished."""
        try:
            self._widen()
            drawn = self._passes.step(self._room.bands) if self._room.num_rows else []
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        else:
            return self._take_drawn(drawn)
        return self._relieve([])

    def _take_drawn(self, drawn: Sequence[Drawn]) -> list[TokenCompletion]:
        taken = [(row, take_token(row, item)) for row, item in zip(self._room.rows, drawn, strict=True)]
        for row, completion in taken:
            if completion:
                self._room.put_away(row)
            elif row.num_ids - row.saved >= DRAFT_TOKENS:
                self._save(row)
        return [completion for _, completion in taken if completion]

    def _widen(self) -> None:
        """Moves rows that fill their band to the next; the youngest rows give way where there is no memory for it."""
        for band in self._room.bands[:-1]:
            for row in sorted((row for row in band.rows if row.length == band.capacity), key=lambda row: row.order):
                wider = self._room.band_for(band.capacity + 1)
                while row in band.rows and not self._room.move(row, band, wider):
                    self._pause(max(self._room.rows, key=lambda row: row.order))

    def _pause(self, row: Row) -> None:
        """Takes a row out of the batch until there is room; what it generated is kept, its cache is not."""
        self._room.band_of(row).remove(row)
        row.length = 0
        self._waiting.append(row)
        self._waiting = deque(sorted(self._waiting, key=lambda row: row.order))

    def _relieve(self, entered: Sequence[Row]) -> list[TokenCompletion]:
        """After a pass that ran out of memory: smaller prefills, then fewer rows, then the one that is left fails."""
        done = []
        rows = sorted(self._room.rows, key=lambda row: row.order)
        if entered and self._passes.prefill_tokens > LEAST_PREFILL_TOKENS:
            self._passes.prefill_tokens //= 2
        elif len(rows) > 1:
            self._limit = len(rows) // 2
        else:
            self._room.band_of(rows[0]).remove(rows[0])
            done = [failed(rows[0].request, f"out of memory with {len(rows[0].tokens)} tokens alone in the batch")]
        for row in [*rows[self._limit :], *(row for row in rows[: self._limit] if row in entered)]:
            if row in self._room.rows:
                self._pause(row)
        self._room.release()
        return done

    def save_drafts(self) -> None:
        """Saves what every unfinished row has beyond its last draft."""
        for row in [*self._room.rows, *self._waiting]:
            if row.num_ids > row.saved:
                self._save(row)

    def _save(self, row: Row) -> None:
        save_draft(self._drafts, row.request, row.ids, row.logprobs)
        row.saved = row.num_ids


def _is_alike(row: Row, leader: Row) -> bool:
    """Whether it pays to wait for `leader`'s prefill and copy it."""
    least = min(HEAD_TOKENS, len(row.tokens) - 1)
    if row.tokens[:least] != leader.tokens[:least] or not least:
        return False
    return min(shared_length(row.tokens, leader.tokens), len(leader.tokens) - 1) >= least
