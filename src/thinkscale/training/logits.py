"""What the logits of a big vocabulary cost, by the kind of loss. No torch: plans ask it too.

A forward pass scores the positions that are trained, not all: N of them, over a vocabulary of V words and hidden states
of width H. `full` holds all N x V logits, `chunked` those of some positions at a time.
"""

CHUNK_BYTES = 256 * 2**20
"""Float32 logits that `chunked` holds at once."""


def chunk_positions(vocabulary: int) -> int:
    """Positions whose logits `chunked` computes together: 441 for 151,936 words."""
    return max(1, CHUNK_BYTES // (4 * vocabulary))


def logit_bytes(loss: str, positions: int, vocabulary: int, *, half: bool) -> int:
    """Peak memory of logits and their gradients for so many trained positions; `half`: computed in 16 bits.

    `full`: 12 bytes each, at the start of the backward pass: their log-softmax, its gradient and the logits' own, all
    float32 (and in half precision the logits' gradient once more in 2 bytes). `chunked` and `fused`: 4 bytes each of
    one chunk, made into its own gradient in place, and 2 bytes for the 16-bit product. The gradient of the head (4
    bytes a weight, float32) and a copy of it in 16 bits come on top in `chunked` as anywhere else.
    """
    if loss == "full":
        return (14 if half else 12) * positions * vocabulary
    return (6 if half else 4) * min(positions, chunk_positions(vocabulary)) * vocabulary
