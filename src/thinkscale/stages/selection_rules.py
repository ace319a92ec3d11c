"""The selection's settings as the rules that decide."""

from fractions import Fraction

from thinkscale.config import SelectSettings
from thinkscale.curation.quality import DEFAULT_TRACE_RULES, RULE_SETS, trace_rule_names
from thinkscale.curation.quality.rules import checked_rules
from thinkscale.curation.rules import KeepRule, Need, Preference, Rules, Solved
from thinkscale.curation.sampling import LastPhase, Mix, Sampler, named_sampler
from thinkscale.errors import ConfigError


def rules_of(settings: SelectSettings) -> Rules:
    """The rules of a recipe. ConfigError where a dial does not belong to its sampler."""
    return Rules(
        count=settings.count,
        sampler=_sampler(settings),
        mix=_mix(settings),
        keep_all=tuple(
            KeepRule(source=rule.source, correct=rule.correct, min_trace_tokens=rule.min_trace_tokens)
            for rule in settings.keep_all
        ),
        need=frozenset(map(Need, settings.need)),
        need_correct=settings.need_correct,
        question_rules=_question_rules(settings.question_rules),
        trace_rules=_trace_rules(settings.trace_rules),
        tolerated_faults=settings.tolerated_faults,
        min_trace_tokens=settings.min_trace_tokens,
        max_trace_tokens=settings.max_trace_tokens,
        overlap_share=settings.overlap_share,
        duplicate_share=settings.duplicate_containment,
        same_answer_share=settings.duplicate_same_answer,
        prefer=tuple(map(Preference, settings.prefer)),
        ratings=settings.difficulty,
        solved=Solved(settings.drop_solved),
        solved_above=_exactly(settings.solved_above),
    )


def _sampler(settings: SelectSettings) -> Sampler:
    exponent = None if settings.exponent is None else Fraction(settings.exponent)
    phase = settings.last_phase
    shares = {source: _exactly(share) for source, share in phase.shares.items()} if phase else {}
    return named_sampler(settings.sampler, exponent, LastPhase(count=phase.count, shares=shares) if phase else None)


def _mix(settings: SelectSettings) -> Mix | None:
    mix = settings.mix
    if mix is None:
        return None
    if settings.sampler == "all":
        raise ConfigError(
            "select.mix: the sampler all takes every row, so nothing can be mixed; leave one of the two out"
        )
    if mix.short_rows > settings.count:
        raise ConfigError(f"select.mix.short_rows is {mix.short_rows}, more than select.count {settings.count}")
    return Mix(short_rows=mix.short_rows, short_tokens=mix.short_tokens)


def _question_rules(given: str | tuple[str, ...]) -> frozenset[str]:
    return frozenset(checked_rules(given) if isinstance(given, tuple) else RULE_SETS[given])


def _trace_rules(given: str | tuple[str, ...]) -> frozenset[str]:
    if not isinstance(given, tuple):
        return frozenset(DEFAULT_TRACE_RULES if given == "default" else ())
    unknown = sorted(set(given) - set(trace_rule_names()))
    if unknown:
        raise ConfigError(
            f"select.trace_rules: no rule is called {', '.join(unknown)}; there are {', '.join(trace_rule_names())}"
        )
    return frozenset(given)


def _exactly(number: float) -> Fraction:
    """The decimal number that was written: a third of 0.1 is not what its nearest float says."""
    return Fraction(repr(float(number)))
