"""DPO and SimPO in the lab: pairs that prefer short replies shorten what is generated, the reverse lengthens it.

    python benchmarks/preference.py --out benchmarks/preference.json [--questions 400]

One student is fine-tuned on correct replies that go over the chain once, twice or three times ("Wait" in between), in
equal shares. Then it is trained four times, by DPO and by SimPO, on pairs of a reply of one pass and one of two or
three, all correct, with either side as the chosen one. Margins are those of held-out pairs, of problems that no
training saw, before and after; replies are sampled for the same held-out questions. Intervals are 95%, over pairs or
questions: mean +- 1.96 standard errors, of the change where both models are measured on the same.
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM
from transformers.utils import logging
from trl.trainer.utils import add_fused_lm_head

from thinkscale.engines.catalogue import model_path, open_tokenizer
from thinkscale.engines.local import LocalEngine
from thinkscale.engines.tokens import TokenRequest
from thinkscale.keys import JSON, seed_from
from thinkscale.lab.chain import Question, parse_question, text_of
from thinkscale.lab.teacher import final_answer, work
from thinkscale.lab.world import draw_question, eight_grams
from thinkscale.records import Finish, Message, Pair, Sampling, Step
from thinkscale.thinking.formats import find_format
from thinkscale.training.packing import Limits, divide
from thinkscale.training.pair_passes import PairArrays, reply_tokens
from thinkscale.training.pair_tokens import PairTokens
from thinkscale.training.pairs import PairRow
from thinkscale.training.preference import PreferenceResult, train_preference
from thinkscale.training.preference_losses import reply_log_probs
from thinkscale.training.preference_settings import Method, PreferenceSettings
from thinkscale.training.settings import Batching, SftSettings
from thinkscale.training.sft import train_sft
from thinkscale.training.tokens import TrainingRow, build_row

SEED = 42
LEVELS = (2, 5)
HELD_OUT = 150
MOST_TOKENS = 200
TEMPERATURE = 0.7
BETAS = {Method.DPO: 0.1, Method.SIMPO: 2.0}
GAMMAS = {Method.DPO: 0.0, Method.SIMPO: 0.3}
RATES = {Method.DPO: 5e-5, Method.SIMPO: 5e-5}
FINE_TUNED = 600
"""Questions that the student is fine-tuned on; those of the pairs are the first of them."""
WORSE = ((1, 2), (1, 3))
"""Passes of the short and of the long reply of a question's pair, in turn."""


def questions(count: int) -> list[Question]:
    """Numeric ones of 2 to 5 steps, no two with eight words in common."""
    rng, seen = random.Random(seed_from("preference", SEED)), set[str]()
    found: list[Question] = []
    while len(found) < count:
        question = draw_question(rng, "numeric", rng.randint(*LEVELS))
        grams = eight_grams(text_of(question))
        if seen.isdisjoint(grams):
            seen |= grams
            found.append(question)
    return found


def reply(question: Question, passes: int) -> Message:
    """A correct reply that goes over the chain `passes` times."""
    text, value, _ = work(random.Random(0), question, (), 0.0)
    thinking = "\nWait\n".join([text] * passes)
    return Message(role="assistant", content=final_answer(question, (), value), thinking=thinking)


def asked(question: Question) -> tuple[Message, ...]:
    """The prompt."""
    return (Message(role="user", content=text_of(question)),)


def pair(question: Question, number: int, prefer: str) -> Pair:
    """One pair; `prefer` says which of its replies is chosen."""
    short, long = (reply(question, passes) for passes in WORSE[number % len(WORSE)])
    chosen, rejected = (short, long) if prefer == "short" else (long, short)
    return Pair(problem_id=f"q{number}", prompt=asked(question), chosen=chosen, rejected=rejected, why=prefer)


def nothing(step: Step) -> None:
    """Steps are in the result."""


