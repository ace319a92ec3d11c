"""The language of a text, without a model."""

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from thinkscale.curation.quality import known_languages, language_of


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "Find the number of positive divisors of 12."),
        ("zh", "请解答以下数学题。逐步推理，将最终答案放在 \\boxed{} 中。"),
        ("zh", "记 $A=\\int_{0}^{1} x^2 dx$, 则 $[10A] =$"),
        ("ja", "次の関数の最小値を求めよ。"),
        ("ko", "양의 정수 n에 대하여 다음을 구하시오."),
        ("ru", "Найдите наименьшее значение функции $f(x)$."),
        ("ar", "أوجد قيمة المجموع التالي."),
        ("el", "Να βρεθεί το άθροισμα των αριθμών."),
        ("es", "¿Cuántos divisores tiene el número 12 y cuál es el valor de la suma?"),
        ("fr", "Soit $n$ un entier. Combien de diviseurs sont dans une liste avec le nombre 12 ?"),
        ("de", "Bestimme die Anzahl der Zahlen, für die $n^2+1$ nicht durch 5 teilbar ist."),
        ("pt", "Quantos são os divisores de 12? Encontre uma fórmula para cada valor."),
        ("it", "Trovare il numero di interi che sono divisori di 12."),
        ("nl", "Bepaal hoeveel delers het getal 12 heeft, en welke niet even zijn."),
    ],
)
def test_a_line_of_prose_is_recognised(code: str, text: str) -> None:
    found = language_of(text)
    assert found is not None
    assert found.code == code
    assert code in known_languages()


@pytest.mark.parametrize(
    "text",
    [
        "",
        r"$\frac{2}{25}=$",
        r"Compute $\sin 15^\circ$.",
        r"Evaluate \[\sum_{k=1}^{n} \binom{n}{k}\] $\text{que los del una}$",
        "0.8 + 0.02",
        "```python\nfor el in los: print(el, que)\n```",
        "x + y = π + θ",
        "К О Ш К А",
    ],
)
def test_mathematics_and_code_are_in_no_language(text: str) -> None:
    assert language_of(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "The word 数学 means mathematics. How many strokes do its two characters have in total?",
        "The company El Sol of Los Angeles sells 20 tacos an hour. How many does it sell in a day?",
        "Let α, β and γ be the angles of a triangle.",
        "Der Kurier is a paper of 20 pages. How many sheets of paper are in it?",
    ],
)
def test_names_and_single_words_of_another_language_leave_english_english(text: str) -> None:
    found = language_of(text)
    assert found is not None
    assert found.code == "en"


def test_the_share_is_of_words_two_characters_of_chinese_being_one() -> None:
    found = language_of("已知函数 is the function")
    assert found is not None
    assert (found.code, found.words, found.of_words) == ("zh", 2, 5)
    assert language_of("已知 is the function of x") == ("en", 3, 5)


def test_real_prompts_and_traces_are_told_apart(data_folder: Path) -> None:
    def languages(file: str, column: str) -> Counter[str | None]:
        with gzip.open(data_folder / "traces" / file, "rt", encoding="utf-8") as lines:
            texts = [json.loads(line).get(column) or "" for line in lines]
        return Counter(found.code if (found := language_of(text)) else None for text in texts if text)

    assert languages("gaokao2026_reasoning_graded.jsonl.gz", "prompt") == {"zh": 1078}
    assert languages("limo_r1_distill_qwen32b.jsonl.gz", "solution") == {"en": 291}
