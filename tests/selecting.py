"""A small stand-in for s1's 59,000 rows, with everything that they bring, and runs of recipes on it."""

import json
import random
from pathlib import Path

from thinkscale.pipeline import load_recipe, run_recipe

SOURCES = {
    "aime": "qq8933/AIME_1983_2024",
    "gpqa": "Idavidrein/gpqa",
    "math": "qfq/openaimath/Algebra",
    "numina_math": "AI-MO/NuminaMath-CoT/aops_forum",
}
DOMAINS = ("05", "11", "51", "81")
COUNT = 40


def rows() -> list[dict[str, object]]:
    """400 rows; every one of which s1's rules let pass but those that say otherwise."""
    generator = random.Random(0)
    made: list[dict[str, object]] = []
    for place in range(400):
        family = list(SOURCES)[place % 4]
        length = generator.randrange(100, 9_000)
        made.append({
            "prompt": f"Question {place}: how many ways are there to put {place} stones into {place % 7} cups?",
            "reasoning": f"Let me think about stones in cups, {place}.", "attempt": str(place),
            "ground_truth": str(place), "gemini_length": length, "domain": DOMAINS[place // 4 % 4],
            "isgeminicorrect": place % 3 > 0, "isqwen7bcorrect": place % 10 == 5, "isqwen32bcorrect": False,
            "source_type": SOURCES[family],
        })  # fmt: skip
    made[0] |= {"domain": None}
    made[1] |= {"isqwen32bcorrect": None}
    made[2] |= {"prompt": "What is shown here? ![Image](a.png) Count the stones, please."}
    made[3] |= {"reasoning": "", "attempt": ""}
    return made


def run(name: str, folder: Path, *settings: str) -> Path:
    (folder / "s1_59k.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()))
    loaded = load_recipe(name, (f"collect.sources.0.local={folder}", f"select.count={COUNT}", *settings))
    return run_recipe(loaded, folder / name, quiet=True)
