"""Figures of a training: the loss, what the devices did, and for preference training the rewards."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from thinkscale.records import HeldOut, Step
from thinkscale.reporting.data import ReportData
from thinkscale.reporting.theme import BLUE, COLOURS, GREEN, GREY, VERMILION, Figure, Row, data_of, finished
from thinkscale.reporting.training import TrainingFacts, smoothed
from thinkscale.reporting.wording import GIB, count, loss, percent
from thinkscale.training.log import Readings

if TYPE_CHECKING:
    import altair as alt

WIDTH = 760
MOST_DOTS = 60
"""Steps up to which each is a dot."""
MOST_EPOCHS = 12
"""Ends of epochs that are drawn; more would be a hatching."""
TRAINED, HELD_OUT = "training", "held out"
ORANGE = COLOURS[5]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One quantity over the steps; `held_out` points are measured rarely and each is shown."""

    name: str
    colour: str
    points: Sequence[tuple[int, float]]
    held_out: bool = False
    is_noisy: bool = True
    """Many points are a thin line under their running mean; else the line says it as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Curves of one unit under each other's axis."""

    title: str
    curves: Sequence[Curve]
    height: int
    format: str
    from_zero: bool = False
    marked: float | None = None
    """A value with a line of its own."""


def training_figures(data: ReportData) -> list[Figure]:
    """What each training of the run has to show."""
    makers = (loss_figure, speed_figure, rewards_figure)
    return [figure for facts in data.trainings for make in makers if (figure := make(facts)) is not None]


def loss_figure(facts: TrainingFacts) -> Figure | None:
    """Loss with the held-out rows', learning rate, and gradient norm."""
    if not facts.steps:
        return None
    held = _held(facts.held_out, HELD_OUT, VERMILION, lambda item: item.loss)
    clipped = facts.hyperparameters.get("max_grad_norm")
    norms = [step.gradient_norm for step in facts.steps]
    is_near = isinstance(clipped, (int, float)) and min(norms) / 2 < clipped < 2 * max(norms)
    limit = float(clipped) if isinstance(clipped, (int, float)) and is_near else None
    losses = [_of(facts, TRAINED, BLUE, lambda step: step.loss), *held]
    panels = [
        Panel(title="loss", curves=losses, height=220, format=".3~f"),
        Panel(
            title="learning rate",
            curves=[replace(_of(facts, "learning rate", ORANGE, lambda step: step.learning_rate), is_noisy=False)],
            height=70,
            format=".1e",
        ),
        Panel(
            title="gradient norm",
            curves=[_of(facts, "gradient norm", GREY, lambda step: step.gradient_norm)],
            height=80,
            format=".2~f",
            marked=limit,
        ),
    ]  # fmt: skip
    first, last = facts.steps[0], facts.steps[-1]
    caption = f"Loss from {loss(first.loss)} at step {first.step} to {loss(last.loss)} at step {last.step} "
    caption += f"({last.epoch:.2f} epochs), with learning rate and gradient norm."
    if best := facts.best:
        caption += f" Held out: {count(best.num_rows)} rows, the least loss {loss(best.loss)} at step {best.step}."
    if limit is not None:
        caption += f" Gradients are cut at the dotted norm of {limit:g}."
    return _figure(facts, "", "Loss, learning rate and gradient norm", caption, panels)


