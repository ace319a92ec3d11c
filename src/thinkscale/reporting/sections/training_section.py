"""The section on a training: what happened, in sentences, figures, and the hyperparameters that were in force."""

import math
from collections.abc import Iterator, Mapping

from thinkscale.keys import JSON, canonical_json
from thinkscale.records import Decision
from thinkscale.reporting.data import ReportData
from thinkscale.reporting.document import Block, Bullets, Drawing, Section, Table
from thinkscale.reporting.sections import notes
from thinkscale.reporting.theme import Figure
from thinkscale.reporting.training import TrainingFacts
from thinkscale.reporting.wording import count, gibibytes, loss, percent, plain, shortened, signed

WORSE = 0.02
"""A held-out loss that ends so much above its least, as a share of it, is told as a rise."""
REASONS = {
    "over_long": "left out as too long",
    "thinking_cut": "cut in the middle of the thinking",
    "end_cut": "cut at the end",
    "prompt_cut": "cut in the prompt",
    "held_out": "kept from training, to measure it on",
}


def training_sections(data: ReportData, figures: Mapping[str, Figure]) -> list[Section]:
    """One for each training of the run."""
    return [training_section(facts, figures) for facts in data.trainings if facts.steps]


def training_section(facts: TrainingFacts, figures: Mapping[str, Figure]) -> Section:
    """What happened, the figures, and the hyperparameters in force."""
    blocks: list[Block] = [Bullets(items=tuple(training_told(facts)))]
    blocks += [
        Drawing(figure=figures[name])
        for ending in ("", "_rewards", "_speed")
        if (name := f"{facts.name}{ending}") in figures
    ]
    if facts.held_out:
        blocks.append(_held_out_table(facts))
    if facts.hyperparameters:
        rows = tuple(hyperparameter_rows(facts.hyperparameters))
        blocks.append(Table(title="Hyperparameters in force", headers=("name", "value"), rows=rows, num_words=2))
    title = "Preference training" if facts.is_preference else "Training"
    return Section(anchor=facts.name, title=title, blocks=tuple(blocks))


def training_told(facts: TrainingFacts) -> Iterator[str]:
    """What happened, a sentence or two for each side of it."""
    yield _amount(facts)
    yield from _rows_treated(facts)
    yield _loss(facts)
    if facts.held_out:
        yield _held_out(facts)
    if facts.is_preference:
        yield _rewards(facts)
    yield from _gradients(facts)
    if facts.readings:
        yield _speed(facts)
    remarks = facts.account.get("remarks")
    yield from (str(remark) for remark in remarks) if isinstance(remarks, list) else ()


