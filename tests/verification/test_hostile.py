"""Hostile answers through the whole path (rules, then symbols): nothing is evaluated, hangs, or crashes."""

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from thinkscale.grading import Outcome, compare, extract_answer
from thinkscale.grading.execution import Limits
from thinkscale.grading.verdicts import Judgement, judge_by_rules
from thinkscale.records import Finish, Kind, Problem, Response, Role, Sampling, Verdict
from thinkscale.verification.symbolic.grader import SymbolicGrader

SPARE_SECONDS = 0.3
"""What a process may use beyond its timer: its start and its end."""
CANARY = "/tmp/thinkscale-was-evaluated"
LIMITS = Limits(cpu_seconds=0.4, wall_seconds=20.0, memory_bytes=1 << 30)
"""A fifth of the usual CPU time, so that many cases take little."""
RULES_SECONDS = 0.5
"""CPU time of the rules on one answer, generous for a busy machine; the slowest takes a tenth of it."""


@pytest.fixture(scope="module")
def symbolic() -> Iterator[SymbolicGrader]:
    with SymbolicGrader(LIMITS) as grader:
        yield grader


def judged(symbolic: SymbolicGrader, answer: str, reference: str) -> tuple[Judgement, float, float]:
    """The judgement of a box with `answer`, CPU seconds of the rules and of the symbols."""
    problem = Problem(id="p", source="test", question="", reference=reference, kind=Kind.MATH)
    response = Response(
        key="r",
        role=Role.EVALUATION,
        problem_id="p",
        model="",
        sample=0,
        thinking="",
        answer_text=f"So the answer is \\boxed{{{answer}}}",
        thinking_tokens=0,
        answer_tokens=0,
        finish=Finish.END,
        sampling=Sampling(max_tokens=1),
    )
    started, before = time.process_time(), symbolic.cpu_seconds
    judgement = judge_by_rules(problem, response)
    rules_seconds = time.process_time() - started
    if judgement.undecided:
        judgement = symbolic.decide(judgement, reference)
    return judgement, rules_seconds, symbolic.cpu_seconds - before


LARGE = {
    "tower of powers": "9^{9^{9^{9}}}",
    "tower in a sine": r"\sin(9^{9^{9^{9}}})",
    "small tower": "2^{2^{2^{2^{2}}}}",
    "negative tower": "2^{-10^{10^{10}}}",
    "factorial": "(10^{10})!",
    "factorials of factorials": "(((20!)!)!)!",
    "factorial of a variable": "(10^9 n)!",
    "binomial": r"\binom{10^{12}}{10^{11}}",
    "central binomial": r"\binom{200000}{100000}",
    "exponent of a decimal": "1e999999999",
    "small exponent of a decimal": "1e-999999999",
    "long decimal": "0." + "3" * 1_900,
    "long integer": "7" * 1_900,
    "sum of many terms": r"\sum_{k=1}^{10^9} \sin k",
    "sum of large powers": r"\sum_{k=1}^{1000} k^{k^k}",
    "endless sum": r"\sum_{k=1}^{\infty} \frac{\sin(k^2)}{k}",
    "sums in sums": r"\sum_{a=1}^{999}\sum_{b=1}^{999}\sum_{c=1}^{999}\sum_{d=1}^{999} \sin(abcd)",
    "product of many factors": r"\prod_{k=1}^{10^8} (1+\frac{x}{k})",
    "power of a sum": "(x+y+z+w+1)^{200}",
    "power of a power of a sum": "((x+y+z+w+1)^{50})^{50}+1",
    "integral": r"\int_0^{\infty} \frac{\sin(x^x)}{x^{x^x}} dx",
    "integral without end": r"\int \sqrt{\sin(\sqrt{\tan x})}^{\ln x} dx",
    "limit": r"\lim_{x\to 0} \frac{\sin(\tan x)-\tan(\sin x)}{\arcsin(\arctan x)-\arctan(\arcsin x)}",
    "roots of roots": r"\sqrt{2+" * 20 + "x" + "}" * 20,
    "roots of large primes": "+".join(rf"\sqrt[7]{{{999_999_937 - 2 * i}+x}}" for i in range(33)),
    "polynomial of a large degree": "x^{4999}-3x^{2500}=7",
    "inequality of a large degree": "x^{99}-3x^{50}+x<7",
    "inequalities of sines": r"\sin(x)+\sin(\sqrt2 x)<\frac{1}{x}",
    "gcd": r"\gcd(10^{400}+1, 10^{399}+7)",
    "floor of a tower": r"\lfloor \pi^{\pi^{\pi^{\pi}}} \rfloor",
    "modulus": r"7^{10^{18}} \bmod 1000007",
    "huge matrix": r"\begin{pmatrix}" + r"\\".join("&".join(["\\sin x"] * 30) for _ in range(30)) + r"\end{pmatrix}",
    "determinant": r"\det\begin{pmatrix}"
    + r"\\".join("&".join([f"x_{{{i}}}"] * 9) for i in range(9))
    + r"\end{pmatrix}",
}

