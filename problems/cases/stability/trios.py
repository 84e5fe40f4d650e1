"""Systems of more than three planets as trios of neighbours, for networks that read three planets.

A network that has learned from systems of three planets reads every trio of neighbours with the
same weights, and a system is as stable as its least stable trio: its probability is the smallest of
its trios, and its time of contact the earliest. The order in which the planets are given makes no
difference. Sources: Tamayo et al., PNAS 117 (2020) 18194; Cranmer et al., PNAS 118 (2021)
e2026053118.

A trio has the time unit of its own innermost orbit. Its probability is that of surviving as many of
these orbits as the horizon has of the innermost planet's, which is longer for outer trios.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from problems.cases.stability.short_run import ShortRunResult
from problems.cases.stability.time_distribution import Followed
from problems.interfaces.types import Array, Batch

TRIO = 3


def innermost_first(inputs: Batch) -> Batch:
    """Return systems whose planets are in the order of their axes.

    Args:
        inputs: Systems at the epoch, with planets in any order.
    """
    order = np.argsort(inputs["elements"][..., 0], axis=1, kind="stable")
    return {
        "mass": np.take_along_axis(inputs["mass"], order, axis=1),
        "elements": np.take_along_axis(inputs["elements"], order[..., None], axis=1),
    }


@dataclass(frozen=True)
class Trios:
    """The k trios of neighbours of each of b systems, those of a system one after the other.

    Args:
        inputs: Trios at the epoch (b k), the innermost planet first.
        orbit: Period of the innermost planet of a trio (b, k), in innermost orbits of its system.
    """

    inputs: Batch
    orbit: Array

    @classmethod
    def of(cls, inputs: Batch) -> Self:
        """Return the trios of systems whose planets are in the order of their axes.

        Args:
            inputs: Systems at the epoch.
        """
        axis = inputs["elements"][..., 0]
        orbit = (axis[:, : axis.shape[1] - TRIO + 1] / axis[:, :1]) ** 1.5
        return cls({name: _neighbours(inputs[name], 1) for name in ("mass", "elements")}, orbit)

    def short_run(self, run: ShortRunResult) -> ShortRunResult:
        """Return the short runs of the trios (b k), which are parts of those of their systems.

        Args:
            run: Short runs of the systems.
        """
        count = self.orbit.shape[1]
        return ShortRunResult(
            _neighbours(run.elements, 2),
            np.repeat(run.megno, count, axis=0),
            self._own_orbits(run.duration_orbits),
            np.repeat(run.collided, count),
        )

    def followed(self, systems: Followed) -> Followed:
        """Return how far the trios (b k) were followed, in their own innermost orbits.

        Args:
            systems: How far the systems were followed.
        """
        return Followed(
            self._own_orbits(systems.orbits), np.repeat(systems.collided, self.orbit.shape[1])
        )

    def least_stable(
        self, probability: Array, quantiles: Array, horizon: float
    ) -> tuple[Array, Array]:
        """Return the probabilities (b,) and the quantiles of contact (b, q) of the systems.

        Args:
            probability: Probabilities of the trios (b k,).
            quantiles: Quantiles of the time of contact of the trios (b k, q), in their own
                innermost orbits.
            horizon: Horizon that stable systems survive, in innermost orbits.
        """
        times = quantiles.reshape(*self.orbit.shape, -1) * self.orbit[..., None]
        return (
            probability.reshape(self.orbit.shape).min(axis=1),
            np.minimum(times.min(axis=1), horizon),
        )

    def _own_orbits(self, orbits: Array) -> Array:
        return (orbits[:, None] / self.orbit).reshape(-1)


def _neighbours(values: Array, axis: int) -> Array:
    """Return the values of trios of neighbours along an axis, (b k, ..., 3, ...)."""
    windows = np.lib.stride_tricks.sliding_window_view(values, TRIO, axis)
    trios = np.moveaxis(np.moveaxis(windows, axis, 1), -1, axis + 1)
    return np.ascontiguousarray(trios).reshape(-1, *trios.shape[2:])
