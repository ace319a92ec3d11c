r"""The letter that a response to a multiple-choice question chose, or none: there is no default.

Rules in order; the first that finds a letter decides, and within a rule the last occurrence:

1. `boxed`: the last box holds a letter, a letter with the option's text, or an option's text.
2. `tagged`: the same in the last `<answer>...</answer>`.
3. `labelled`: "Answer: C", "Final Answer: (C)", "the answer is C", "the correct option is C".
4. `subject`: "C is correct", "option C is the best answer"; "so C." at the end.
5. `whole`: the whole text is a letter or an option's text.
6. `bold`: `**C**`, `**(C)**`, `**C. its text**`, as the last bold letter.
7. `leading`: exactly one line starts like an option ("D. it can't be A"); or the text is a letter and a few words
   in one line ("C Cecile"), where no options are known that could have told.
8. `parenthesised`: the last line names exactly one letter in parentheses.

A letter is upper case; lower case counts only where nothing else stands beside it. "A" and "I" are words of English:
in running text they count only before punctuation, the end, or a reason. Two letters offered at once ("B or C")
are no answer.
"""

import re
from collections.abc import Sequence
from functools import cache

from thinkscale.grading.answers import MAX_CHARACTERS, TAG, Extraction, boxes
from thinkscale.grading.math.notation import canonical, compact

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MAX_CHOICES = 702

GAP = r"[\s*_]*+"
LABEL = (
    rf"(?:(?:final\s+|correct\s+|best\s+|right\s+)?(?:answer|option|choice|letter){GAP}"
    rf"(?:(?:is|would\s+be|must\s+be|should\s+be)(?![A-Za-z]){GAP}[:：]?|[:：])"
    r"|(?:réponse|respuesta|resposta|risposta|antwort|lösung)[\s*_]*(?:est|es|é|è|ist|[:：])(?![a-zà-ÿ])"
    r"|答案[\s*_]*(?:是|为|應為|应为|[:：])|(?<![不\u4e00-\u9fff])选择?[:：]?|(?<=[故以该案])选择?[:：]?|选项(?:是|为)"
    r"|(?:finali[sz]e|choose|pick|select|go(?:ing)?\s+with|settle\s+(?:on|for))(?![A-Za-z])"
    r"|(?:i\s+think|therefore|so|hence|thus)[,\s]+(?:it\s+is|it's))"
)
FILLER_WORDS = r"(?i:definitely|clearly|probably|likely|for\s+sure|option|choice|letter|therefore|thus|the)"
NOT_THAT = r"(?i:not)\s++\(?[A-Z]\)?,?\s++(?i:but)(?![A-Za-z])"
FILLER = rf"(?:[\s*_$:：]|\\\(|{NOT_THAT}|{FILLER_WORDS}(?![A-Za-z]))*+"
HEDGE = r"(?!\s*+[)\]]?\s*+[*_]*\s*+(?:or|and|/|&)\s*+(?:option\s+)?[*_]*\(?[A-Z](?![A-Za-z]))"
REASON = r"(?=[*_$\])\\]*\s*+(?:$|[.,;:!)\]\n。，]|-|—|because|since|as\b|for\b|not\b|[\u4e00-\u9fff]))"
"""What may follow "A" or "I" in running text for it to be a letter."""


STANDS_FOR = r"(?:is|must\s+be|should\s+be|would\s+be)\s+(?:the\s+)?(?:only\s+)?(?:best|right|correct)(?![A-Za-z])"
DOUBT = re.compile(
    r"(?:\b(?:if|whether|why|that|suppose|assume|of|and|or|nor|neither|both|not|think|say)|\b[A-Z][*_)]*,|[/&])\s*$",
    re.I,
)
"""What stands before a letter that is only supposed, or one of several, to be the answer."""
START = r"(?:\b|(?<=[\u4e00-\u9fff]))"
WIDE = str.maketrans({"（": "(", "）": ")", **{chr(0xFF21 + place): letter for place, letter in enumerate(ALPHABET)}})


@cache
def letters(num_choices: int) -> tuple[str, ...]:
    """The first `num_choices` option letters: A to Z, then AA to ZZ. Raises ValueError beyond 702."""
    if not 0 <= num_choices <= MAX_CHOICES:
        raise ValueError(f"{num_choices} choices: letters go from 0 to {MAX_CHOICES}")
    names = [*ALPHABET, *(first + second for first in ALPHABET for second in ALPHABET)]
    return tuple(names[:num_choices])


def extract_choice(text: str, choices: Sequence[str] = (), num_choices: int | None = None) -> Extraction | None:
    """The chosen letter, None where there is none. Looks at the last 50,000 characters.

    `choices` are the option texts, if known; without them `num_choices` letters are possible (26 if not given either).
    """
    names = letters(len(choices) or num_choices or len(ALPHABET))
    offset = max(0, len(text) - MAX_CHARACTERS)
    tail = text[offset:].translate(WIDE)
    for rule in (_boxed, _tagged, _labelled, _subject, _whole, _bold, _leading, _parenthesised):
        found = rule(tail, names, choices)
        if found is not None:
            letter, (start, end) = found
            return Extraction(text=letter, rule=rule.__name__.lstrip("_"), span=(start + offset, end + offset))
    return None


def single_letter(text: str, names: Sequence[str]) -> str | None:
    r"""The letter that `text` is: `C`, `c`, `(C)`, `C.`, `\text{(C)}`; None where it is anything more."""
    bare = re.sub(r"\\(?:text\w*|mathrm|mathbf)\s*\{([^{}]*)\}", r"\1", text).strip(" \t\r\n*_$()[]{}.:'\"`")
    bare = re.sub(r"^(?:option|choice|answer|letter)[\s(]+", "", bare, flags=re.IGNORECASE)
    return bare.upper() if bare.upper() in names else None


