"""How much arithmetic a training takes, what a device could do, and the share of it that was used (MFU).

    operations per token = 6 P + 6 L Q s      (forward 2, backward 4; each is a multiplication and an addition)

P: parameters that a token is multiplied with (a tied head counts, an embedding that is only looked up does not);
L: layers; Q: elements of a token's queries; s: the length of the row that a token stands in, averaged over tokens. A
token attends to s / 2 tokens on average, so scores and values take 2 * 2 * Q * s / 2 forward and twice that backward.

Chosen: the causal half, since the other half need not be computed and good kernels skip it. PaLM's appendix B (arXiv
2204.02311) and nanoGPT count 12 L Q s, without the half; `is_causal=False` gives theirs. As in PaLM's definition of
MFU, recomputed activations do not count: they are the price of memory, not of the model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml

from thinkscale.training.shapes import ModelShape

TERA = 1e12


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """An accelerator: memory in GiB, peak rates in operations a second by dtype, and where they are from."""

    name: str
    match: tuple[str, ...]
    memory_gib: float
    peaks: Mapping[str, float]
    source: str


def training_flops_per_token(
    shape: ModelShape, mean_length: float, *, is_adapter: bool = False, has_reference: bool = False
) -> float:
    """Operations of training on one token in rows of `mean_length` tokens (`token_weighted_length`).

    With `is_adapter`, frozen weights need no gradient: 4 P for 6 P (the adapters' own arithmetic, about a hundredth,
    is left out). With `has_reference`, a frozen copy reads the token too (DPO without stored log-probabilities).
    """
    forward = flops_per_token(shape.matrix_parameters, shape.layers, shape.query_size, mean_length) / 3
    whole = 3 * forward
    if is_adapter:
        whole -= 2 * shape.matrix_parameters
    return whole + (forward if has_reference else 0)


def flops_per_token(
    parameters: float, layers: int, query_size: int, mean_length: float, *, is_causal: bool = True
) -> float:
    """The formula above on bare numbers; without `is_causal`, PaLM's."""
    return 6 * parameters + (6 if is_causal else 12) * layers * query_size * mean_length


def token_weighted_length(lengths: Sequence[int]) -> float:
    """The length of the row that a token stands in, averaged over all tokens: sum of squares over sum."""
    return sum(length * length for length in lengths) / sum(lengths)


def utilization(tokens_per_second: float, flops: float, peak: float, devices: int = 1) -> float:
    """Model FLOPs utilization: what was done of what `devices` could do. `flops` is per token, `peak` per second."""
    return tokens_per_second * flops / (peak * devices)


def find_device(name: str) -> Device | None:
    """What is known of the device that the driver, or a person, calls `name`; None for others, and parts of one."""
    said = name.upper()
    words = set(said.replace("-", " ").replace("_", " ").split())
    if "MIG" in words:
        return None
    return next((device for device in _devices() if all(_stands(word, said, words) for word in device.match)), None)


def peak_flops(device_name: str, dtype: str = "bfloat16") -> float | None:
    """Dense peak in operations a second; None where device or dtype is not known."""
    device = find_device(device_name)
    return None if device is None else device.peaks.get(dtype)


def known_devices() -> tuple[str, ...]:
    """Names of the devices in the table."""
    return tuple(device.name for device in _devices())


def _stands(word: str, said: str, words: set[str]) -> bool:
    """A word of the name; short ones (A10, L4) only as a whole, since others begin with them (A100, L40)."""
    return word in words or (len(word) > len("A100") and word in said)


@cache
def _devices() -> tuple[Device, ...]:
    rows = yaml.safe_load(files("thinkscale.training").joinpath("devices.yaml").read_text(encoding="utf-8"))
    return tuple(
        Device(
            name=row["name"],
            match=tuple(word.upper() for word in row["match"]),
            memory_gib=row["memory_gib"],
            peaks={dtype: row[dtype] * TERA for dtype in ("bfloat16", "float32")},
            source=row["source"],
        )
        for row in rows
    )
