"""How many events of the reference a generator is worth.

The frequencies of cells with equally many events are compared, since a sample of n events has a
known error there. Source: Butter et al., GANplifying event samples, SciPost Phys. 10 (2021) 139.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from problems.interfaces.types import Array

DEVIATIONS = 2.0
"""Standard deviations between the worth and its lower bound."""


@dataclass(frozen=True)
class Cells:
    """A division of space into cells by halving it again and again, in the style of a k-d tree.

    Args:
        columns: Observable by which each node is halved (2^depth - 1,).
        thresholds: Median of it in the node (2^depth - 1,).
    """

    columns: Array
    thresholds: Array

    @classmethod
    def of(cls, sample: Array, depth: int) -> "Cells":
        """Return 2^depth cells with about as many events of a sample each.

        Args:
            sample: Observables of events (n, k).
            depth: Number of halvings.
        """
        nodes = 2**depth - 1
        cells = cls(np.zeros(nodes, dtype=int), np.zeros(nodes))
        for level in range(depth):
            node = cells._nodes(sample, level)
            for place in range(2**level - 1, 2 ** (level + 1) - 1):
                column = level % sample.shape[1]
                rows = sample[node == place, column]
                cells.columns[place] = column
                cells.thresholds[place] = np.median(rows) if len(rows) else 0.0
        return cells

    def frequencies(self, sample: Array) -> Array:
        """Return the share of the events (n, k) in each cell (2^depth,)."""
        count = len(self.columns) + 1
        node = self._nodes(sample, count.bit_length() - 1) - (count - 1)
        return np.bincount(node, minlength=count) / len(sample)

    def _nodes(self, sample: Array, levels: int) -> Array:
        """Return the node (n,) of each event (n, k) below so many levels."""
        node, row = np.zeros(len(sample), dtype=int), np.arange(len(sample))
        for _ in range(levels):
            above = sample[row, self.columns[node]] > self.thresholds[node]
            node = 2 * node + 1 + above
        return node


class Worth(NamedTuple):
    """How many events of the reference have frequencies as accurate as those of a generator.

    Args:
        events: This number; infinite where the generator's error isn't resolved.
        least: Its lower bound, by two standard deviations.
    """

    events: float
    least: float


def worth(drawn: Array, reference: Array, cells: Cells, *, finite: bool = False) -> Worth:
    """Return what a generator is worth, by the squared errors of its frequencies.

    Args:
        drawn: Observables of drawn events (n, k).
        reference: Observables of events of the reference, which no training has seen (m, k).
        cells: Cells that were made of other events.
        finite: Whether the drawn events are all there are, so that their own noise counts.
    """
    true = cells.frequencies(reference)
    squares = float(np.sum((cells.frequencies(drawn) - true) ** 2))
    # A sample of n events has a sum of squared errors of `variance` / n on average.
    variance = 1.0 - float(np.sum(true**2))
    noise = variance / len(reference) + (0.0 if finite else variance / len(drawn))
    error = squares - noise
    deviation = np.sqrt(2.0 / len(true)) * (noise + max(error, 0.0))
    largest = error + DEVIATIONS * float(deviation)
    return Worth(
        variance / error if error > 0.0 else np.inf, variance / largest if largest > 0.0 else np.inf
    )
