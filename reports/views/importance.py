"""What matters: how much of an objective's ranks a parameter explains alone, within its branch.

One-way analysis of variance on ranks (Kruskal & Wallis, JASA 47 (1952) 583), with the share
corrected for what groups explain by chance (epsilon squared; Kelley, PNAS 21 (1935) 554). Numbers
are cut into quarters. It sees each parameter alone: what only matters together stays hidden.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from problems import Array, Scalar
from reports.views.encodings import measured_trials, objective_point
from reports.views.trials import TrialView

MIN_TRIALS = 12
"""With fewer trials in a branch nothing is said."""

GROUPS = 4
PERMUTATIONS = 200
PERMUTATION_QUANTILE = 0.95


class ParameterImportance(NamedTuple):
    """A parameter's share of an objective's variance, on ranks.

    Args:
        parameter: Its name.
        error: Share of the error's.
        time: Share of the time's.
        chance_error: The share that 95 % of random permutations stay below.
    """

    parameter: str
    error: float
    time: float
    permutation_quantile: float


class ImportanceGroup(NamedTuple):
    """The parameters of a branch, the most important for the error first.

    Args:
        name: The encoding, the family or what all trials share.
        trials: On how many measured trials it rests.
        shares: Of each parameter that was varied.
    """

    name: str
    trials: int
    importances: tuple[ParameterImportance, ...]


def importance_groups(trials: Sequence[TrialView]) -> tuple[ImportanceGroup, ...]:
    """Return what matters in the skeleton, in training, in each encoding and in each family.

    Deployments are compared in the skeleton alone: elsewhere each network counts once.
    """
    able = measured_trials(trials)
    networks = [trial for trial in able if trial.training is None]
    found = [_branch("all trials", able, ""), _branch("training", networks, "training.")]
    for name in sorted({trial.encoding for trial in networks}):
        own = [trial for trial in networks if trial.encoding == name]
        found.append(_branch(f"encoding {name}", own, f"{name}."))
    for name in sorted({trial.family for trial in networks}):
        own = [trial for trial in networks if trial.family == name]
        found.append(_branch(f"family {name}", own, f"{name}."))
    return tuple(branch for branch in found if branch is not None and branch.importances)


def _branch(name: str, trials: Sequence[TrialView], start: str) -> ImportanceGroup | None:
    """Return the shares of the parameters whose names begin so; of the skeleton if nothing."""
    if len(trials) < MIN_TRIALS:
        return None
    from scipy.stats import rankdata  # noqa: PLC0415 - slow to import

    points = np.array([objective_point(trial) for trial in trials])
    ranks = rankdata(points[:, 0]), rankdata(points[:, 1])
    chosen = [_settings(trial.parameters, start) for trial in trials]
    importances: list[ParameterImportance] = []
    for parameter in dict.fromkeys(name for settings in chosen for name in settings):
        group = _groups([settings.get(parameter) for settings in chosen])
        if group.max() == 0:
            continue
        error, time = (_epsilon_squared(each, group) for each in ranks)
        importances.append(ParameterImportance(parameter, error, time, _of_chance(ranks[0], group)))
    return ImportanceGroup(
        name, len(trials), tuple(sorted(importances, key=lambda each: -each.error))
    )


def _settings(parameters: Mapping[str, Scalar], start: str) -> dict[str, Scalar]:
    """Return a branch's own settings; a pruning's lie deeper and aren't among them."""
    return {
        name.removeprefix(start): value
        for name, value in parameters.items()
        if name.startswith(start) and "." not in name.removeprefix(start)
    }


def _groups(values: Sequence[Scalar | None]) -> Array:
    """Return the number of each value's group: its own where there are few, else its quarter.

    Those that weren't asked are a group of their own.
    """
    asked = [value for value in values if value is not None]
    numbers = [float(value) for value in asked if isinstance(value, (int, float))]
    if len(set(asked)) <= GROUPS or len(numbers) < len(asked):
        number_of = {value: i for i, value in enumerate(dict.fromkeys(values))}
        return np.array([number_of[value] for value in values])
    edges = np.quantile(numbers, np.linspace(0.0, 1.0, GROUPS + 1)[1:-1])
    quarters = iter(np.searchsorted(edges, numbers, side="right") + 1)
    groups = [0 if value is None else next(quarters) for value in values]
    return np.unique(groups, return_inverse=True)[1]


def _of_chance(ranks: Array, group: Array) -> float:
    """Return the share that groups drawn by chance alone stay below."""
    rng = np.random.default_rng(0)
    drawn = [_epsilon_squared(rng.permutation(ranks), group) for _ in range(PERMUTATIONS)]
    return float(np.quantile(drawn, PERMUTATION_QUANTILE))


def _epsilon_squared(ranks: Array, group: Array) -> float:
    counts = np.bincount(group)
    samples, groups = len(ranks), int((counts > 0).sum())
    total = float(np.sum((ranks - ranks.mean()) ** 2))
    if total == 0.0 or samples <= groups:
        return 0.0
    means = np.bincount(group, ranks) / np.maximum(counts, 1)
    within = total - float(np.sum(counts * (means - ranks.mean()) ** 2))
    return max(0.0, 1.0 - within / (samples - groups) / (total / (samples - 1)))
