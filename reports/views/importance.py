"""Importance of parameters: the share of the variance of an objective's ranks that each explains.

The method is a one-way analysis of variance on ranks (Kruskal & Wallis, JASA 47 (1952) 583). The
share is corrected for what permutations explain; for independent trials that is epsilon squared
(Kelley, PNAS 21 (1935) 554). Deployments of one network aren't independent: a parameter of the
network is permuted among whole networks, one of the deployment within each network (exchangeable
blocks; Winkler et al., NeuroImage 123 (2015) 253). Numbers are grouped by their quantiles.
Parameters are considered one at a time; those that vary together are named.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from problems import Array, Scalar
from reports.views.encodings import MIN_NETWORKS, measured_trials, objective_point
from reports.views.trials import TrialView

MAX_LEVELS = 4
"""Largest number of groups of a number's values."""

PERMUTATIONS = 200
PERMUTATION_QUANTILE = 0.95

CONFOUNDED_ASSOCIATION = 0.5
"""Cramér's V from which two parameters are said to vary together."""

CHANCE_PROBABILITY = 0.05
"""A value that occurs with a single value of another parameter is named if this is less probable
by chance."""

MISSING = "none"
"""Name of the level of a conditional parameter where it doesn't exist."""


class ParameterImportance(NamedTuple):
    """The share of the variance of ranks that a parameter explains.

    Args:
        parameter: Name of the parameter.
        error: Share for the error.
        time: Share for the time.
        permutation_quantile: The 95th percentile of the share for the error over permutations of
            whole networks.
        confounded_with: Parameters of the group that vary together with it.
    """

    parameter: str
    error: float
    time: float
    permutation_quantile: float
    confounded_with: tuple[str, ...]


class ImportanceGroup(NamedTuple):
    """Importances of the parameters of a group, the most important for the error first.

    Args:
        name: Name of the group: all trials, training, an encoding or a family.
        networks: Number of networks with measured trials in the group.
        trials: Number of these trials.
        importances: Importance of each parameter with two values of at least `MIN_NETWORKS`
            networks.
        refused: The other parameters that vary.
        left_out: Values of parameters with fewer networks, which are left out.
        nested: Values that occur with a single value of another parameter, in words.
    """

    name: str
    networks: int
    trials: int
    importances: tuple[ParameterImportance, ...]
    refused: tuple[str, ...]
    left_out: tuple[str, ...]
    nested: tuple[str, ...]


class _Levels(NamedTuple):
    """The levels of a parameter, as far as enough networks have them.

    Args:
        names: Names of the levels with enough networks.
        level: Level of each trial (n,), -1 where its level has too few networks.
        left_out: Names of the levels with too few networks.
    """

    names: tuple[str, ...]
    level: Array
    left_out: tuple[str, ...]


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
    return tuple(group for group in groups if group.importances or group.refused)


def _group(name: str, trials: Sequence[TrialView], prefix: str) -> ImportanceGroup:
    """Return the importances of the parameters with a prefix; "" is that of combinations."""
    points = np.array([objective_point(trial) for trial in trials]).reshape(-1, 2)
    ids = [trial.number if trial.training is None else trial.training for trial in trials]
    networks = np.unique(ids, return_inverse=True)[1]
    all_settings = [_settings(trial.parameters, prefix) for trial in trials]
    parameters = dict.fromkeys(name for settings in all_settings for name in settings)
    levels: dict[str, _Levels] = {}
    refused: list[str] = []
    for parameter in parameters:
        values = [settings.get(parameter) for settings in all_settings]
        if len(set(values)) > 1:
            parameter_levels = _levels(values, networks)
            if len(parameter_levels.names) > 1:
                levels[parameter] = parameter_levels
            else:
                refused.append(parameter)
    confounded = _confounded(levels, networks)
    importances = [
        ParameterImportance(
            parameter, *_shares(points, members.level, networks), confounded[parameter]
        )
        for parameter, members in levels.items()
    ]
    return ImportanceGroup(
        name=name,
        networks=len(set(ids)),
        trials=len(trials),
        importances=tuple(sorted(importances, key=lambda importance: -importance.error)),
        refused=tuple(refused),
        left_out=tuple(f"{p} {value}" for p in levels for value in levels[p].left_out),
        nested=tuple(_nested(levels, networks)),
    )


def _settings(parameters: Mapping[str, Scalar], prefix: str) -> dict[str, Scalar]:
    """Return the settings directly below a prefix, without those of a pruning further below."""
    return {
        name.removeprefix(prefix): value
        for name, value in parameters.items()
        if name.startswith(prefix) and "." not in name.removeprefix(prefix)
    }


