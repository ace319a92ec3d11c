"""How a model is spread over the GPUs of one machine: pure arithmetic on memory, and reasons in words.

Tensor parallelism splits a model over GPUs, data parallelism copies it. Splitting costs communication in every layer,
so the smallest split that leaves enough room for caches wins. Room matters as much as fit: a 32B model fits one GPU of
80 GiB, but then one long trace fills it, while split over two GPUs nine run side by side.

Rejected: starting the server and halving the length until it stops dying of memory, which takes minutes a try.
"""

from dataclasses import dataclass, replace

from thinkscale.engines.serving.footprint import Footprint
from thinkscale.errors import ConfigError

GIB = 1 << 30
UTILIZATION = 0.9
"""Share of a GPU's memory that vLLM may take. We pass it, since vLLM's default differs between versions."""
RESERVE_GIB = 2.0
"""An estimate of what activations and CUDA graphs take of that share on each GPU."""
REASONING_TOKENS = 32768
"""The most that the teachers of s1 and of the R1 distillations are allowed to write."""
PROMPT_TOKENS = 4096
"""Room for the question beside it."""
CONCURRENCY = 16
"""Full-length traces that a server should hold at once before a wider split stops paying."""
LARGEST_SPLIT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """GPUs that one server may use, all alike."""

    num_gpus: int
    gpu_memory_gib: float

    @property
    def usable_bytes(self) -> int:
        """Of each GPU, for weights and caches."""
        return int((self.gpu_memory_gib * UTILIZATION - RESERVE_GIB) * GIB)

    def __str__(self) -> str:
        return f"{self.num_gpus} x {self.gpu_memory_gib:g} GiB"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServePlan:
    """One way of serving a model: `data_parallel` copies, each split over `tensor_parallel` GPUs."""

    footprint: Footprint
    machine: Machine
    max_model_len: int
    """Tokens of the longest sequence, prompt included."""
    tensor_parallel: int
    data_parallel: int
    cache_tokens: int
    """Tokens whose keys and values one copy can hold."""

    @property
    def sequences_per_copy(self) -> int:
        """Sequences of full length that one copy can hold at once."""
        return self.cache_tokens // self.max_model_len

    @property
    def sequences(self) -> int:
        """The same of the whole server."""
        return self.sequences_per_copy * self.data_parallel

    @property
    def idle_gpus(self) -> int:
        """GPUs that no copy uses."""
        return self.machine.num_gpus - self.tensor_parallel * self.data_parallel


def plan_server(
    footprint: Footprint, machine: Machine, *, max_model_len: int | None = None, concurrency: int = CONCURRENCY
) -> ServePlan:
    """The smallest split with which the server holds `concurrency` full-length sequences; else the roomiest one.

    Raises ConfigError where not even one sequence fits, and names what would fit; also where `max_model_len` exceeds
    what the model was made for.
    """
    if machine.num_gpus < 1 or machine.usable_bytes <= 0:
        raise ConfigError(f"{machine} is no machine that can serve; give --gpus and --gpu-memory-gib")
    length = max_model_len or default_length(footprint)
    if length > footprint.context_tokens:
        raise ConfigError(
            f"{footprint.name} was made for {footprint.context_tokens:,} tokens, not {length:,}; "
            "a longer context needs its own rope scaling, given to vLLM by hand"
        )
    plans = [
        plan for split in splits(footprint, machine.num_gpus) if (plan := _plan(footprint, machine, length, split))
    ]
    if not plans:
        raise ConfigError(_refusal(footprint, machine, length))
    return next((plan for plan in plans if plan.sequences >= concurrency), max(plans, key=lambda plan: plan.sequences))


def default_length(footprint: Footprint) -> int:
    """A teacher's longest trace and its question, or the model's context where that is shorter."""
    return min(footprint.context_tokens, REASONING_TOKENS + PROMPT_TOKENS)


def splits(footprint: Footprint, num_gpus: int) -> list[int]:
    """Powers of two up to `num_gpus` over which the heads of the model can be divided evenly."""
    sizes = footprint.architecture
    powers = [1 << power for power in range(num_gpus.bit_length())]
    return [
        split
        for split in powers
        if split <= num_gpus
        and sizes.attention_heads % split == 0
        and (sizes.kv_heads % split == 0 or split % sizes.kv_heads == 0)
    ]


