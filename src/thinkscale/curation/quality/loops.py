"""Repetition: a text that ends in a loop, and a question that states itself twice."""

LOOP_TAIL_CHARACTERS = 8_000
MIN_LOOP_CHARACTERS = 300
MIN_LOOP_REPEATS = 5
PROBE_CHARACTERS = 24
"""The end of a loop occurs once more, one unit earlier: 24 characters fit twice in any loop of 300."""

START_CHARACTERS = 40
MIN_TWICE_SHARE = 0.4


def repetition_loop(text: str) -> tuple[str, int] | None:
    """The unit that the end of `text` repeats and how often, None where it does not loop.

    A loop is an end of at least 300 characters made of one unit at least five times (the first perhaps cut). Only the
    last 8,000 characters are looked at, so units up to 1,600 characters are found; linear in their number.
    """
    tail = text[-2 * LOOP_TAIL_CHARACTERS :].rstrip()[-LOOP_TAIL_CHARACTERS:]
    if len(tail) < MIN_LOOP_CHARACTERS or tail.find(tail[-PROBE_CHARACTERS:]) == len(tail) - PROBE_CHARACTERS:
        return None
    backwards = tail[::-1]
    best: tuple[str, int] | None = None
    border = [0] * len(backwards)
    for position in range(1, len(backwards)):
        length = border[position - 1]
        while length and backwards[position] != backwards[length]:
            length = border[length - 1]
        border[position] = length + (backwards[position] == backwards[length])
        covered = position + 1
        period = covered - border[position]
        if covered >= MIN_LOOP_CHARACTERS and covered >= MIN_LOOP_REPEATS * period:
            best = backwards[:period][::-1], covered // period
    return best


def stated_twice(text: str) -> str | None:
    """The beginning of `text` that comes once more and makes up at least 40% of it; None where there is none.

    Only what starts with the first 40 characters again is looked at: a sentence that two parts of a question share is
    usual, a question that begins anew is not.
    """
    again = text.find(text[:START_CHARACTERS], START_CHARACTERS)
    if again < 0:
        return None
    length = next(
        (place for place, (one, other) in enumerate(zip(text[:again], text[again:], strict=False)) if one != other),
        min(again, len(text) - again),
    )
    return text[:length] if length >= MIN_TWICE_SHARE * len(text) else None
