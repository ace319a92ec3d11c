"""What the loopback server has done: a record of each attempt, totals for /metrics, and its prefix cache."""

from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from thinkscale.engines.scripted.faults import Fault
from thinkscale.engines.scripted.pieces import CHARACTERS_PER_TOKEN

BLOCK_TOKENS = 16
"""vLLM's block: a prefix is reused in whole blocks."""
CACHED_BLOCKS = 262_144
"""Four million tokens; the blocks that were used longest ago go first."""
LOGGED_ATTEMPTS = 250_000


class Ending(StrEnum):
    """How an attempt ended."""

    DONE = "done"
    """The whole reply was sent."""
    REFUSED = "refused"
    """A status other than 200."""
    BROKEN = "broken"
    """A fault spoilt the reply."""
    DISCONNECTED = "disconnected"
    """The client left."""


@dataclass(slots=True, kw_only=True)
class Served:
    """One attempt. Keys stand as hashes: a log holds no secret."""

    route: str
    request: str
    """Hash of the prompt and its seed."""
    key: str
    attempt: int
    """Which attempt of this request it is, from 1."""
    ending: Ending = Ending.DISCONNECTED
    status: int = 200
    fault: Fault | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    sent_tokens: int = 0

    @property
    def billed_tokens(self) -> int:
        """What a provider would charge for: the prompt, and what was written until it ended."""
        return self.prompt_tokens + self.sent_tokens if self.status == 200 else 0


class ServerLog:
    """Attempts in the order in which they ended (the last LOGGED_ATTEMPTS), and totals of all."""

    def __init__(self) -> None:
        self.attempts: deque[Served] = deque(maxlen=LOGGED_ATTEMPTS)
        self.endings: Counter[Ending] = Counter()
        self.statuses: Counter[int] = Counter()
        self.faults: Counter[Fault] = Counter()
        self.prompt_tokens = 0
        self.cached_tokens = 0
        self.sent_tokens = 0
        self.open = 0
        """Attempts that have begun and are not in the log yet."""
        self.running = 0
        """Requests that hold a slot now."""
        self.waiting = 0
        """Requests in line for one."""
        self.most_running = 0
        self._seen: Counter[str] = Counter()

    def next_attempt(self, request: str) -> int:
        """Counts another attempt of this request, and says which it is."""
        self._seen[request] += 1
        return self._seen[request]

    def take_back_attempt(self, request: str) -> None:
        """A limit refused it: it meets no fault, so that faults do not depend on how crowded the server was."""
        self._seen[request] -= 1

    @property
    def num_requests(self) -> int:
        """Different requests that were seen."""
        return len(self._seen)

    @property
    def billed_tokens(self) -> int:
        """Tokens of all attempts that a provider would charge for."""
        return self.prompt_tokens + self.sent_tokens

    def add(self, served: Served) -> None:
        """Notes an attempt that has ended."""
        self.open -= 1
        self.attempts.append(served)
        self.endings[served.ending] += 1
        self.statuses[served.status] += 1
        if served.fault is not None:
            self.faults[served.fault] += 1
        if served.status == 200:
            self.prompt_tokens += served.prompt_tokens
            self.cached_tokens += served.cached_tokens
            self.sent_tokens += served.sent_tokens

    def summary(self) -> str:
        """The totals for a person."""
        endings = ", ".join(f"{count:,} {ending}" for ending, count in sorted(self.endings.items()))
        faults = ", ".join(f"{count:,} {fault}" for fault, count in sorted(self.faults.items()))
        return (
            f"served {self.num_requests:,} requests in {sum(self.endings.values()):,} attempts"
            f" ({endings or 'none'}); faults: {faults or 'none'}; at most {self.most_running:,} at a time\n"
            f"{self.prompt_tokens:,} prompt tokens ({self.cached_tokens:,} of them cached) and {self.sent_tokens:,} "
            "completion tokens were sent and would be billed"
        )

    def metrics(self, model: str) -> str:
        """The totals as Prometheus text, named as vLLM names them."""
        rows = (
            ("gauge", "vllm:num_requests_running", self.running),
            ("gauge", "vllm:num_requests_waiting", self.waiting),
            ("counter", "vllm:prompt_tokens_total", self.prompt_tokens),
            ("counter", "vllm:generation_tokens_total", self.sent_tokens),
            ("counter", "vllm:prefix_cache_queries_total", self.prompt_tokens),
            ("counter", "vllm:prefix_cache_hits_total", self.cached_tokens),
            ("counter", "vllm:request_success_total", self.endings[Ending.DONE]),
        )
        return "".join(
            f'# TYPE {name} {kind}\n{name}{{engine="0",model_name="{model}"}} {float(value)}\n'
            for kind, name, value in rows
        )


@dataclass(slots=True)
class PrefixCache:
    """Which beginnings of sequences were seen, in blocks, as vLLM keeps them."""

    _blocks: OrderedDict[int, None] = field(default_factory=OrderedDict)

    def take(self, prompt: Sequence[int] | str) -> int:
        """Tokens of `prompt` that were cached; all but its last token can be. It is cached from now on."""
        size = BLOCK_TOKENS * (CHARACTERS_PER_TOKEN if isinstance(prompt, str) else 1)
        chain, hits, missed = 0, 0, False
        for end in range(size, len(prompt) + 1, size):
            chain = hash((chain, prompt[end - size : end]))
            if chain in self._blocks:
                self._blocks.move_to_end(chain)
                hits += BLOCK_TOKENS if not missed and end < len(prompt) else 0
            else:
                missed = True
                self._blocks[chain] = None
        while len(self._blocks) > CACHED_BLOCKS:
            self._blocks.popitem(last=False)
        return hits
