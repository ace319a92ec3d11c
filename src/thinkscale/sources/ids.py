"""Ids that name one row of a run, whatever the sources call their rows.

A row without an id of its own is named by the content key of its text. The second row with that text is `KEY#2`: the
two repeat each other, which duplicate removal finds by their texts and says, but an id names one row. An id that the
source states twice is refused where ids matter. Elsewhere it names another row where the question is another (`ID#2`),
and the row repeats an earlier one where it is the same. Sources of others may count from 0 each, so an id that an
earlier source has gets the source's name before it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from thinkscale.keys import JSON
from thinkscale.records import Problem, problem_id


class Ids:
    """Ids in use, of problems and of rows that became none. `strict`: no id may be stated twice, whatever it names."""

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._owners: dict[str, tuple[int, int]] = {}
        """Id to the number of its source and a hash of its question."""
        self._next: dict[str, int] = {}

    def settle(self, problem: Problem, row: Mapping[str, JSON], source: int, name: str) -> Problem | None:
        """`problem` under an id that is free; None where source number `source` repeats an id that may not repeat."""
        own, question = problem, _hash(problem.question)
        if self._owners.get(problem.id, (source, 0))[0] != source:
            own = replace(problem, id=f"{name}-{problem.id}")
        if own.id in self._owners:
            is_same = self._owners[own.id][1] == question
            if (self._strict or is_same) and not is_derived(problem, row):
                return None
            own = replace(own, id=self._free(own.id))
        self._owners[own.id] = (source, question)
        return own

    def take(self, wanted: str) -> str:
        """`wanted`, or `wanted` with a number: no fate may hide behind another row's id."""
        free = self._free(wanted)
        self._owners[free] = (-1, -1)
        return free

    def _free(self, wanted: str) -> str:
        if wanted not in self._owners:
            return wanted
        number = self._next.get(wanted, 2)
        while f"{wanted}#{number}" in self._owners:
            number += 1
        self._next[wanted] = number + 1
        return f"{wanted}#{number}"


def is_derived(problem: Problem, row: Mapping[str, JSON]) -> bool:
    """Whether the id is made of the text, since the row states none."""
    derived = problem_id(problem.source, problem.question, problem.choices)
    # A shuffle of options comes after the id was made, so an id that no column states is derived too.
    return problem.id == derived or problem.id not in [str(value) for value in row.values()]


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest())