def _levels(values: Sequence[Scalar | None], networks: Array) -> _Levels:
    """Return the levels of a parameter: its values if there are few, else their quantiles.

    Missing values have a level of their own.

    Args:
        values: The value of each trial (n,).
        networks: The network of each trial (n,).
    """
    labels = [MISSING if value is None else str(value) for value in values]
    numbers = [float(value) for value in values if isinstance(value, (int, float))]
    present = len(values) - values.count(None)
    if len(set(labels)) > MAX_LEVELS and len(numbers) == present:
        groups = min(MAX_LEVELS, len(np.unique(networks)) // MIN_NETWORKS)
        edges = np.quantile(numbers, np.linspace(0.0, 1.0, groups + 1)[1:-1]) if groups else []
        quantiles = iter(np.searchsorted(edges, numbers, side="right") + 1)
        labels = [
            MISSING if value is None else f"quantile {next(quantiles)} of {groups}"
            for value in values
        ]
    networks_of = {
        label: len({n for n, other in zip(networks, labels, strict=True) if other == label})
        for label in dict.fromkeys(labels)
    }
    names = tuple(label for label, count in networks_of.items() if count >= MIN_NETWORKS)
    level = np.array([names.index(label) if label in names else -1 for label in labels])
    return _Levels(names, level, tuple(label for label in networks_of if label not in names))


def _shares(points: Array, level: Array, networks: Array) -> tuple[float, float, float]:
    """Return the shares for error and time, and the high quantile of permutations for the error.

    Args:
        points: Objectives (n, 2).
        level: Level of each trial (n,); -1 leaves a trial out.
        networks: Network of each trial (n,).
    """
    from scipy.stats import rankdata  # noqa: PLC0415 - slow to import

    kept = level >= 0
    ranks = np.asarray(rankdata(points[kept], axis=0))
    level, networks = level[kept], np.unique(networks[kept], return_inverse=True)[1]
    observed = _explained(ranks, level)
    permuted = np.array([_explained(ranks, other) for other in _permutations(level, networks)])
    # What permutations explain on average is due to chance, and 1 is explained at most.
    mean = permuted.mean(axis=0)
    spare = np.where(mean < 1.0, 1.0 - mean, 1.0)
    error, time = np.clip((observed - mean) / spare, 0.0, 1.0)
    quantile = np.quantile(permuted[:, 0], PERMUTATION_QUANTILE)
    return float(error), float(time), float(max(0.0, (quantile - mean[0]) / spare[0]))


def _permutations(level: Array, networks: Array) -> list[Array]:
    """Return random permutations (n,) of levels (n,) of deployments of networks (n,).

    Levels that the network determines are exchanged between networks, others within each network.
    """
    rng = np.random.default_rng(0)
    first = np.unique(networks, return_index=True)[1]
    of_network = level[first]
    if np.array_equal(of_network[networks], level):
        return [rng.permutation(of_network)[networks] for _ in range(PERMUTATIONS)]
    in_order = np.argsort(networks, kind="stable")
    permutations: list[Array] = []
    for _ in range(PERMUTATIONS):
        permuted = np.empty_like(level)
        permuted[in_order] = level[np.lexsort((rng.random(len(level)), networks))]
        permutations.append(permuted)
    return permutations


def _explained(ranks: Array, level: Array) -> Array:
    """Return the share (k,) of the variance of ranks (n, k) between levels (n,)."""
    deviations = ranks - ranks.mean(axis=0)
    total = np.sum(deviations**2, axis=0)
    counts = np.bincount(level)
    sums = np.array([np.bincount(level, column) for column in deviations.T])
    between = np.sum(sums**2 / np.maximum(counts, 1), axis=1)
    return np.divide(between, total, out=np.zeros_like(total), where=total > 0.0)


def _confounded(levels: Mapping[str, _Levels], networks: Array) -> dict[str, tuple[str, ...]]:
    """Return the parameters that vary together with each parameter."""
    together: dict[str, list[str]] = {parameter: [] for parameter in levels}
    for one, other in combinations(levels, 2):
        if _association(_table(levels[one], levels[other], networks)) >= CONFOUNDED_ASSOCIATION:
            together[one].append(other)
            together[other].append(one)
    return {parameter: tuple(others) for parameter, others in together.items()}


def _nested(levels: Mapping[str, _Levels], networks: Array) -> list[str]:
    """Return the values that occur with a single value of another parameter, in words."""
    nested: list[str] = []
    for one in levels:
        for other in levels:
            table = _table(levels[one], levels[other], networks)
            shares = table.sum(axis=0) / max(table.sum(), 1.0)
            for name, row in zip(levels[one].names, table, strict=True) if one != other else ():
                only = int(np.argmax(row))
                by_chance = shares[only] ** row[only]
                if row[only] == row.sum() > 0.0 and by_chance < CHANCE_PROBABILITY:
                    nested.append(f"{one} {name} only with {other} {levels[other].names[only]}")
    return nested


def _table(one: _Levels, other: _Levels, networks: Array) -> Array:
    """Return how many networks have each pair of levels of two parameters, (k, l)."""
    kept = (one.level >= 0) & (other.level >= 0)
    rows = np.stack([one.level[kept], other.level[kept], networks[kept]], axis=1)
    table = np.zeros((len(one.names), len(other.names)))
    for first, second, _ in np.unique(rows, axis=0):
        table[first, second] += 1.0
    return table


def _association(table: Array) -> float:
    """Return Cramér's V of a contingency table (k, l), without the bias of few networks.

    Source: Bergsma, J. Korean Stat. Soc. 42 (2013) 323.
    """
    from scipy.stats import chi2_contingency  # noqa: PLC0415 - slow to import

    table = table[table.sum(axis=1) > 0.0][:, table.sum(axis=0) > 0.0]
    n, (rows, columns) = float(table.sum()), table.shape
    if min(rows, columns) < 2:
        return 0.0
    squared = float(np.asarray(chi2_contingency(table, correction=False)[0])) / n
    corrected = max(0.0, squared - (rows - 1) * (columns - 1) / (n - 1))
    smaller = min(side - (side - 1) ** 2 / (n - 1) for side in (rows, columns))
    return float(np.sqrt(corrected / (smaller - 1.0))) if smaller > 1.0 else 0.0