def fine_tuned(found: Sequence[Question], tokens: PairTokens, out: Path) -> dict[str, JSON]:
    """The student that all four trainings begin with."""
    rows: list[TrainingRow] = []
    for number, question in enumerate(found):
        said = reply(question, 1 + number % 3)
        ids = tokens.bound.training_ids(asked(question), said.thinking or "", said.content)
        rows.append(build_row(f"q{number}", ids.prompt, ids.completion))
    settings = SftSettings(model=model_path("lab"), epochs=4, effective_batch_size=8, learning_rate=2e-3, device="cpu")
    result = train_sft(rows, replace(settings, max_length=512), out, nothing)
    return {
        "num_rows": len(rows),
        "num_steps": len(result.steps),
        "loss": [result.steps[0].loss, result.steps[-1].loss],
        "seconds": result.seconds,
    }


def scores(model_folder: Path, rows: Sequence[PairRow]) -> torch.Tensor:
    """(pairs, 4): log-probability of the chosen and of the rejected reply, and their numbers of tokens."""
    model: Any = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32)
    add_fused_lm_head(model, outputs=("log_probs",))
    arrays, found = PairArrays(rows), []
    with torch.no_grad():
        for start in range(0, len(rows), 10):
            numbers = tuple(range(start, min(start + 10, len(rows))))
            of_pass = reply_log_probs(reply_tokens(model, arrays.tensors(numbers, Batching.BY_LENGTH, "sdpa")))
            found.append(torch.stack([of_pass.chosen, of_pass.rejected, of_pass.num_chosen, of_pass.num_rejected], 1))
    return torch.cat(found).double()


def margins(method: Method, now: torch.Tensor, before: torch.Tensor) -> list[float]:
    """The difference of rewards of each pair: DPO's to the model before, SimPO's of mean log-probabilities."""
    if method is Method.DPO:
        ratios = now[:, :2] - before[:, :2]
        return (BETAS[method] * (ratios[:, 0] - ratios[:, 1])).tolist()
    means = now[:, :2] / now[:, 2:]
    return (BETAS[method] * (means[:, 0] - means[:, 1])).tolist()


def padding_in_passes(rows: Sequence[PairRow], size: int) -> float:
    """The share of padding where both rows of `size` pairs of like length are padded to the longest."""
    arrays = PairArrays(rows)
    (passes,) = divide(range(len(rows)), arrays.num_tokens, Batching.BY_LENGTH, Limits(rows=size))
    computed = sum(arrays.positions(numbers, Batching.BY_LENGTH) for numbers in passes)
    return 1 - sum(arrays.num_tokens) / computed


def interval(values: Sequence[float]) -> dict[str, JSON]:
    """Mean with its 95% interval."""
    mean, error = statistics.fmean(values), statistics.stdev(values) / len(values) ** 0.5
    return {"mean": mean, "low": mean - 1.96 * error, "high": mean + 1.96 * error, "num": len(values)}


def generated(folder: Path, found: Sequence[Question], tokens: PairTokens) -> dict[str, list[float]]:
    """Of a sampled reply to each question: its tokens, whether it is right, whether MOST_TOKENS cut it off."""
    bound, name = tokens.bound, str(folder)
    engine = LocalEngine(name, name=name, dtype="float32", device="cpu", batch_size=64)
    queue = deque(
        TokenRequest(
            key=str(number),
            prompt=bound.thinking_prompt(asked(question)),
            sampling=Sampling(max_tokens=MOST_TOKENS, temperature=TEMPERATURE, seed=seed_from("reply", number)),
            stop_ids=(bound.eos_id,),
        )
        for number, question in enumerate(found)
    )
    made = {done.request.key: done for done in engine.complete(queue)}
    thinking, answers, right, cut = [], [], [], []
    for number, question in enumerate(found):
        ids = made[str(number)].ids
        end = ids.index(bound.think_stop_ids[0]) if bound.think_stop_ids[0] in ids else len(ids)
        opening = len(bound.encode(bound.format.answer_open))
        said = bound.decode(ids[end + opening :]).strip()
        thinking.append(float(end))
        answers.append(float(max(0, len(ids) - end - opening)))
        right.append(float(said == reply(question, 1).content))
        cut.append(float(made[str(number)].finish is Finish.LENGTH))
    return {"thinking_tokens": thinking, "answer_tokens": answers, "accuracy": right, "cut_off": cut}


