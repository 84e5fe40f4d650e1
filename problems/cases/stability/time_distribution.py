"""When unstable systems become unstable: distributions of the logarithm of the time of contact.

A distribution is piecewise uniform in the logarithm of time between edges. The shares of its
intervals are those of the training split, or those that a network predicts: its classes are the
intervals, and a last one of systems that survive the horizon. The cross entropy of these classes
is the likelihood of times that are censored at the horizon (Kvamme & Borgan, Lifetime Data Analysis
27 (2021) 710). With enough intervals it has any shape, also several maxima, as a mixture would.
"""

from typing import NamedTuple

import numpy as np

from problems.interfaces.types import Array, Batch

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Probabilities of the quantiles of the time of contact: ends of the 50 and 90 % intervals."""

MEDIAN = LEVELS.index(0.5)

DECADES = 4.0
"""Decades below the horizon that milestones divide. Half of the unstable systems survive less than
a hundredth of the horizon."""

TRAINING_INTERVALS = 20
"""Intervals with equal shares of the unstable training systems."""

SHORTEST_ORBITS = 1e-2
"""Shortest time of contact that is told from zero, in innermost orbits: less than a step."""


class Followed(NamedTuple):
    """How far b systems were integrated before a prediction.

    Args:
        orbits: Time of the end or of the contact (b,), in innermost orbits; 0 without a run.
        collided: Whether Hill spheres touched (b,).
    """

    orbits: Array
    collided: Array

    @classmethod
    def nowhere(cls, systems: int) -> "Followed":
        """Return that of systems which weren't integrated.

        Args:
            systems: Number of systems.
        """
        return cls(np.zeros(systems), np.zeros(systems, dtype=bool))


def milestone_times(milestones: int, horizon_orbits: float) -> Array:
    """Return the times (m,) of milestones in innermost orbits, the horizon last.

    Args:
        milestones: Number of milestones m.
        horizon_orbits: Horizon that stable systems survive, in innermost orbits.
    """
    return horizon_orbits * 10.0 ** (DECADES / milestones * np.arange(1.0 - milestones, 1.0))


def unstable_edges(outputs: Batch, horizon_orbits: float) -> Array:
    """Return edges (k + 1,) [log10 orbits] between which equal shares of unstable systems lie.

    Without unstable systems they are evenly spaced.

    Args:
        outputs: Outputs of the reference for the training split.
        horizon_orbits: Horizon that stable systems survive, in innermost orbits.
    """
    times = outputs["survival"][outputs["stable"] < 1.0]
    if not len(times):
        end = np.log10(horizon_orbits)
        return np.linspace(end - DECADES, end, TRAINING_INTERVALS + 1)
    return np.quantile(log_time(times), np.linspace(0.0, 1.0, TRAINING_INTERVALS + 1))


def log_time(orbits: Array) -> Array:
    """Return log10 of times (...,) in innermost orbits, at least that of `SHORTEST_ORBITS`."""
    return np.log10(np.maximum(orbits, SHORTEST_ORBITS))


def contact_quantiles(shares: Array, edges: Array, followed: Followed, horizon: float) -> Array:
    """Return the quantiles (b, q) of the time of contact of systems that become unstable [orbits].

    The distribution is cut at the time until which a system was followed. Where nothing of it is
    left, all times up to the horizon are equally likely in the logarithm. For a system whose
    contact was seen, all quantiles are its time.

    Args:
        shares: Shares of the intervals (b, k), of any sum.
        edges: Edges of the intervals (k + 1,) [log10 orbits].
        followed: How far the systems were integrated.
        horizon: Horizon that stable systems survive, in innermost orbits.
    """
    start = np.minimum(log_time(followed.orbits), np.log10(horizon))[:, None]
    lower, upper = np.maximum(edges[:-1], start), np.maximum(edges[1:], start)
    width = np.maximum(np.diff(edges), np.finfo(float).tiny)
    kept = np.maximum(shares, 0.0) * np.where(edges[1:] > start, (upper - lower) / width, 0.0)
    total = kept.sum(axis=1, keepdims=True)
    reached = np.cumsum(kept / np.where(total > 0.0, total, 1.0), axis=1)
    level = np.asarray(LEVELS)[:, None]
    interval = np.sum(reached[:, None, :] < level, axis=2).clip(max=kept.shape[1] - 1)
    rows = np.arange(len(kept))[:, None]
    before = np.where(interval > 0, reached[rows, interval - 1], 0.0)
    step = np.maximum(reached[rows, interval] - before, np.finfo(float).tiny)
    fraction = np.clip((level[:, 0] - before) / step, 0.0, 1.0)
    times = lower[rows, interval] + fraction * (upper - lower)[rows, interval]
    anywhere = start + level[:, 0] * (np.log10(horizon) - start)
    quantiles = np.minimum(10.0 ** np.where(total > 0.0, times, anywhere), horizon)
    return np.where(followed.collided[:, None], followed.orbits[:, None], quantiles)


def survival_outputs(
    probability: Array, quantiles: Array, followed: Followed, horizon_orbits: float
) -> Batch:
    """Return the outputs of a prediction.

    The survival time is the median: the horizon if at least half of such systems survive it.

    Args:
        probability: Probability of surviving (b,), but for systems whose contact was seen.
        quantiles: Quantiles (b, q) of the time of contact of systems that become unstable [orbits].
        followed: How far the systems were integrated.
        horizon_orbits: Horizon that stable systems survive, in innermost orbits.
    """
    stable = np.where(followed.collided, 0.0, np.clip(probability.astype(float), 0.0, 1.0))
    unstable = np.maximum(1.0 - stable, np.finfo(float).tiny)
    level = np.clip(0.5 / unstable, LEVELS[0], LEVELS[-1])
    upper = np.searchsorted(LEVELS, level).clip(1, len(LEVELS) - 1)
    low, high = np.take(LEVELS, upper - 1), np.take(LEVELS, upper)
    rows, logs = np.arange(len(stable)), log_time(quantiles)
    share = (level - low) / (high - low)
    median = (1.0 - share) * logs[rows, upper - 1] + share * logs[rows, upper]
    survival = np.where(stable >= 0.5, horizon_orbits, np.minimum(10.0**median, horizon_orbits))
    survival = np.where(followed.collided, followed.orbits, survival)
    return {"stable": stable, "survival": survival, "contact": quantiles}
