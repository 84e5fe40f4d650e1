"""Successive halving: which trainings continue at a rung.

Trials are ranked by non-dominated rank, then by crowding, in error, time and memory. The rule is
asynchronous: a trial is compared with those that reached the same rung before it.
Sources: Li et al., ASHA, MLSys 2020; Schmucker et al., multi-objective ASHA, 2021; Deb et al., IEEE
Trans. Evol. Comp. 6 (2002) 182 (crowding).
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from search.pareto import crowding_distances, non_dominated_ranks
from search.run.records import ERROR_FLOOR, Record

MIN_NETWORKS = 4
"""Fewest completely trained networks for which a correlation is computed."""

PROMOTED_SHARE = 0.25
"""Share of a rung, besides its front, that continues; the value of ASHA."""


class RungCorrelation(NamedTuple):
    """Correlation of the errors at a rung with the errors at the end of training.

    Args:
        share: Share of the training done at the rung.
        networks: Number of completely trained networks.
        correlation: Kendall's tau-b of their errors at the rung and at the end.
    """

    share: float
    networks: int
    correlation: float


def rung_correlations(records: Iterable[Record]) -> list[RungCorrelation]:
    """Return the correlation of each rung, over networks that were trained completely.

    Source: Kendall, Biometrika 33 (1945) 239.
    """
    pairs: dict[float, list[tuple[float, float]]] = defaultdict(list)
    for record in records:
        if record.training is None and record.unpruned_error is not None:
            for rung in record.rungs:
                pairs[rung.share].append((rung.error, record.unpruned_error))
    return [
        RungCorrelation(share, len(errors), kendall_tau(*zip(*errors, strict=True)))
        for share, errors in sorted(pairs.items())
        if len(errors) >= MIN_NETWORKS
    ]


def kendall_tau(first: Sequence[float], second: Sequence[float]) -> float:
    """Return Kendall's tau-b of two rankings (n,); NaN where all values of one are equal.

    Args:
        first: Values (n,).
        second: Values (n,).
    """
    from scipy.stats import kendalltau  # noqa: PLC0415 - slow to import

    return float(np.asarray(kendalltau(first, second))[0])


class SuccessiveHalving:
    """The trials that reached each rung: error there, relative time, and memory as an option.

    Args:
        earlier: Finished trials of the run, which count, too.
    """

    def __init__(self, earlier: Iterable[Record] = ()) -> None:
        self._arrivals: dict[float, list[tuple[float, ...]]] = defaultdict(list)
        counted: set[tuple[str, float]] = set()
        for record in earlier:
            untrained = (record.untrained_relative_time, record.untrained_memory_bytes)
            costs = tuple(float(cost) for cost in untrained if cost is not None)
            for rung in record.rungs if costs else ():
                if (record.key, rung.share) not in counted:  # a resumed training reports twice
                    counted.add((record.key, rung.share))
                    self._arrivals[rung.share].append((rung.error, *costs))

    def should_continue(self, share: float, error: float, *costs: float) -> bool:
        """Add a trial to a rung; return whether its training continues.

        It continues if it is on the front of the rung so far, or in its best quarter, where within
        a rank those with the smallest crowding distances come last. The front always continues,
        because each of its trials is the best trade-off for somebody. The first trials of a rung
        are ranked as well: to let the first four continue took longer (0.23 instead of 0.20 of the
        time of 100 trials in benchmarks/search_efficiency.py).

        Args:
            share: Share of the training done at the rung.
            error: Error at the rung.
            *costs: Relative time of the untrained network, and its memory where memory is an
                objective.
        """
        arrivals = self._arrivals[share]
        arrivals.append((error if math.isfinite(error) else math.inf, *costs))
        if not math.isfinite(error):
            return False
        rank = non_dominated_ranks(arrivals)
        if rank[-1] == 0:
            return True
        equals = np.array(arrivals)[rank == rank[-1]]
        crowding = crowding_distances(np.log(np.clip(equals, ERROR_FLOOR, np.finfo(float).max)))
        better = int((rank < rank[-1]).sum()) + int((crowding[:-1] > crowding[-1]).sum())
        return better < PROMOTED_SHARE * len(arrivals)
