r"""Finding the answer in a response: one ladder of rules, and no last resort unless it is asked for.

1. `boxed`: the last complete `\boxed{...}` or `\fbox{...}` that is not empty, braces nested as deep as they are. So a
   correction ("wait, that is wrong") is a later box, and the later box counts. Several boxes of one phrase, with
   nothing between them but commas, "and" or "or" and a few words that state nothing, are one answer with several parts
   (`boxed_list`): a model that boxes "1 and 2" has not answered 2.
2. `boxed_token`: the last `\boxed 3`, which LaTeX allows for one token.
3. `answer_tag`: the last `<answer>...</answer>`, or what follows an `<answer>` that ends the text.
4. `hashes`: what follows `####` at the start of the last line, as in GSM8K.
5. `final_answer`, `answer`: what follows the last "Final Answer:", "Answer:", "Answer =" or a heading "Answer"
   (Markdown marks allowed; also "答案：", "Réponse :", "Respuesta:", "Antwort:", "Ответ:").
6. `answer_is`: what follows the last "the answer is" ("答案是").
7. `whole`: the whole text, where it is one line that is nothing but a number, a formula or up to three words.
8. Only where asked for: `last_formula` or `last_number`, whichever ends last.

The first rule that finds something decides, so a box anywhere beats a phrase. A bare last number in running text is no
answer unless asked for: a cut response often ends in a number by chance.
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


BOX = re.compile(r"\\{1,2}(?:boxed|fbox)\s*\{")
BRACE = re.compile(r"\\{1,2}(?:boxed|fbox)\s*\{|\\[\\{}]|[{}]")
FILLER = r"(?:[\s$]|\\[,;!()\[\]]|\\q?quad(?![A-Za-z]))"
JOINT = re.compile(rf"{FILLER}*(?:,|;|and\b|or\b)(?:{FILLER}|,|;|and\b|or\b)*")
BLANKS = " \t\r\n"
"""Not the form feed: a careless decoder makes one of the backslash and f of a fraction."""
PLACEHOLDERS = re.compile(r"\\(?:[lc]?dots|square|quad|text\s*\{[\s.?_]*\})(?![A-Za-z])")
CONTENT = re.compile(r"[^\W_]|[∞∅\f]|\\\{\s*\\\}")
NAMED_BOX = re.compile(r"[A-Za-z](?:_\{?\w\}?)?(?:\(\w\))? *= *$")
"""`x = ` before the next box."""
GAP_TEXT = re.compile(r"\\text\s*\{[\s,]*(and|or)[\s,]*\}")
MAX_GAP_CHARACTERS = 60
GAP_WORDS = re.compile(r"(?:\\text\s*\{[^{}.]{0,40}\}|[A-Za-z\s,;$()\\~]){1,60}")
SIGNS_ONLY = re.compile(r"[^\w\n=.:!?]{1,40}")
STATEMENTS = re.compile(
    r"\b(?:wait|not|no|but|actually|instead|wrong|so|is|are|was|be|then|therefore|thus|hence|which|gives?|get|total|"
    r"answer|check|verify|correct|equals?|recheck|sorry|oops|mistake)\b",
    re.IGNORECASE,
)
"""Words that begin another statement: the box before them is not a part of the same answer."""
BOXED_TOKEN = re.compile(
    r"\\boxed(?:\s+|(?=\d))(-?\d[\d,./]*\d|-?\d|[A-Za-z](?![A-Za-z])|\\d?frac\{[^{}]*\}\{[^{}]*\})"
)
TAG = re.compile(r"<answer>([^<]{1,2000})(?:</answer>|\Z)", re.IGNORECASE)
HASHES = re.compile(r"^####[ \t]*(\S[^\n]{0,300}[^\s:]|[^\s:])\s*\Z", re.MULTILINE)
MARKS = r"[*_`#]{0,6}"
LABEL = re.compile(
    rf"(?:(?<![A-Za-z])(?:(?P<final>final\s+answer)(?:\s+is)?|answer|ans|réponse|respuesta|antwort|resposta|risposta)"
    rf"|答案|(?<![解回问])答|ответ){MARKS}\s*(?:(?<=Answer)\s(?=\s*(?:\$|\\[(\[]))|[:：=]{MARKS}|(?<=\*)\n|\n(?=\s*[-\\$\d]))",
    re.IGNORECASE,
)
ANSWER_IS = re.compile(
    r"\b(?:answer|réponse)(?:\s+to\s+(?:the|this)\s+(?:question|problem))?\s+"
    rf"(?:is(?:\s+equal\s+to)?|est|equals|(?:would|should|must)\s+be){MARKS}\s*[:：]?{MARKS}(?=\s)|答案(?:是|为)[:：]?",
    re.IGNORECASE,
)
SINGLE_LINE = re.compile(
    r"(?:[-+*/^_=<>≤≥≠±√π∞∪(){}\[\]|!.,;:'%°$€£\s\d]|\\text\w*+\s*+\{[^{}]*+\}|\\[A-Za-z]++|\\[^A-Za-z]"
    r"|(?<![A-Za-z])[A-Za-z]{1,3}(?![A-Za-z]))++"
    r"(?:\s*[A-Za-z/]+(?:\^\d)?){0,3}\.?|[^\W\d_]+(?:[ -][^\W\d_]+){0,2}\.?"
)
COMMANDS = re.compile(r"\\[A-Za-z]+|(?<![A-Za-z])(?:sin|cos|tan|cot|ln|log|lg|exp|sqrt|arctan)(?![A-Za-z])")
PROSE_WORD = re.compile(r"(?<![A-Za-z])(?:I\b|[^\W\d_]{2,}(?:'[a-z]+)?)")
PROSE_WORDS = (
    "i we you he she they it this that these those get got cannot can't don't know think guess sorry unknown unsure"
    " idea maybe perhaps let's so then hence therefore is are was were just about"
)
PROSE = frozenset(PROSE_WORDS.split())
MAX_WHOLE_CHARACTERS = 300
MAX_LAST_CHARACTERS = 4_000
"""Only there a last formula or number is looked for."""
LAST_FORMULA = re.compile(
    r"\$\$([^$]{1,2000})\$\$|(?<!\\)\$((?:[^$\n]|(?<=\\)\$){1,2000})(?<!\\)\$|\\\((.{1,2000}?)\\\)|\\\[(.{1,2000}?)\\\]",
    re.DOTALL,
)
LAST_NUMBER = re.compile(
    r"(?:(?<![A-Za-z0-9_)\s])[-−])?(?<![A-Za-z0-9_.,])(?:\d{1,3}(?:[,\u00a0 ]\d{3})+(?!\d)|\d+)"
    r"(?:[.,]\d+)?(?:/\d+)?(?![A-Za-z]*\d)"
    r"|-?(?<![A-Za-z0-9_.])\.\d+",
    re.ASCII,
)
LEADING_ANSWER_IS = re.compile(
    rf"\s*(?:so\s+)?(?:the\s+)?(?:final\s+|correct\s+)?answer\s+is\s*[:：]?{MARKS}\s*", re.IGNORECASE
)
FORMULA = r"(?:\$\$[^$]+\$\$|\$[^$\s](?:[^$]*[^$\s])?\$(?!\d)|\\\([^$]*?\\\)|\\\[[^$]*?\\\])"
SINGLE_FORMULA = re.compile(
    r"\$\$?\s*([^$]*[^$\s])\s*\$\$?|\\\(\s*((?:(?!\\\)).)*\S)\s*\\\)|\\\[\s*((?:(?!\\\]).)*\S)\s*\\\]", re.DOTALL
)
FORMULAS = re.compile(rf"{FORMULA}(?:\s*(?:,|;|,?\s*\band\b|,?\s*\bor\b)\s*{FORMULA})*(?:\s*%)?")
SENTENCE_END = re.compile(r"\.(?:\s|$)|[\n。]")
ASIDE = re.compile(
    r"(?<=\S)(?:, *(?:(?:and +)?not|which)\b|,? +\(?(?:because|since)\b|,? +or +(?:about|approximately|roughly)\b)"
)
"""Where a phrase goes on about something else than its answer: `6, not 5`, `yes, because it is even`."""


def extract_answer(text: str, last_number: bool = False) -> Extraction | None:
    """The answer in `text` by the ladder above, None where there is none. Looks at the last 50,000 characters."""
    offset = max(0, len(text) - MAX_CHARACTERS)
    tail = text[offset:] if offset else text
    found = (
        _boxed(tail)
        or _boxed_token(tail)
        or _tagged(tail)
        or _hashes(tail)
        or _labelled(tail)
        or _answer_is(tail)
        or (_whole(text) if not offset else None)
        or (_last_formula_or_number(tail) if last_number else None)
    )
    if found is None or not offset:
        return found
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


def _says_something(text: str) -> bool:
    """Whether a box holds more than blanks and placeholders: a question mark, dots, an empty square."""
    return bool(CONTENT.search(PLACEHOLDERS.sub("", text) if "\\" in text else text))


def _boxed(text: str) -> Extraction | None:
    first = min((place for place in (text.find("\\boxed"), text.find("\\fbox")) if place >= 0), default=-1)
    openings = list(BOX.finditer(text, max(0, first - 1))) if first >= 0 else []
    if not openings:
        return None
    single = _closed(text, openings[-1]) if len(openings) == 1 else None
    filled = [single] if single else [box for box in boxes(text) if _says_something(box.text)]
    if not filled:
        return None
    group = [filled[-1]]
    for box in reversed(filled[:-1]):
        if not _is_joint(text[box.span[1] : group[0].span[0]]):
            break
        group.insert(0, box)
    parts = list(dict.fromkeys(box.text.strip(BLANKS) for box in group))
    if len(parts) == 1:
        return Extraction(text=parts[0], rule="boxed", span=group[-1].span)
    return Extraction(text=", ".join(parts), rule="boxed_list", span=(group[0].span[0], group[-1].span[1]))


def _closed(text: str, opening: re.Match[str]) -> Extraction | None:
    """The box of the only opening, where it is closed and not empty."""
    depth = 1
    for match in BRACE.finditer(text, opening.end()):
        depth += {"{": 1, "}": -1}.get(match.group(), 0)
        if depth == 0:
            inner = text[opening.end() : match.start()]
            return (
                Extraction(text=inner, rule="boxed", span=(opening.start(), match.end()))
                if _says_something(inner)
                else None
            )
    return None


def _is_joint(gap: str) -> bool:
    """Whether two boxes with `gap` between them are parts of one answer."""
    if not gap:
        return True
    if len(gap) > MAX_GAP_CHARACTERS:
        return False
    gap = NAMED_BOX.sub(" ", gap)
    if JOINT.fullmatch(GAP_TEXT.sub(r" \1 ", gap)):
        return True
    if SIGNS_ONLY.fullmatch(gap):
        return True
    joined = re.search(r"\b(?:and|or)\b|[,;]", gap)
    return bool(joined and GAP_WORDS.fullmatch(gap) and "\n\n" not in gap and not STATEMENTS.search(gap))


def _boxed_token(text: str) -> Extraction | None:
    match = _last(BOXED_TOKEN, text) if "\\boxed" in text else None
    return match and Extraction(text=match.group(1), rule="boxed_token", span=match.span(1))


def _tagged(text: str) -> Extraction | None:
    match = _last(TAG, text)
    if match is None or not match.group(1).strip():
        return None
    return Extraction(text=match.group(1).strip(BLANKS), rule="answer_tag", span=match.span(1))


def _hashes(text: str) -> Extraction | None:
    start = text.rfind("\n####") + 1
    match = HASHES.match(text, start) if text.startswith("####", start) else None
    return match and Extraction(text=match[1].rstrip(" \t*_"), rule="hashes", span=match.span(1))


def _whole(text: str) -> Extraction | None:
    answer = text.strip().strip("*").strip()
    if (
        not answer
        or len(answer) > MAX_WHOLE_CHARACTERS
        or not SINGLE_LINE.fullmatch(answer)
        or "\n" in answer
        or "boxed" in answer
    ):
        return None
    if not _could_be_an_answer(answer):
        return None
    start = text.index(answer)
    single = SINGLE_FORMULA.fullmatch(answer)
    if single:
        group = single.lastindex or 0
        return Extraction(
            text=single[group], rule="whole", span=(start + single.start(group), start + single.end(group))
        )
    return Extraction(text=answer, rule="whole", span=(start, start + len(answer)))


def _could_be_an_answer(line: str) -> bool:
    """Not a sentence: no words before a number, three words at most, none that prose has and answers do not."""
    plain = COMMANDS.sub(" 0 ", line)
    words = [word.lower() for word in PROSE_WORD.findall(plain)]
    digit = re.search(r"\d", plain)
    if len(words) > 3 or PROSE.intersection(words) or "?" in line:
        return False
    return not (digit and PROSE_WORD.search(plain, 0, digit.start()))


def _last_formula_or_number(text: str) -> Extraction | None:
    offset = max(0, len(text) - MAX_LAST_CHARACTERS)
    formula, plain = (_last(pattern, text[offset:]) for pattern in (LAST_FORMULA, LAST_NUMBER))
    if formula is not None and (plain is None or formula.end() >= plain.end()):
        group = formula.lastindex or 0
        return Extraction(
            text=formula[group].strip(BLANKS), rule="last_formula", span=_moved(formula.span(group), offset)
        )
    return plain and Extraction(text=plain.group(), rule="last_number", span=_moved(plain.span(), offset))


def _moved(span: tuple[int, int], offset: int) -> tuple[int, int]:
    return span[0] + offset, span[1] + offset


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
    aside = ASIDE.search(window, 0, length)
    answer = window[: aside.start() if aside and not formulas else length].rstrip(" \t*_")
    single = SINGLE_FORMULA.fullmatch(answer)
    if single:
        start += single.start(single.lastindex or 0)
        answer = single.group(single.lastindex or 0)
    if not answer or LABEL.match(answer) or "\\boxed" in answer or "\\fbox" in answer:
        return None  # a box that is here was never closed, or is empty: cut, or nothing
    return Extraction(text=answer, rule=rule, span=(start, start + len(answer)))


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    match = None
    for match in pattern.finditer(text):  # noqa: B007 (the last one is wanted)
        pass
    return match