DEEP = {
    "10,000 parentheses": "(" * 10_000 + "1" + ")" * 10_000,
    "900 parentheses": "(" * 900 + "x" + ")" * 900,
    "55 parentheses": "(" * 55 + r"\sin x" + ")" * 55,
    "open parentheses": "(" * 1_990,
    "fractions in fractions": r"\frac{1}{1+" * 180 + "x" + "}" * 180,
    "fractions without end": r"\frac" * 390,
    "open braces in an argument": r"\sqrt" * 390,
    "bars": "|" * 1_999,
    "minus signs": "-" * 1_990 + "x",
    "exponents": "x^" * 900 + "2",
    "subscripts": "x_" * 900 + "2",
    "functions of functions": r"\sin " * 390 + "x",
    "a megabyte of digits": "1" * 1_000_000,
    "a megabyte of terms": "x+" * 500_000 + "1",
    "a megabyte of sines": r"\sin x+" * 140_000 + "1",
    "many commas": r"\sin x," * 280 + "1",
    "many unions": r"(0,1)\cup" * 220 + "(1,2)",
    "many relations": "x<" * 900 + "x",
    "many equalities": "x=" * 900 + "x",
    "many alternatives": r"x=\sin 1 \text{ or } " * 90 + "x=1",
}

INJECTED = {
    "import": f"__import__('os').mkdir('{CANARY}')",
    "import in LaTeX": rf"\text{{__import__('os').mkdir('{CANARY}')}}",
    "call of eval": f"eval(\"open('{CANARY}','w')\")",
    "f-string": f"f\"{{open('{CANARY}','w')}}\"",
    "backticks": f"`mkdir {CANARY}`",
    "shell": f"$(mkdir {CANARY})",
    "lambda": f"(lambda: open('{CANARY}','w'))()",
    "sympify": f"sympify(\"open('{CANARY}','w')\")",
    "attributes": "().__class__.__bases__[0].__subclasses__()",
    "exponent": f"2^{{open('{CANARY}','w')}}",
    "function name": rf"\operatorname{{open}}('{CANARY}','w')",
    "subscript": f"x_{{open('{CANARY}','w')}}",
    "variable": rf"\variable{{open('{CANARY}','w')}}",
    "input of LaTeX": r"\input{/etc/passwd}",
    "write of LaTeX": rf"\immediate\write18{{mkdir {CANARY}}}",
    "format": "%s%s%s%n {0.__class__}",
    "yaml": "!!python/object/apply:os.system ['true']",
    "exit": "exit()",
}

UNUSUAL = {
    "null bytes": "4\0 2\0",
    "control characters": "".join(map(chr, range(32))) + "4",
    "lone surrogates": "\ud800\udfff4",
    "zero width": "4\u200b\u200c\u200d\ufeff3",
    "right to left": "\u202e24\u202c",
    "combining marks": "4" + "\u0301" * 1_500,
    "Arabic digits": "٤٣",
    "Devanagari digits": "४३",
    "full width": "４３",
    "superscripts": "x²³⁴⁵",
    "circled": "④③",
    "Roman": "Ⅻ",
    "mathematical letters": "𝟜𝟛",
    "ideographs": "四十三",
    "emoji": "4️⃣3️⃣👩‍👩‍👧",
    "fractions of one character": "½⅓¾",
    "beyond the plane": "\U0010ffff" * 500,
    "line separators": "4\u2028\u2029\x85\x0b\x0c3",
    "only spaces": " \u00a0\u3000\u2009 ",
}

HOSTILE = LARGE | DEEP | INJECTED | UNUSUAL


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_answer_ends_under_its_limit_and_is_never_correct(symbolic: SymbolicGrader, name: str) -> None:
    judgement, rules_seconds, symbols_seconds = judged(symbolic, HOSTILE[name], r"\cos x")
    assert judgement.verdict is not Verdict.CORRECT, judgement.evidence
    assert rules_seconds < RULES_SECONDS
    assert symbols_seconds < LIMITS.cpu_seconds + SPARE_SECONDS
    assert not Path(CANARY).exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_answer_as_the_reference_ends_under_its_limit(symbolic: SymbolicGrader, name: str) -> None:
    judgement, rules_seconds, symbols_seconds = judged(symbolic, r"\sqrt{x^2+1}", HOSTILE[name])
    assert judgement.verdict is not Verdict.CORRECT, judgement.evidence
    assert rules_seconds < RULES_SECONDS
    assert symbols_seconds < LIMITS.cpu_seconds + SPARE_SECONDS
    assert not Path(CANARY).exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_symbols_alone_survive_what_is_hostile(symbolic: SymbolicGrader, name: str) -> None:
    """Also where the rules would have decided."""
    found = symbolic.compare(HOSTILE[name], r"\frac{\sin x}{2}")
    assert found.outcome != "equal"
    assert found.cpu_seconds < LIMITS.cpu_seconds + SPARE_SECONDS
    assert not Path(CANARY).exists()


