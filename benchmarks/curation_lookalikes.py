r"""Planted look-alikes of benchmark items: other problems that share much of their text, so no hit is right.

The texts that are mixed in come from a pool, never from another benchmark item. A changed number makes another problem,
even one among fifty words: that is strict, and the kinds are reported apart.
"""

import random
import re

from curation_edits import NUMBER
from curation_wrappers import SENTENCE_END, Edit

FLIPS = (
    (r"(?<=[\w)}]) ?\+ ?(?=[\w\\(])", " - "),
    (r"(?<=[\w)}]) ?(?<!-)-(?!-) ?(?=[\d\\(])", " + "),
    (r"\b(?:maximum|largest|greatest)\b", "smallest"),
    (r"\b(?:minimum|smallest|least)\b", "largest"),
    (r"\bsum\b", "product"),
    (r"\bproduct\b", "sum"),
    (r"\barea\b", "perimeter"),
    (r"\beven\b", "odd"),
    (r"\bodd\b", "even"),
    (r"\\sin\b", r"\\cos"),
    (r"\\cos\b", r"\\sin"),
    (r"\bmean\b", "median"),
)
MIN_WORDS = 8


def one_number(text: str, draw: random.Random) -> str | None:
    """One number is another one."""
    places = list(NUMBER.finditer(text))
    if not places:
        return None
    place = draw.choice(places)
    return text[: place.start()] + _other(place.group(), draw) + text[place.end() :]


def all_numbers(text: str, draw: random.Random) -> str | None:
    """Three numbers or more, and each is another one."""
    if len(NUMBER.findall(text)) < 3:
        return None
    return NUMBER.sub(lambda match: _other(match.group(), draw), text)


def _other(number: str, draw: random.Random) -> str:
    """Another number with as many digits."""
    low, high = (2, 9) if len(number) == 1 else (10 ** (len(number) - 1), 10 ** len(number) - 1)
    return str(
        draw.choice(
            [other for other in (draw.randint(low, high) for _ in range(8)) if other != int(number)]
            or [int(number) + 1]
        )
    )


def other_relation(text: str, draw: random.Random) -> str | None:
    """One sign or one word that decides the problem is its opposite."""
    possible = [(pattern, word) for pattern, word in FLIPS if re.search(pattern, text)]
    if not possible:
        return None
    pattern, word = draw.choice(possible)
    return re.sub(pattern, word, text, count=1)


def mixed_with(pool: list[str]) -> dict[str, Edit]:
    """The kinds of look-alikes; `pool` lends the texts that are mixed in."""

    def cut(text: str) -> tuple[str, str] | None:
        ends = list(SENTENCE_END.finditer(text))
        if not ends:
            return None
        return text[: ends[-1].start()], text[ends[-1].end() :]

    def stranger(draw: random.Random) -> tuple[str, str]:
        while True:
            parts = cut(draw.choice(pool))
            if parts and min(len(part.split()) for part in parts) >= MIN_WORDS:
                return parts

    def other_question(text: str, draw: random.Random) -> str | None:
        """The same set-up, another question at its end."""
        parts = cut(text)
        if not parts or len(parts[0].split()) < MIN_WORDS or len(parts[1].split()) < MIN_WORDS:
            return None
        return f"{parts[0]} {stranger(draw)[1]}"

    def same_opening(text: str, draw: random.Random) -> str | None:
        """The first twelve words, or a quarter of the text, whichever is less, before another problem."""
        words = text.split(" ")
        if len(words) < 4 * MIN_WORDS:
            return None
        return " ".join(words[: min(12, len(words) // 4)]) + ". " + " ".join(stranger(draw))

    def same_closing(text: str, draw: random.Random) -> str | None:
        """Another set-up before the same last sentence, of at least eight words, at most half of the text."""
        parts = cut(text)
        if not parts or len(parts[1].split()) < MIN_WORDS or len(parts[1].split()) > len(parts[0].split()):
            return None
        return f"{stranger(draw)[0]} {parts[1]}"

    return {
        "one_number": one_number,
        "all_numbers": all_numbers,
        "other_relation": other_relation,
        "other_question": other_question,
        "same_opening": same_opening,
        "same_closing": same_closing,
    }