def speed_figure(facts: TrainingFacts) -> Figure | None:
    """Tokens a second, use of the devices, memory and padding, as far as the log has them."""
    rates = [_read(facts, "tokens of the rows", BLUE, lambda item: item.tokens_per_second)]
    padding = _of(facts, "padding", ORANGE, lambda step: 100 * step.padding)
    if facts.padding:
        everything = _read(facts, "computed positions, padding included", GREY, lambda item: item.computed_per_second)
        rates.insert(0, everything)
    else:  # a line at zero says no more than the caption
        padding = replace(padding, points=())
    memory = _read(facts, "memory", GREEN, lambda item: None if item.peak_bytes is None else item.peak_bytes / GIB)
    usage = _read(facts, "MFU", VERMILION, lambda item: None if item.mfu is None else 100 * item.mfu)
    drawn = [
        Panel(title="tokens a second", curves=rates, height=150, format=",d", from_zero=True),
        Panel(title="MFU, %", curves=[usage], height=80, format=".3~f", from_zero=True),
        Panel(title="memory, GiB", curves=[replace(memory, is_noisy=False)], height=80, format=".3~f", from_zero=True),
        Panel(title="padding, %", curves=[padding], height=80, format=".3~f", from_zero=True),
    ]
    panels = [
        replace(panel, curves=known) for panel in drawn if (known := [curve for curve in panel.curves if curve.points])
    ]
    if not panels:
        return None
    caption = "What the devices did in each step; evaluations and checkpoints are left out."
    if facts.tokens_per_second is not None:
        caption += f" Overall {count(facts.tokens_per_second)} tokens a second, padding not counted."
    if facts.padding is not None:
        caption += f" Of all computed positions {percent(facts.padding)} were padding."
    return _figure(facts, "_speed", "Speed, memory and padding", caption, panels)


def rewards_figure(facts: TrainingFacts) -> Figure | None:
    """Rewards of chosen and rejected replies, their margin, and how often it has the right sign."""
    if not facts.is_preference:
        return None
    margins = [_of(facts, TRAINED, BLUE, _margin), *_held(facts.held_out, HELD_OUT, VERMILION, _margin)]
    panels = [
        Panel(
            title="reward",
            curves=[
                _of(facts, "chosen", GREEN, lambda step: step.chosen_reward),
                _of(facts, "rejected", ORANGE, lambda step: step.rejected_reward),
                *_held(facts.held_out, "chosen", GREEN, lambda item: item.chosen_reward),
                *_held(facts.held_out, "rejected", ORANGE, lambda item: item.rejected_reward),
            ],
            height=170,
            format=".3~f",
        ),
        Panel(title="margin", curves=margins, height=130, format=".3~f", marked=0),
        Panel(
            title="right order, %",
            curves=[
                _of(facts, TRAINED, BLUE, lambda step: _percent(step.reward_accuracy)),
                *_held(facts.held_out, HELD_OUT, VERMILION, lambda item: _percent(item.reward_accuracy)),
            ],
            height=110,
            format=".3~f",
            marked=50,
        ),
    ]  # fmt: skip
    first, last = facts.steps[0], facts.steps[-1]
    caption = f"Margin: reward of the chosen reply over the rejected one's, from {_margin(first) or 0:.3f} at step "
    caption += f"{first.step} to {_margin(last) or 0:.3f} at step {last.step}. Dashed with squares: held-out pairs. "
    caption += "Right order: pairs whose chosen reply has the higher reward. Dotted: no preference."
    return _figure(facts, "_rewards", "Rewards of chosen and rejected replies", caption, panels)


def _margin(item: Step | HeldOut) -> float | None:
    if item.chosen_reward is None or item.rejected_reward is None:
        return None
    return item.chosen_reward - item.rejected_reward


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _of(facts: TrainingFacts, name: str, colour: str, value: Callable[[Step], float | None]) -> Curve:
    return Curve(name=name, colour=colour, points=_points((step.step, value(step)) for step in facts.steps))


def _read(facts: TrainingFacts, name: str, colour: str, value: Callable[[Readings], float | None]) -> Curve:
    found = ((step, value(facts.readings[step])) for step in sorted(facts.readings))
    return Curve(name=name, colour=colour, points=_points(found))


def _held(held_out: Iterable[HeldOut], name: str, colour: str, value: Callable[[HeldOut], float | None]) -> list[Curve]:
    points = _points((item.step, value(item)) for item in held_out)
    return [Curve(name=name, colour=colour, points=points, held_out=True)] if points else []


def _points(found: Iterable[tuple[int, float | None]]) -> list[tuple[int, float]]:
    return [(step, value) for step, value in found if value is not None]