def hyperparameter_rows(values: Mapping[str, JSON]) -> Iterator[tuple[str, str]]:
    """Name and value, nested ones with dotted names."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from ((f"{name}.{inner}", text) for inner, text in hyperparameter_rows(value))
        else:
            yield name.replace("_", " "), _said(value)


def _said(value: JSON) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, int):
        return count(value)
    if isinstance(value, list):
        return ", ".join(map(_said, value))
    return value if isinstance(value, str) else canonical_json(value)


def _amount(facts: TrainingFacts) -> str:
    last, account = facts.steps[-1], facts.account
    batch = facts.hyperparameters.get("effective_batch_size")
    kind = "pairs" if facts.is_preference else "rows"
    text = f"{count(len(facts.steps))} steps"
    text += f" of {count(batch)} {kind}" if isinstance(batch, int) else ""
    epochs = plain(last.epoch, 2).removesuffix(".00")
    text += f", {epochs} {'epoch' if epochs == '1' else 'epochs'}"
    if isinstance(rows := account.get("num_pairs", account.get("num_rows")), int):
        text += f" over {count(rows)} {kind}"
    tokens, trained = account.get("num_tokens"), account.get("num_trained_tokens")
    if isinstance(tokens, int) and isinstance(trained, int) and tokens:
        text += f" with {count(tokens)} tokens, {count(trained)} of them ({percent(trained / tokens)}) trained on"
    text += "."
    if facts.num_tokens:
        text += f" In all {count(facts.num_tokens)} tokens went through the model"
        padding = facts.padding
        text += "." if padding is None else f", and padding was {percent(padding)} of what was computed."
    return text


def _rows_treated(facts: TrainingFacts) -> Iterator[str]:
    for (decision, reason), number in facts.fate_counts().items():
        what = REASONS.get(reason, f"{'dropped' if decision is Decision.DROPPED else 'changed'}: {reason}")
        example = next(fate for fate in facts.fates if (fate.decision, fate.reason) == (decision, reason))
        evidence = f" (such as {example.problem_id}: {shortened(example.evidence, 90)})" if example.evidence else ""
        yield f"{count(number)} {'row was' if number == 1 else 'rows were'} {what.replace('_', ' ')}{evidence}."


def _loss(facts: TrainingFacts) -> str:
    first, last = facts.steps[0], facts.steps[-1]
    text = f"The loss went from {loss(first.loss)} at step {count(first.step)} to {loss(last.loss)} at step "
    text += count(last.step)
    start = facts.epoch_ends[-1] if facts.epoch_ends else None
    if start is None:
        return text + "."
    losses = [step.loss for step in facts.steps if step.step > start]
    return f"{text}; over the last epoch it was {loss(sum(losses) / len(losses))} on average."


def _held_out(facts: TrainingFacts) -> str:
    first, last, best = facts.held_out[0], facts.held_out[-1], facts.best
    assert best is not None
    kind = "pairs" if facts.is_preference else "rows"
    text = (
        f"On {count(last.num_rows)} held-out {kind} it went from {loss(first.loss)} at step {count(first.step)} to "
        f"{loss(last.loss)} at step {count(last.step)}; the least is {loss(best.loss)} at step {count(best.step)}"
    )
    if first.token_accuracy is not None and last.token_accuracy is not None:
        text += f", and the share of tokens foreseen from {percent(first.token_accuracy)} to "
        text += percent(last.token_accuracy)
    rise = (last.loss - best.loss) / abs(best.loss) if best.loss else 0.0
    if rise > WORSE and best.step != last.step:
        text += (
            f". It has risen by {percent(rise)} since: the model learns its rows by heart (`keep: best` takes the "
            "weights of the least loss)"
        )
    return text + "."


def _rewards(facts: TrainingFacts) -> str:
    first, last = facts.steps[0], facts.steps[-1]
    text = f"The reward margin of chosen over rejected replies went from {_margin(first)} to {_margin(last)}"
    if first.reward_accuracy is not None and last.reward_accuracy is not None:
        text += f", and the share of pairs in the right order from {percent(first.reward_accuracy)} to "
        text += percent(last.reward_accuracy)
    if facts.held_out and facts.held_out[-1].chosen_reward is not None:
        one, other = facts.held_out[0], facts.held_out[-1]
        text += f"; on the held-out pairs from {_margin(one)} to {_margin(other)}"
        if one.reward_accuracy is not None and other.reward_accuracy is not None:
            text += f" ({percent(one.reward_accuracy)} to {percent(other.reward_accuracy)})"
    chosen = (last.chosen_reward or 0.0) - (first.chosen_reward or 0.0)
    if chosen < 0:
        text += f". The reward of the chosen replies fell by {-chosen:.3f}: the margin grows by what is unlearned"
    return text + "."


def _margin(item: object) -> str:
    chosen, rejected = getattr(item, "chosen_reward", None), getattr(item, "rejected_reward", None)
    return signed(chosen - rejected, 3) if chosen is not None and rejected is not None else "n/a"


def _gradients(facts: TrainingFacts) -> Iterator[str]:
    limit = facts.hyperparameters.get("max_grad_norm")
    if isinstance(limit, (int, float)):
        cut = sum(step.gradient_norm > limit for step in facts.steps)
        most = max(facts.steps, key=lambda step: step.gradient_norm)
        yield (
            f"Gradients longer than {limit:g} were cut in {count(cut)} of {count(len(facts.steps))} steps; the longest "
            f"was {most.gradient_norm:.3g} at step {count(most.step)}."
        )


def _speed(facts: TrainingFacts) -> str:
    parts = [f"The steps took {_duration(facts.seconds)}"]
    if facts.tokens_per_second is not None:
        parts.append(f"{count(facts.tokens_per_second)} tokens a second, padding not counted")
    if facts.mfu is not None:
        parts.append(f"a model FLOPs utilization of {percent(facts.mfu)}")
    if facts.peak_bytes is not None:
        place = "on a GPU" if facts.hyperparameters.get("device") == "cuda" else "in a process"
        parts.append(f"at most {gibibytes(facts.peak_bytes)} of memory {place}")
    missing = len(facts.steps) - sum(step.step in facts.readings for step in facts.steps)
    steps = "step" if missing == 1 else "steps"
    lost = f" (the log lost the readings of {count(missing)} {steps})" if missing else ""
    return ", ".join(parts) + lost + "."


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:,.1f} seconds"
    return f"{seconds / 60:,.1f} minutes" if seconds < 7200 else f"{seconds / 3600:,.1f} hours"


def _held_out_table(facts: TrainingFacts) -> Table:
    best = facts.best
    has_rewards = any(item.chosen_reward is not None for item in facts.held_out)
    headers = ("step", "epoch", "loss", *(("margin", "right order") if has_rewards else ("tokens foreseen",)), "")
    rows = tuple(
        (
            count(item.step),
            f"{item.epoch:.2f}",
            f"{item.loss:.4f}",
            *(
                (_margin(item), _share(item.reward_accuracy))
                if has_rewards
                else (_share(item.token_accuracy),)
            ),
            "the least" if item is best else "",
        )
        for item in facts.held_out
    )  # fmt: skip
    return Table(
        title="On the held-out rows",
        headers=headers,
        rows=rows,
        num_words=0,
        note=notes.HELD_OUT,
        folded=len(rows) > 20,
    )


def _share(value: float | None) -> str:
    return "n/a" if value is None or math.isnan(value) else percent(value)
