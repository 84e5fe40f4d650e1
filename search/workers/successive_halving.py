"""Who goes on at a rung: successive halving by non-dominated rank and crowding of error and time.

Asynchronous: a candidate is compared with those that came to the same rung before it.
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
"""Networks, trained to the end, that a correlation is told of at least."""

PROMOTED_SHARE = 0.25
"""The share of a rung that goes on, besides its front: ASHA's own."""


class RungCorrelation(NamedTuple):
    """How far a rung ranks networks as the end of their training does.

    Args:
        share: The rung: how much of the training is done.
        networks: Those that were trained to the end.
        correlation: Kendall's tau-b of their errors there and at the end.
    """

    share: float
    networks: int
    correlation: float


def rung_correlations(records: Iterable[Record]) -> list[RungCorrelation]:
    """Return what justifies stopping at the rungs; of those that were stopped nothing is known.

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
    """Return Kendall's tau-b of two rankings (n,) of the same things; NaN where one has no order.

    Args:
        first: Values (n,).
        second: Values (n,).
    """
    from scipy.stats import kendalltau  # noqa: PLC0415 - slow to import

    return float(np.asarray(kendalltau(first, second))[0])


class SuccessiveHalving:
    """The arrivals at every rung: (error, time over the reference's, memory if asked) each.

    Args:
        earlier: Trials of the same run that ended before; their arrivals count.
    """

    def __init__(self, earlier: Iterable[Record] = ()) -> None:
        self._arrivals: dict[float, list[tuple[float, ...]]] = defaultdict(list)
        came: set[tuple[str, float]] = set()
        for record in earlier:
            costs = (record.untrained_relative_time, record.untrained_memory_bytes)
            known = tuple(float(cost) for cost in costs if cost is not None)
            for rung in record.rungs if known else ():
                if (record.key, rung.share) not in came:  # it may have been gone on with
                    came.add((record.key, rung.share))
                    self._arrivals[rung.share].append((rung.error, *known))

    def should_continue(self, share: float, error: float, *costs: float) -> bool:
        """Note an arrival; return whether it is on its rung's front so far, or in its best quarter.

        Within a rank those in a crowd go first. A front is never cut: each of its candidates is
        somebody's best. The first few are ranked as well, by whom they are dominated: to let four
        go on whatever they are took longer (0.23 in place of 0.20 of the time of 100 trials in
        benchmarks/search_efficiency.py).

        Args:
            share: The rung: how much of the training is done.
            error: The objective there.
            *costs: The untrained network's time over the reference's, and its memory where that is
                an objective.
        """
        arrivals = self._arrivals[share]
        arrivals.append((error if math.isfinite(error) else math.inf, *costs))
        if not math.isfinite(error):
            return False
        rank = non_dominated_ranks(arrivals)
        if rank[-1] == 0:
            return True
        equals = np.array(arrivals)[rank == rank[-1]]
        apart = crowding_distances(np.log(np.clip(equals, ERROR_FLOOR, np.finfo(float).max)))
        better = int((rank < rank[-1]).sum()) + int((apart[:-1] > apart[-1]).sum())
        return better < PROMOTED_SHARE * len(arrivals)
