"""One pure function for each set whose columns alone do not make a problem: a row of the set to a row in our words.

A reader is given the row and the stem of its file. It sets `question`, `reference`, `choices`, `kind` or `solution`
where columns do not carry them, takes away what it used, and leaves the rest to the entry's `columns` and `facts`.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from thinkscale.keys import JSON
from thinkscale.sources.readers import exams, olympiads, pools, programs

Row: TypeAlias = Mapping[str, JSON]

READERS: Mapping[str, Callable[[Row, str], dict[str, JSON]]] = {
    "agieval": exams.agieval,
    "dapo": pools.dapo,
    "gpqa": exams.gpqa,
    "human_eval": programs.human_eval,
    "jeebench": exams.jeebench,
    "livecodebench": programs.livecodebench,
    "olympiad_bench": olympiads.olympiad_bench,
    "olympic_arena": olympiads.olympic_arena,
    "options": exams.options,
    "programs": programs.programs,
    "s1_pool": pools.s1_pool,
    "scieval": exams.scieval,
    "theoremqa": olympiads.theoremqa,
    "xword": exams.xword,
}