def changes(before: dict[str, list[float]], after: dict[str, list[float]]) -> dict[str, JSON]:
    """What is generated, and the change of each question against the student before."""
    return {
        name: {
            **interval(values),
            "change": interval([now - then for now, then in zip(values, before[name], strict=True)]),
        }
        for name, values in after.items()
    }


def trained(method: Method, rows: Sequence[PairRow], student: Path, out: Path) -> PreferenceResult:
    """One of the four trainings; the last HELD_OUT problems are not in `rows`."""
    settings = PreferenceSettings(
        model=str(student),
        method=method,
        beta=BETAS[method],
        gamma=GAMMAS[method],
        epochs=1,
        effective_batch_size=16,
        learning_rate=RATES[method],
        max_length=512,
        device="cpu",
    )
    return train_preference(rows, settings, out, nothing)


def measured(count: int, folder: Path, say: Callable[[str], None]) -> dict[str, JSON]:
    """The whole demonstration."""
    tokens = PairTokens(find_format("s1"), open_tokenizer("lab"))
    found = questions(max(count, FINE_TUNED) + HELD_OUT)
    to_train, held_out = found[:count], found[-HELD_OUT:]
    assert all(parse_question(text_of(question)) == question for question in found)
    student = folder / "student"
    account: dict[str, JSON] = {"student": fine_tuned(found[:FINE_TUNED], tokens, student)}
    say("the student is fine-tuned")
    before = generated(student, held_out, tokens)
    account["before"] = {name: interval(values) for name, values in before.items()}
    for method in Method:
        for prefer in ("short", "long"):
            rows = [tokens.row(pair(question, number, prefer)) for number, question in enumerate(to_train)]
            unseen = [tokens.row(pair(question, count + number, prefer)) for number, question in enumerate(held_out)]
            out = folder / f"{method.value}-{prefer}"
            result = trained(method, rows, student, out)
            first, last = scores(student, unseen), scores(out, unseen)
            was, now = margins(method, first, first), margins(method, last, first)
            account[f"{method.value}, prefer {prefer}"] = {
                "num_steps": len(result.steps),
                "seconds": result.seconds,
                "padding": max(step.padding for step in result.steps),
                "padding_if_padded": padding_in_passes(rows, 4),
                "loss": [result.steps[0].loss, result.steps[-1].loss],
                "held_out_margin_before": interval(was) if method is Method.SIMPO else 0.0,
                "held_out_margin": interval(now),
                "held_out_margin_change": interval([one - other for one, other in zip(now, was, strict=True)]),
                "chosen_ahead": [sum(value > 0 for value in values) / len(values) for values in (was, now)],
                "generated": changes(before, generated(out, held_out, tokens)),
            }
            say(f"{method.value}, prefer {prefer}: done")
    return account


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=400)
    options = parser.parse_args()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    torch.set_num_threads(1)
    cpu, wall = time.process_time(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        account = measured(options.questions, Path(folder), lambda text: print(text, flush=True))
    account["setting"] = {
        "num_pairs": options.questions,
        "num_held_out": HELD_OUT,
        "temperature": TEMPERATURE,
        "beta": {method.value: BETAS[method] for method in Method},
        "gamma": {method.value: GAMMAS[method] for method in Method},
        "learning_rate": {method.value: RATES[method] for method in Method},
        "cpu_seconds": time.process_time() - cpu,
        "wall_seconds": time.perf_counter() - wall,
    }
    options.out.write_text(json.dumps(account, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
