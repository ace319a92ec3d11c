"""Pools of 10 and 100 times the real one, made by perturbing it, streamed to Parquet. Seeded, and never committed.

Generation 0 is the real pool as it is. Each further generation is the whole pool again as if other authors had written
other questions on the same plans:

- most rows (88%) are *new questions*: numbers are drawn anew, names and variables are others, and words are exchanged
  by the generation's own dictionary (half of the pool's words, each for another of about its frequency). What the real
  pool repeats within itself a generation repeats too.
- 6% keep their words and change numbers and names only: templates, which is how real pools grow;
- 3% are near copies of real rows: sentences in another order, LaTeX spelled in another way, an instruction at the end;
- 3% are exact copies of real rows.

So the number of near copies of a question grows with the pool, as it does when pools are joined.
"""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import polars as pl

POOL_FILES = {
    "math_train": ("problem", "answer"),
    "deepscaler_difficulty": ("problem", "answer"),
    "dapo_math_17k": ("problem", "answer"),
    "gsm8k_train": ("question", "answer"),
    "aime_1983_2023": ("problem", "answer"),
    "numina_cot_2k": ("instruction", "response"),
}
COLUMNS = ("id", "source", "question", "reference")
SHARES = (("new", 0.88), ("template", 0.06), ("near", 0.03), ("copy", 0.03))
EXCHANGED = 0.5
"""Of the pool's words of three letters or more, in each generation."""
NAMES = (
    "Aiko", "Bela", "Carmen", "Dmitri", "Elif", "Farid", "Greta", "Hana", "Ivo", "Jorge", "Kaya", "Lena", "Milan",
    "Nadia", "Omar", "Priya", "Quinn", "Rosa", "Sven", "Tara", "Uma", "Viktor", "Wanda", "Xena", "Yusuf", "Zoe",
)  # fmt: skip
RESPELLED = (
    (r"\dfrac", r"\tfrac"), (r"\frac", r"\dfrac"), (r"\leq", r"\le"), (r"\geq", r"\ge"), (r"\cdot", r"\times"),
    (r"\left(", "("), (r"\right)", ")"),
)  # fmt: skip
INSTRUCTIONS = (
    "Please reason step by step.",
    "Put your final answer within \\boxed{}.",
    "Give the answer as a number.",
)
SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[A-Z])")
WORD = re.compile(r"(?<![\\A-Za-z])[a-z]{3,}(?![A-Za-z])")
LETTER = re.compile(r"(?<![\\A-Za-z])[b-z](?![A-Za-z])")
LETTERS = "bcdefghijklmnopqrstuvwxyz"
NAME = re.compile(r"(?<![.?!$\\]\s)(?<=[a-z,] )[A-Z][a-z]{2,}\b")
NUMBER = re.compile(r"(?<![\w.])\d{1,6}(?![\w])")


def real_pool(data: Path) -> pl.DataFrame:
    """The pool of ../shared/data in one table, in order of the files."""
    frames = []
    for name, (question, reference) in POOL_FILES.items():
        frame = pl.read_ndjson(data / "pool" / f"{name}.jsonl.gz", infer_schema_length=None).with_row_index("place")
        frames.append(
            frame.select(
                id=pl.format("{}/{}", pl.lit(name), "place"),
                source=pl.lit(name),
                question=pl.col(question).cast(pl.String),
                reference=pl.col(reference).cast(pl.String).str.slice(0, 40),
            )
        )
    return pl.concat(frames)


def write_pool(data: Path, folder: Path, times: int, seed: int = 7, rows_per_group: int = 5_000) -> list[Path]:
    """`times` generations in `folder`, a file for each. Existing files are taken as they are."""
    real = real_pool(data)
    rows = list(zip(real["id"], real["question"], strict=True))
    words = _words(real["question"].to_list())
    paths = []
    for number in range(times):
        path = folder / f"generation-{number:03d}.parquet"
        paths.append(path)
        if path.exists():
            continue
        frame = real if number == 0 else _generation(real, rows, words, number, seed)
        frame.write_parquet(path.with_suffix(".partial"), compression="zstd", row_group_size=rows_per_group)
        path.with_suffix(".partial").rename(path)
    return paths


def _words(questions: list[str]) -> list[str]:
    """Words by falling frequency."""
    return [word for word, _ in Counter(word for text in questions for word in WORD.findall(text)).most_common()]


def _generation(
    real: pl.DataFrame, rows: list[tuple[str, str]], words: list[str], number: int, seed: int
) -> pl.DataFrame:
    chance = random.Random(seed * 1_000_003 + number)
    makers: Mapping[str, Callable[[str, random.Random], str]] = {
        "new": partial(_new, _dictionary(words, chance), tuple(chance.sample(NAMES, len(NAMES)))),
        "template": _template,
        "near": _near,
        "copy": lambda text, _: text,
    }
    kinds, shares = zip(*SHARES, strict=True)
    drawn = chance.choices(kinds, shares, k=len(rows))
    made = [makers[kind](text, chance) for kind, (_, text) in zip(drawn, rows, strict=True)]
    ids = [f"{name}/{kind}-{number}" for kind, (name, _) in zip(drawn, rows, strict=True)]
    return real.with_columns(id=pl.Series(ids), question=pl.Series(made)).select(COLUMNS)


def _dictionary(words: list[str], chance: random.Random) -> dict[str, str]:
    """For a share of the words another of about the same frequency."""
    return {
        word: words[max(0, min(len(words) - 1, place + chance.randint(-20, 20)))]
        for place, word in enumerate(words)
        if chance.random() < EXCHANGED
    } | dict(zip(LETTERS, chance.sample(LETTERS, len(LETTERS)), strict=True))


def _new(dictionary: Mapping[str, str], names: tuple[str, ...], text: str, _chance: random.Random) -> str:
    """The same row gives the same question within a generation, so copies stay copies."""
    own = random.Random(f"{names}{text}")
    text = LETTER.sub(lambda found: dictionary[found[0]], text)
    text = NUMBER.sub(lambda found: _number(found[0], own), text)
    text = NAME.sub(lambda found: names[sum(map(ord, found[0])) % len(names)], text)
    return WORD.sub(lambda found: dictionary.get(found[0], found[0]), text)


def _template(text: str, chance: random.Random) -> str:
    text = NUMBER.sub(lambda found: _number(found[0], chance), text)
    shift = chance.randrange(len(NAMES))
    return NAME.sub(lambda found: NAMES[(sum(map(ord, found[0])) + shift) % len(NAMES)], text)


def _near(text: str, chance: random.Random) -> str:
    sentences = SENTENCE.split(text)
    if len(sentences) > 2:
        place = chance.randrange(len(sentences) - 2)
        sentences[place], sentences[place + 1] = sentences[place + 1], sentences[place]
    text = " ".join(sentences)
    for old, new in RESPELLED:
        if old in text and chance.random() < 0.5:
            text = text.replace(old, new)
            break
    return f"{text} {chance.choice(INSTRUCTIONS)}" if chance.random() < 0.5 else text


def _number(digits: str, chance: random.Random) -> str:
    """Another number of as many digits; 0 and 1 stay, since they mostly belong to the formula."""
    if int(digits) < 2:
        return digits
    return str(chance.randint(10 ** (len(digits) - 1) + (1 if len(digits) == 1 else 0), 10 ** len(digits) - 1))


def generations(paths: list[Path]) -> Iterator[int]:
    """Rows of each file."""
    for path in paths:
        yield pl.scan_parquet(path).select(pl.len()).collect().item()
