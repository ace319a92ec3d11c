"""Whole programs: what works under plain Python works in a sandbox; what harms is contained, and told."""

from dataclasses import replace
from typing import Any

import pytest

from tests.sandbox.tables import cases, name
from thinkscale.grading.execution import Ending
from thinkscale.sandbox.programs import Sandbox


@pytest.mark.parametrize("case", cases("right_programs.jsonl"), ids=name)
def test_right_programs_run_as_under_plain_python(each_sandbox: Sandbox, case: dict[str, str]) -> None:
    with each_sandbox.open(case["source"]) as program:
        ran = program.run(case["stdin"].encode())
    assert (ran.ending, ran.stdout.decode()) == (Ending.FINISHED, case["stdout"]), ran.detail


@pytest.mark.parametrize("case", cases("hostile_programs.jsonl"), ids=name)
def test_hostile_programs_are_contained_and_the_sandbox_stays_of_use(
    each_sandbox: Sandbox, case: dict[str, Any]
) -> None:
    source = case.get("source") or "".join(text * times for text, times in case["parts"])
    waits = case["endings"] == [Ending.WALL_TIME]
    limits = replace(each_sandbox.limits, cpu_seconds=0.1, wall_seconds=0.2 if waits else 5.0)
    with each_sandbox.open(source) as program:
        ran = program.run(b"", limits)
    assert ran.ending in case["endings"], (ran.ending, ran.detail)
    assert len(ran.detail) <= 2_000
    with each_sandbox.open("import os; print(os.listdir())") as program:
        assert program.run(b"").stdout == b"['main.py']\n"
