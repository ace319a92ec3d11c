"""Metrics, intervals and votes: pure functions from scores to numbers with their uncertainty."""

from thinkscale.statistics.cells import (
    OVER_BUDGET_SLACK_TOKENS,
    CellKey,
    accuracy_bounds,
    cell_key,
    cells_from_scores,
    is_over_budget,
    setting_order,
)
from thinkscale.statistics.intervals import (
    RESAMPLES,
    SEED,
    Estimate,
    PairedDifference,
    detectable_difference,
    mean_interval,
    paired_difference,
    wilson_interval,
)
from thinkscale.statistics.metrics import (
    CLASS_CONDITIONAL,
    S1_TARGETS_TOKENS,
    MethodMetrics,
    budget_error,
    method_metrics,
    over_budget_rate,
    scaling_per_1000_tokens,
    scaling_per_doubling,
    share_of_cells_within,
)
from thinkscale.statistics.voting import majority_at_k, pass_at_k

__all__ = [
    "CLASS_CONDITIONAL",
    "OVER_BUDGET_SLACK_TOKENS",
    "RESAMPLES",
    "S1_TARGETS_TOKENS",
    "SEED",
    "CellKey",
    "Estimate",
    "MethodMetrics",
    "PairedDifference",
    "accuracy_bounds",
    "budget_error",
    "cell_key",
    "cells_from_scores",
    "detectable_difference",
    "is_over_budget",
    "majority_at_k",
    "mean_interval",
    "method_metrics",
    "over_budget_rate",
    "paired_difference",
    "pass_at_k",
    "scaling_per_1000_tokens",
    "scaling_per_doubling",
    "setting_order",
    "share_of_cells_within",
    "wilson_interval",
]