Found = tuple[str, tuple[int, int]] | None


def _chosen(text: str, names: Sequence[str], choices: Sequence[str]) -> str | None:
    """The letter that a piece of text stands for by itself: a letter, a letter with its option's text, or that text."""
    letter = single_letter(text, names)
    if letter:
        return letter
    plain = _plain(text)
    bare = re.sub(r"\\(?:text\w*|mathrm|mathbf)\s*\{([^{}]*)\}", r" \1 ", text).strip(" \t\r\n*_$")
    match = re.match(rf"\(?((?i:{_any(names)}))(?:\s*[).:]+|(?=[\s\\]))(.+)", bare, re.DOTALL)
    if match and choices and _plain(match[2]).casefold() == _plain(choices[names.index(match[1].upper())]).casefold():
        return match[1].upper()
    match = re.match(rf"\(?({_any(names)})\s*[).:]\s*(.+)", plain, re.DOTALL)
    if match and not choices:
        return match[1]
    same = [
        name
        for name, choice in zip(names, choices, strict=False)
        if plain and _plain(choice).casefold() == plain.casefold()
    ]
    return same[0] if len(same) == 1 else None


def _plain(text: str) -> str:
    return compact(canonical(text)) if len(text) <= 2_000 else text


def _any(names: Sequence[str]) -> str:
    """A pattern for one of the letters, the long ones first."""
    return "|".join(sorted(names, key=lambda name: (-len(name), name)))


def _boxed(text: str, names: Sequence[str], choices: Sequence[str]) -> Found:
    filled = [box for box in boxes(text) if box.text.strip()]
    if not filled:
        return None
    letter = _chosen(filled[-1].text, names, choices)
    return (letter, filled[-1].span) if letter else None


def _tagged(text: str, names: Sequence[str], choices: Sequence[str]) -> Found:
    matches = list(TAG.finditer(text))
    letter = _chosen(matches[-1].group(1), names, choices) if matches else None
    return (letter, matches[-1].span(1)) if letter else None


def _labelled(text: str, names: Sequence[str], choices: Sequence[str]) -> Found:
    words = "".join(name for name in names if name in "AI") or "~"
    others = _any([name for name in names if name not in "AI"]) or "(?!)"
    letter = (
        rf"(?:\(\s*(?P<enclosed>{_any(names)})\s*\)"
        rf"|(?P<word>[{words}])(?![A-Za-z'’]){REASON}|(?P<other>{others})(?![A-Za-z'’]))"
    )
    pattern = re.compile(rf"(?i:{START}{LABEL}){FILLER}{letter}{HEDGE}")
    for match in reversed(list(pattern.finditer(text))):
        group = next(name for name in ("enclosed", "word", "other") if match[name])
        return match[group], match.span(group)
    for match in reversed(list(re.finditer(rf"(?i:{START}{LABEL})[ \t*_]*([^\n]{{1,500}})", text))):
        chosen = _chosen(match[1], names, choices)
        if chosen:
            return chosen, match.span(1)
    return None


def _subject(text: str, names: Sequence[str], _choices: Sequence[str]) -> Found:
    letter = rf"(?<![A-Za-z'’])({_any(names)})[*_)]{{0,5}}"
    pattern = rf"{letter}\s+(?i:{STANDS_FOR})|(?i:\b(?:so|thus|hence|therefore))[,\s]+[*_(]{{0,5}}{letter}[.!\s]*\Z"
    for match in reversed(list(re.finditer(pattern, text))):
        group = match.lastindex or 0
        before = text[max(0, match.start() - 40) : match.start()].rstrip("*_(")
        before = re.sub(r"(?i:option|choice|answer|letter)\s+$", "", before)
        if not DOUBT.search(before):
            return match[group], match.span(group)
    return None


def _whole(text: str, names: Sequence[str], choices: Sequence[str]) -> Found:
    letter = _chosen(text, names, choices) if len(text) <= 2_000 else None
    return (letter, (0, len(text))) if letter else None


def _bold(text: str, names: Sequence[str], choices: Sequence[str]) -> Found:
    for match in reversed(list(re.finditer(r"\*\*([^*\n]{1,300})\*\*", text))):
        letter = _chosen(match[1], names, choices)
        if letter and match[1].strip(" ()[].:") != letter.lower():
            return letter, match.span(1)
    return None


def _leading(text: str, names: Sequence[str], choices: Sequence[str]) -> Found:
    short = re.match(
        rf"\s*({_any(names)})(?:[ \t]+(?:[A-ZÀ-Þ]|(?<![AI] )[a-zß-ÿ])\w*[ \t]*(?:$|\n)|(?=[\u3040-\u9fff]))", text
    )
    if short and not choices:
        return short[1], short.span(1)
    found = list(re.finditer(rf"^[ \t]*[*_(]*({_any(names)})[)*_]*[).:。](?=\s|$|[^\x00-\x7f])", text, re.MULTILINE))
    others = set(re.findall(rf"(?:^|[.!?]\s+|\s(?=\())[*_(]{{0,5}}({_any(names)})[)*_]{{0,5}}[).:]\s", text))
    return (found[0][1], found[0].span(1)) if len(found) == 1 and others <= {found[0][1]} else None


def _parenthesised(text: str, names: Sequence[str], _choices: Sequence[str]) -> Found:
    stripped = text.rstrip()
    start = stripped.rfind("\n") + 1
    found = list(re.finditer(rf"\(({_any(names)})\)", stripped[start:]))
    if len({match[1] for match in found}) != 1:
        return None
    return found[0][1], (start + found[0].start(1), start + found[0].end(1))