def cache_tokens(footprint: Footprint, machine: Machine, split: int) -> int:
    """Tokens that one copy over `split` GPUs can cache beside its weights; negative where they alone do not fit."""
    weights = -(-footprint.weight_bytes // split)
    return (machine.usable_bytes - weights) // footprint.kv_bytes_per_token(split)


def _plan(footprint: Footprint, machine: Machine, length: int, split: int) -> ServePlan | None:
    tokens = cache_tokens(footprint, machine, split)
    if tokens < length:
        return None
    return ServePlan(
        footprint=footprint,
        machine=machine,
        max_model_len=length,
        tensor_parallel=split,
        data_parallel=machine.num_gpus // split,
        cache_tokens=tokens,
    )


def fewest_gpus(footprint: Footprint, gpu_memory_gib: float, length: int) -> int | None:
    """How few GPUs of this size hold the weights and one sequence of `length`; None where 16 are too few."""
    machine = Machine(num_gpus=LARGEST_SPLIT, gpu_memory_gib=gpu_memory_gib)
    fitting = (split for split in splits(footprint, LARGEST_SPLIT) if cache_tokens(footprint, machine, split) >= length)
    return next(fitting, None)


def in_eight_bits(footprint: Footprint) -> Footprint:
    """The model with its weights rounded to fp8 by vLLM while they are read. Raises ConfigError on other than 16 bits.

    Embeddings stay in 16 bits (a seventh of a 7B model), so 60% are counted, not half.
    """
    if footprint.is_quantized or footprint.dtype != "bfloat16":
        raise ConfigError(f"the weights of {footprint.name} are not stored in 16 bits, so fp8 does not apply to them")
    return replace(footprint, weight_bytes=footprint.weight_bytes * 6 // 10, is_quantized=True)


def _fits_in_eight_bits(footprint: Footprint, machine: Machine, length: int) -> bool:
    if footprint.is_quantized or footprint.dtype != "bfloat16":
        return False
    lighter = in_eight_bits(footprint)
    return any(cache_tokens(lighter, machine, split) >= length for split in splits(lighter, machine.num_gpus))


def _refusal(footprint: Footprint, machine: Machine, length: int) -> str:
    """Why nothing fits, and each thing that would."""
    weights = footprint.weight_bytes / GIB
    cache = footprint.kv_bytes_per_token() * length / GIB
    ways = []
    room = max((cache_tokens(footprint, machine, split) for split in splits(footprint, machine.num_gpus)), default=0)
    if room >= PROMPT_TOKENS:
        ways.append(f"--max-model-len {room // 1024 * 1024}")
    if (enough := fewest_gpus(footprint, machine.gpu_memory_gib, length)) is not None:
        ways.append(f"--gpus {enough} of this size")
    if _fits_in_eight_bits(footprint, machine, length):
        ways.append("--quantization fp8, which makes the weights about half as large and may change answers")
    return (
        f"{footprint.name} does not fit {machine}: its weights take {weights:.1f} GiB and one sequence of "
        f"{length:,} tokens {cache:.1f} GiB, where {UTILIZATION:.0%} of each GPU less {RESERVE_GIB:g} GiB is free "
        f"for both; what would fit: {'; '.join(ways) or 'a smaller model, or larger GPUs'}"
    )


def reasons(plan: ServePlan) -> list[str]:
    """The arithmetic of a plan, a line for each step."""
    footprint, split = plan.footprint, plan.tensor_parallel
    weights = footprint.weight_bytes / GIB
    lines = [
        f"{plan.machine}: {plan.machine.usable_bytes / GIB:.1f} GiB of each GPU for weights and caches "
        f"({UTILIZATION:.0%} less an estimated {RESERVE_GIB:g} GiB for activations)",
        f"weights: {weights:.1f} GiB, {weights / split:.1f} GiB on each of {split}",
        f"cache: {footprint.kv_bytes_per_token(split) / 1024:g} KiB a token on each GPU, "
        f"room for {plan.cache_tokens:,} tokens in each copy",
        f"copies: {plan.data_parallel}, each over {split} {'GPU' if split == 1 else 'GPUs'}: "
        f"{plan.sequences} sequences of {plan.max_model_len:,} tokens at once, more while they are shorter",
    ]
    if plan.idle_gpus:
        lines.append(f"idle: {plan.idle_gpus} of {plan.machine.num_gpus} GPUs, too few for a further copy")
    return lines