def real_answers(data_folder: Path) -> list[str]:
    names = {"math500": "answer", "aime24": "answer", "amc23": "answer"}
    found = [
        str(json.loads(line)[field])
        for name, field in names.items()
        for line in (data_folder / "benchmarks" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    lines = (data_folder / "graders" / "labelled_pairs.jsonl").read_text(encoding="utf-8").splitlines()
    return sorted({*found, *(json.loads(line)["gold"] or "" for line in lines)} - {""})


PIECES = (
    r"\frac", r"\sqrt", "{", "}", "(", ")", "[", "]", "^", "_", "+", "-", "*", "/", "!", "=", "<", ",", ";", "|", "&",
    r"\le ", r"\pm", r"\cup", r"\sin ", r"\log_", r"\sum_{k=1}^{n}", r"\int_0^1 ", r"\infty", r"\begin{pmatrix}",
    r"\\", r"\text{", "%", "$", r"\{", "e", "i", "x", "0", "9999", ".", "\0", "\u202e", "\ud800", "²", "√", "π",
)  # fmt: skip


MAX_MUTANT_CHARACTERS = 4_000
"""Twice what any reader reads."""


def mutated(draw: random.Random, answers: list[str]) -> str:
    """A real answer after one to four small changes."""
    text = draw.choice(answers)
    for _ in range(draw.randint(1, 4)):
        at, to = sorted((draw.randint(0, len(text)), draw.randint(0, len(text))))
        kind = draw.randint(0, 6)
        if kind == 0:
            text = text[:at] + text[to:]
        elif kind == 1:
            text = text[:to] + text[at:to] + text[to:]
        elif kind == 2:
            text = text[:at] + draw.choice(PIECES) + text[at:]
        elif kind == 3:
            text = text[:at] + text[at : at + 1][::-1] + text[at + 2 : at + 3] + text[at + 1 : at + 2] + text[at + 3 :]
        elif kind == 4:
            other = draw.choice(answers)
            text = text[:at] + other[draw.randint(0, len(other)) :]
        elif kind == 5:
            text = text[:at] + draw.choice(PIECES) * draw.choice((2, 10, 1_000)) + text[at:]
        else:
            text = text[:at] + text[at:to] * draw.choice((2, 10, 1_000)) + text[to:]
        text = text[:MAX_MUTANT_CHARACTERS]
    return text


@pytest.fixture(scope="module")
def mutants(data_folder: Path) -> list[tuple[str, str]]:
    """10,000 mutated answers, each with a reference: half with the answer of another, half with a mutant."""
    draw, answers = random.Random(11), real_answers(data_folder)
    return [
        (mutated(draw, answers), draw.choice(answers) if number % 2 else mutated(draw, answers))
        for number in range(10_000)
    ]


def undecided(mutants: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [pair for pair in mutants if compare(*pair).outcome is Outcome.UNDECIDED]


@pytest.mark.slow
def test_the_rules_survive_10000_mutated_answers(mutants: list[tuple[str, str]]) -> None:
    worst = 0.0
    for number, (answer, reference) in enumerate(mutants):
        started = time.process_time()
        compare(answer, reference)
        if number % 4 == 0:
            extract_answer(f"The answer is \\boxed{{{answer}}}. So {answer}")
        worst = max(worst, time.process_time() - started)
        if number % 10 == 0:
            assert compare(answer, answer).outcome is not Outcome.DIFFERENT, answer
    print(f"\nworst of 10,000: {1000 * worst:.1f} ms of CPU time")
    assert worst < RULES_SECONDS


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_symbols_survive_what_the_rules_leave_of_the_mutants(
    symbolic: SymbolicGrader, mutants: list[tuple[str, str]], part: int
) -> None:
    worst, endings = 0.0, dict[str, int]()
    pairs = undecided(mutants)[part::8]
    for answer, reference in pairs:
        found = symbolic.compare(answer, reference)
        worst = max(worst, found.cpu_seconds)
        name = found.evidence.partition(":")[0] if found.outcome == "undecided" else str(found.outcome)
        endings[name] = endings.get(name, 0) + 1
    print(f"\n{len(pairs)} pairs, worst {worst:.2f} s of CPU time: {dict(sorted(endings.items()))}")
    assert worst < LIMITS.cpu_seconds + SPARE_SECONDS
    assert "worker died" not in endings
