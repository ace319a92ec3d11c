r"""Finding the answer in a response: one ladder of rules, and no last resort.

1. `boxed`: the last complete `\boxed{...}` or `\fbox{...}` that is not empty, braces nested as deep as they are.
   Several boxes of one phrase, with nothing between them but commas, semicolons, "and" or "or", are one answer with
   several parts (`boxed_list`): a model that boxes "1 and 2" has not answered 2.
2. `boxed_token`: the last `\boxed 3`, which LaTeX allows for one token.
3. `answer_tag`: the last `<answer>...</answer>`.
4. `final_answer`, `answer`: what follows the last "Final Answer:" or "Answer:" (Markdown marks allowed).
5. `answer_is`: what follows the last "the answer is".

The first rule that finds something decides, so a box anywhere beats a phrase. A bare last number in the text
is never an answer: a cut response often ends in a number by chance.
"""

import re
from dataclasses import dataclass

MAX_CHARACTERS = 50_000
"""Only this much of the end of a text is searched: an answer stands at the end."""
MAX_PHRASE_CHARACTERS = 2_000
MAX_TRIED = 20
"""Labels from the end that are tried until one has something after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """An answer as it stood in a text. `span` is half-open, in characters of that text."""

    text: str
    rule: str
    span: tuple[int, int]


BRACE = re.compile(r"\\[\\{}]|\\(?:boxed|fbox)\s*\{|[{}]")
FILLER = r"(?:[\s$]|\\[,;!()\[\]]|\\q?quad(?![A-Za-z]))"
JOINT = re.compile(rf"{FILLER}*(?:,|;|and\b|or\b)(?:{FILLER}|,|;|and\b|or\b)*")
GAP_TEXT = re.compile(r"\\text\s*\{[\s,]*(and|or)[\s,]*\}")
MAX_GAP_CHARACTERS = 40
BOXED_TOKEN = re.compile(r"\\boxed\s+(-?\d[\d,./]*\d|-?\d|[A-Za-z](?![A-Za-z])|\\d?frac\{[^{}]*\}\{[^{}]*\})")
TAG = re.compile(r"<answer>([^<]{1,2000})</answer>", re.IGNORECASE)
MARKS = r"[*_`#]{0,6}"
LABEL = re.compile(
    rf"(?<![A-Za-z]){MARKS}(?:(?P<final>final\s+answer)(?:\s+is)?|answer){MARKS}\s*(?:[:：]{MARKS}|(?<=\*)\n|\n(?=\s*[\\$\d]))",
    re.IGNORECASE,
)
ANSWER_IS = re.compile(rf"\banswer\s+is{MARKS}\s*[:：]?{MARKS}(?=\s)", re.IGNORECASE)
LEADING_ANSWER_IS = re.compile(
    rf"\s*(?:so\s+)?(?:the\s+)?(?:final\s+|correct\s+)?answer\s+is\s*[:：]?{MARKS}\s*", re.IGNORECASE
)
FORMULA = r"(?:\$\$[^$]+\$\$|\$[^$\s](?:[^$]*[^$\s])?\$(?!\d)|\\\([^$]*?\\\)|\\\[[^$]*?\\\])"
SINGLE_FORMULA = re.compile(
    r"\$\$?\s*([^$]*[^$\s])\s*\$\$?|\\\(\s*((?:(?!\\\)).)*\S)\s*\\\)|\\\[\s*((?:(?!\\\]).)*\S)\s*\\\]", re.DOTALL
)
FORMULAS = re.compile(rf"{FORMULA}(?:\s*(?:,|;|,?\s*\band\b|,?\s*\bor\b)\s*{FORMULA})*(?:\s*%)?")
SENTENCE_END = re.compile(r"\.(?:\s|$)|\n")


def extract_answer(text: str) -> Extraction | None:
    """The answer in `text` by the ladder above, None where there is none. Looks at the last 50,000 characters."""
    offset = max(0, len(text) - MAX_CHARACTERS)
    tail = text[offset:]
    found = _boxed(tail) or _boxed_token(tail) or _tagged(tail) or _labelled(tail) or _answer_is(tail)
    if found is None:
        return None
    start, end = found.span
    return Extraction(text=found.text, rule=found.rule, span=(start + offset, end + offset))


def boxes(text: str) -> list[Extraction]:
    """All complete outermost boxes in order of their ends; one pass, whatever the nesting."""
    openings: list[tuple[int, int]] = []
    found: list[Extraction] = []
    for match in BRACE.finditer(text):
        token = match.group()
        if token.endswith("{") and token != "\\{":
            openings.append((match.start() if token != "{" else -1, match.end()))
        elif token == "}" and openings:
            start, inner = openings.pop()
            if start < 0:
                continue
            while found and found[-1].span[0] > start:
                found.pop()
            found.append(Extraction(text=text[inner : match.start()], rule="boxed", span=(start, match.end())))
    return found


def _boxed(text: str) -> Extraction | None:
    filled = [box for box in boxes(text) if box.text.strip()]
    if not filled:
        return None
    group = [filled[-1]]
    for box in reversed(filled[:-1]):
        gap = text[box.span[1] : group[0].span[0]]
        if gap and (len(gap) > MAX_GAP_CHARACTERS or not JOINT.fullmatch(GAP_TEXT.sub(r" \1 ", gap))):
            break
        group.insert(0, box)
    parts = list(dict.fromkeys(box.text.strip() for box in group))
    if len(parts) == 1:
        return Extraction(text=parts[0], rule="boxed", span=group[-1].span)
    return Extraction(text=", ".join(parts), rule="boxed_list", span=(group[0].span[0], group[-1].span[1]))


def _boxed_token(text: str) -> Extraction | None:
    match = _last(BOXED_TOKEN, text)
    return match and Extraction(text=match.group(1), rule="boxed_token", span=match.span(1))


def _tagged(text: str) -> Extraction | None:
    match = _last(TAG, text)
    if match is None or not match.group(1).strip():
        return None
    return Extraction(text=match.group(1).strip(), rule="answer_tag", span=match.span(1))


def _labelled(text: str) -> Extraction | None:
    for match in reversed(list(LABEL.finditer(text))[-MAX_TRIED:]):
        found = _phrase(text, match.end(), "final_answer" if match["final"] else "answer")
        if found:
            return found
    return None


def _answer_is(text: str) -> Extraction | None:
    for match in reversed(list(ANSWER_IS.finditer(text))[-MAX_TRIED:]):
        found = _phrase(text, match.end(), "answer_is")
        if found:
            return found
    return None


def _phrase(text: str, start: int, rule: str) -> Extraction | None:
    """What stands at `start`: a run of formulas joined by separators, else the rest of the sentence."""
    leading = LEADING_ANSWER_IS.match(text, start)
    start = leading.end() if leading else start
    start += len(text[start : start + 200]) - len(text[start : start + 200].lstrip(" \t\n*_"))
    window = text[start : start + MAX_PHRASE_CHARACTERS]
    formulas = FORMULAS.match(window)
    stop = SENTENCE_END.search(window)
    length = formulas.end() if formulas else stop.start() if stop else len(window)
    answer = window[:length].rstrip(" \t*_")
    single = SINGLE_FORMULA.fullmatch(answer)
    if single:
        start += single.start(single.lastindex or 0)
        answer = single.group(single.lastindex or 0)
    if not answer or LABEL.match(answer):
        return None
    return Extraction(text=answer, rule=rule, span=(start, start + len(answer)))


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    match = None
    for match in pattern.finditer(text):  # noqa: B007 (the last one is wanted)
        pass
    return match