def _figure(facts: TrainingFacts, ending: str, title: str, caption: str, panels: Sequence[Panel]) -> Figure:
    import altair as alt

    steps = [step for panel in panels for curve in panel.curves for step, _ in curve.points]
    domain, ends = (min(steps), max(steps)), facts.epoch_ends if len(facts.epoch_ends) <= MOST_EPOCHS else ()
    window = _window(len(facts.steps))
    if window > 1 and any(curve.is_noisy for panel in panels for curve in panel.curves):
        caption += f" Thin: each step; thick: the mean of {window} steps around."
    if ends:
        caption += " Grey lines: ends of epochs."
    drawn = [_panel(panel, domain, ends, panel is panels[-1]) for panel in panels]
    chart = alt.vconcat(*drawn, spacing=14).resolve_scale(color="independent")
    names = "; ".join(f"{panel.title}: {', '.join({curve.name: 0 for curve in panel.curves})}" for panel in panels)
    return Figure(
        name=f"{facts.name}{ending}",
        title=title,
        caption=caption,
        alt=f"Curves over the steps of the training. {names}.",
        spec=finished(chart),
    )


def _window(num: int) -> int:
    """Steps of a running mean: odd, about a fortieth of all; 1 where each step is shown."""
    return 1 if num <= MOST_DOTS else 2 * max(1, num // 80) + 1


def _panel(
    panel: Panel, domain: tuple[int, int], ends: Sequence[int], is_last: bool
) -> "alt.LayerChart | alt.FacetChart":
    import altair as alt

    x = alt.X("step:Q", title="step" if is_last else None)
    x = x.axis(grid=False, tickCount=max(1, min(10, domain[1] - domain[0])), format=",d", labels=is_last).scale(
        domain=list(domain), nice=False
    )
    y = alt.Y("value:Q", title=panel.title).scale(zero=panel.from_zero).axis(
        tickCount=max(3, panel.height // 38), format=panel.format, minExtent=52
    )  # fmt: skip
    colours = {curve.name: curve.colour for curve in panel.curves}  # a held-out twin has its curve's colour
    colour = alt.Color("curve:N", sort=list(colours)).scale(domain=list(colours), range=list(colours.values()))
    legend = alt.Legend(orient="top", symbolType="stroke", symbolStrokeWidth=3) if len(colours) > 1 else None
    colour = colour.legend(legend)
    tips = [alt.Tooltip("step:Q", format=",d"), alt.Tooltip("curve:N"), alt.Tooltip("value:Q", format=".5~g")]
    layers: list[alt.Chart] = []
    if ends:
        layers.append(alt.Chart(data_of([{"step": end} for end in ends])).mark_rule(color="#e5e7eb").encode(x))
    if panel.marked is not None:
        rule = alt.Chart(data_of([{"value": panel.marked}])).mark_rule(color=GREY, strokeDash=[2, 3])
        layers.append(rule.encode(y))
    for curve in panel.curves:
        layers += _layers(curve, lambda chart: chart.encode(x, y, colour, tooltip=tips))
    return alt.layer(*layers).properties(width=WIDTH, height=panel.height)


def _layers(curve: Curve, encode: "Callable[[alt.Chart], alt.Chart]") -> "list[alt.Chart]":
    """A curve's marks: dots on a line, or a thin line under its running mean."""
    import altair as alt

    if curve.held_out:
        chart = alt.Chart(data_of(_rows(curve, [value for _, value in curve.points])))
        line = encode(chart.mark_line(strokeWidth=1.4, strokeDash=[5, 3]))
        return [line, encode(chart.mark_point(filled=True, shape="square", size=46, opacity=1))]
    window = _window(len(curve.points)) if curve.is_noisy else 1
    values = [value for _, value in curve.points]
    each = alt.Chart(data_of(_rows(curve, values)))
    if window == 1:
        dots = alt.OverlayMarkDef(size=24) if len(values) <= MOST_DOTS else False
        return [encode(each.mark_line(strokeWidth=1.6, point=dots))]
    mean = alt.Chart(data_of(_rows(curve, smoothed(values, window))))
    return [encode(each.mark_line(strokeWidth=1, opacity=0.35)), encode(mean.mark_line(strokeWidth=2))]


def _rows(curve: Curve, values: Sequence[float]) -> list[Row]:
    steps = [step for step, _ in curve.points]
    return [{"step": step, "value": value, "curve": curve.name} for step, value in zip(steps, values, strict=True)]
