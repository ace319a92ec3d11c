"""Answers in words: numbers written out, times of day, ordinals, and the few phrases that mean the same.

Text is compared without case, articles, hyphens and spaces. Texts that share no reading are different; where one holds
the other as a phrase, a person or a judge has to say whether the rest matters.
"""

import re
from fractions import Fraction

ARTICLES = frozenset({"a", "an", "the"})
SYNONYMS = {
    "true": "yes", "false": "no", "correct": "yes", "incorrect": "no", "undefined": "dne", "dne": "dne",
    "none": "no solution", "是": "yes", "对": "yes", "正确": "yes", "否": "no", "不是": "no",
    "错": "no", "错误": "no", "无解": "no solution", "不存在": "dne", "impossible": "no solution",
}  # fmt: skip
PHRASES = (
    (re.compile(r"(?:does|do|did) ?n[o']t exist|is undefined|nonexistent|no (?:such )?limit"), "dne"),
    (
        re.compile(
            r"no (?:real |integer |such |valid |positive )*(?:solutions?|roots?|values?|answers?|such [a-z])"
            r"(?: exists?)?(?: (?:of|for) [a-z]{1,10})?"
        ),
        "no solution",
    ),
    (re.compile(r"there (?:is|are) (?=no )"), ""),
    (re.compile(r"empty set|null set"), "no solution"),
    (re.compile(r"infinitely many(?: solutions?)?|infinite(?: number of)? solutions?"), "infinitely many"),
    (re.compile(r"all real(?: number)?s|any real number|every real number|set of real numbers"), "all reals"),
    (re.compile(r"(?:to|in|towards?) the (?=north|south|east|west|left|right)"), ""),
)  # fmt: skip
UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
)
TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
SMALL = {word: value for value, word in enumerate(UNITS.split())} | {
    word: 10 * value for value, word in enumerate(TENS.split(), 2)
}
LARGE = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
SHARES = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "eighth": 8, "tenth": 10}
OTHER_NUMBER_WORDS = (
    "dozen once twice both pi infinity infinite infinitely minus negative squared cubed root over square first second"
)
NUMBER_WORDS = frozenset((*SMALL, *LARGE, *SHARES, *OTHER_NUMBER_WORDS.split()))
NEGATIONS = frozenset(["not", "no", "non", "never", "neither", "nor", "without", "cannot", "isn't", "aren't"])
TIME = re.compile(r"(\d{1,2})(?:[:.](\d{2}))?(?::(\d{2}))? ?([ap])\.? ?(?:m\.?)?(?: ?on)?", re.IGNORECASE)
AND_AFTER_HUNDRED = re.compile(r"(hundred|thousand|million) and (?=[a-z])")
ORDINAL = re.compile(r"(\d+) ?(?:\^ ?\{? ?)?(?:st|nd|rd|th)\}?", re.IGNORECASE)
VALUE_IN_TEXT = re.compile(
    r"(?<![A-Za-z0-9_.,])-?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:/\d+)?(?![A-Za-z0-9_]|[.:,]\d)"
    r"|-?\\frac ?\{(\d+)\}\{(\d+)\}",
    re.ASCII,
)
MONEY = re.compile(r"\\(?:dollar|euro|pound)")
JOINTS = {ord(character): None for character in " '-.,"}
MAX_WORDS_OF_DIFFERENT_TEXTS = 3


def plain_words(text: str) -> str:
    r"""A canonical text without LaTeX's text commands, dots and case, with single spaces."""
    text = re.sub(r"\\text ?\{([^{}]*)\}", r" \1 ", text)
    return " ".join(text.casefold().replace("’", "'").split()).rstrip(".")


def number_in_words(text: str) -> Fraction | None:
    """The number that `text` spells in English (`twenty-one`, `minus three`, `one half`), None for any other text."""
    words = AND_AFTER_HUNDRED.sub(r"\1 ", text.casefold().replace("-", " ")).split()
    sign = -1 if words[:1] in (["minus"], ["negative"]) else 1
    words = words[1:] if sign < 0 else words
    if not words or len(words) > 12:
        return None
    if len(words) == 2 and words[1].removesuffix("s") in SHARES and words[0] in (*SMALL, "a"):
        return sign * Fraction(SMALL.get(words[0], 1), SHARES[words[1].removesuffix("s")])
    total, current = 0, 0
    for word in words:
        if word in SMALL:
            if current % (10 if 0 < SMALL[word] < 10 else 100) or current % 100 == 10 or (words[1:] and word == "zero"):
                return None  # "five six", "twenty eleven"
            current += SMALL[word]
        elif word == "hundred":
            current = max(current, 1) * 100
        elif word in LARGE:
            total, current = total + max(current, 1) * LARGE[word], 0
        else:
            return None
    return Fraction(sign * (total + current))


def minutes_of_day(text: str) -> Fraction | None:
    """The time of day in minutes where `text` is one with a.m. or p.m., else None."""
    match = TIME.fullmatch(text)
    if match is None or not 0 < int(match[1]) <= 12 or int(match[2] or 0) > 59:
        return None
    hours = int(match[1]) % 12 + (12 if match[4].lower() == "p" else 0)
    return hours * 60 + int(match[2] or 0) + Fraction(int(match[3] or 0), 60)


def values_in(text: str) -> list[Fraction]:
    """The numbers that stand alone in a text, in their order; only the amount of money where just one is that."""
    found = []
    money = [
        match
        for match in VALUE_IN_TEXT.finditer(text)
        if MONEY.search(text, max(0, match.start() - 9), match.end() + 9)
    ]
    for match in money if len(money) == 1 else VALUE_IN_TEXT.finditer(text):
        if match[1]:
            spelled = ("-" if match.group().startswith("-") else "") + f"{match[1]}/{match[2]}"
        else:
            spelled = match.group().replace(",", "")
        if len(spelled) < 60 and not re.fullmatch(r".*/0+", spelled):
            found.append(Fraction(spelled))
    return found


def standard(text: str) -> str:
    """One wording for phrases that mean the same."""
    for pattern, replacement in PHRASES:
        text = pattern.sub(replacement, text)
    words = [word for word in text.split() if word not in ARTICLES]
    return " ".join(SYNONYMS.get(word, word) for word in words)


def same_text(left: str, right: str) -> bool | None:
    """Whether two plain texts say the same; None where one holds the other, or they share words."""
    ours, theirs = standard(left), standard(right)
    joined, other = ours.translate(JOINTS), theirs.translate(JOINTS)
    if joined == other or left.translate(JOINTS) == right.translate(JOINTS):
        return True
    if joined.removesuffix("s") == other.removesuffix("s") and len(joined) > 3:
        return True
    a, b = set(ours.split()), set(theirs.split())
    if (a ^ b) & NEGATIONS:
        return False
    shorter, longer = sorted((joined, other), key=len)
    if a <= b or b <= a or (len(shorter) > 2 and longer.startswith(shorter)):
        return None
    if max(len(a), len(b)) > MAX_WORDS_OF_DIFFERENT_TEXTS:
        return None if len(a & b - NEGATIONS) * 2 > min(len(a), len(b)) else False
    return False
