"""Importance of parameters: the share of the variance of an objective's ranks that each explains.

The method is a one-way analysis of variance on ranks (Kruskal & Wallis, JASA 47 (1952) 583). The
share is corrected for what groups explain by chance (epsilon squared; Kelley, PNAS 21 (1935) 554).
Numbers are grouped by their quartiles. Parameters are considered one at a time, so that effects of
combinations stay hidden.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from problems import Array, Scalar
from reports.views.encodings import measured_trials, objective_point
from reports.views.trials import TrialView

MIN_TRIALS = 12
"""Smallest number of trials in a group."""

LEVELS = 4
PERMUTATIONS = 200
PERMUTATION_QUANTILE = 0.95


class ParameterImportance(NamedTuple):
    """The share of the variance of ranks that a parameter explains.

    Args:
        parameter: Name of the parameter.
        error: Share for the error.
        time: Share for the time.
        permutation_quantile: The 95th percentile of the share for the error over random
            permutations.
    """

    parameter: str
    error: float
    time: float
    permutation_quantile: float


class ImportanceGroup(NamedTuple):
    """Importances of the parameters of a group, the most important for the error first.

    Args:
        name: Name of the group: all trials, training, an encoding or a family.
        trials: Number of measured trials in the group.
        importances: Importance of each parameter that varies.
    """

    name: str
    trials: int
    importances: tuple[ParameterImportance, ...]


def importance_groups(trials: Sequence[TrialView]) -> tuple[ImportanceGroup, ...]:
    """Return the importances for combinations, training, each encoding and each family.

    Further deployments count only for combinations; elsewhere each network counts once.
    """
    measured = measured_trials(trials)
    networks = [trial for trial in measured if trial.training is None]
    groups = [_group("all trials", measured, ""), _group("training", networks, "training.")]
    for name in sorted({trial.encoding for trial in networks}):
        members = [trial for trial in networks if trial.encoding == name]
        groups.append(_group(f"encoding {name}", members, f"{name}."))
    for name in sorted({trial.family for trial in networks}):
        members = [trial for trial in networks if trial.family == name]
        groups.append(_group(f"family {name}", members, f"{name}."))
    return tuple(group for group in groups if group is not None and group.importances)


def _group(name: str, trials: Sequence[TrialView], prefix: str) -> ImportanceGroup | None:
    """Return the importances of the parameters with a prefix; "" is that of combinations."""
    if len(trials) < MIN_TRIALS:
        return None
    from scipy.stats import rankdata  # noqa: PLC0415 - slow to import

    points = np.array([objective_point(trial) for trial in trials])
    ranks = rankdata(points[:, 0]), rankdata(points[:, 1])
    all_settings = [_settings(trial.parameters, prefix) for trial in trials]
    importances: list[ParameterImportance] = []
    for parameter in dict.fromkeys(name for settings in all_settings for name in settings):
        levels = _levels([settings.get(parameter) for settings in all_settings])
        if levels.max() == 0:
            continue
        error, time = _epsilon_squared(ranks[0], levels), _epsilon_squared(ranks[1], levels)
        quantile = _permutation_quantile(ranks[0], levels)
        importances.append(ParameterImportance(parameter, error, time, quantile))
    importances.sort(key=lambda importance: -importance.error)
    return ImportanceGroup(name, len(trials), tuple(importances))


def _settings(parameters: Mapping[str, Scalar], prefix: str) -> dict[str, Scalar]:
    """Return the settings directly below a prefix, without those of a pruning further below."""
    return {
        name.removeprefix(prefix): value
        for name, value in parameters.items()
        if name.startswith(prefix) and "." not in name.removeprefix(prefix)
    }


def _levels(values: Sequence[Scalar | None]) -> Array:
    """Return the level of each value (n,): the value itself if there are few, else its quartile.

    Missing values have a level of their own.
    """
    present = [value for value in values if value is not None]
    numbers = [float(value) for value in present if isinstance(value, (int, float))]
    if len(set(present)) <= LEVELS or len(numbers) < len(present):
        level_of = {value: i for i, value in enumerate(dict.fromkeys(values))}
        return np.array([level_of[value] for value in values])
    edges = np.quantile(numbers, np.linspace(0.0, 1.0, LEVELS + 1)[1:-1])
    quarters = iter(np.searchsorted(edges, numbers, side="right") + 1)
    levels = [0 if value is None else next(quarters) for value in values]
    return np.unique(levels, return_inverse=True)[1]


def _permutation_quantile(ranks: Array, levels: Array) -> float:
    """Return a high quantile of the share that random permutations of the ranks give."""
    rng = np.random.default_rng(0)
    shares = [_epsilon_squared(rng.permutation(ranks), levels) for _ in range(PERMUTATIONS)]
    return float(np.quantile(shares, PERMUTATION_QUANTILE))


def _epsilon_squared(ranks: Array, levels: Array) -> float:
    """Return the share of the variance of ranks (n,) that levels (n,) explain, corrected."""
    counts = np.bincount(levels)
    samples, level_count = len(ranks), int((counts > 0).sum())
    total = float(np.sum((ranks - ranks.mean()) ** 2))
    if total == 0.0 or samples <= level_count:
        return 0.0
    means = np.bincount(levels, ranks) / np.maximum(counts, 1)
    within = total - float(np.sum(counts * (means - ranks.mean()) ** 2))
    return max(0.0, 1.0 - within / (samples - level_count) / (total / (samples - 1)))
