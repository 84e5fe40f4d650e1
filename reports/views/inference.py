"""Results of deployments: accuracy lost and speed gained."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from search.run.records import Record, State
from spaces.candidate import Precision, Pruning


class DeploymentView(NamedTuple):
    """Results of a combination of pruning, precision and runtime over all its trials.

    Args:
        pruning: The pruning with its ratio.
        precision: Precision of the deployed network.
        runtime: Runtime of the deployed network.
        trials: Number of measured trials.
        error_ratio: Median over the trials of the error over that of the same network, unpruned
            and run eagerly in float32; None if it isn't known.
        error_ratio_range: Smallest and largest of these ratios.
        speed_ratio: Median over the trials of the speed-up over that of the fastest deployment of
            the same network, unpruned and in float32; None if there is none.
        speed_ratio_range: Smallest and largest of these ratios.
        networks_compared: Number of ratios in `speed_ratio`.
        best_speedup: Largest speed-up over the reference.
        disagreement: Largest distance of the lowered network's outputs from those of the network
            in float32.
    """

    pruning: str
    precision: str
    runtime: str
    trials: int
    error_ratio: float | None
    error_ratio_range: tuple[float, float] | None
    speed_ratio: float | None
    speed_ratio_range: tuple[float, float] | None
    networks_compared: int
    best_speedup: float
    disagreement: float


def deployment_views(records: Sequence[Record], objective: str) -> tuple[DeploymentView, ...]:
    """Return the results of each measured deployment, the fastest first."""
    exact = _fastest_exact(records)
    by_deployment: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        if record.state is State.COMPLETE and record.timing:
            candidate = record.candidate
            key = (_pruning(record), str(candidate.precision), candidate.runtime)
            by_deployment.setdefault(key, []).append(record)
    views = [
        _view(key, members, exact, objective) for key, members in sorted(by_deployment.items())
    ]
    return tuple(sorted(views, key=lambda view: -view.best_speedup))


def _pruning(record: Record) -> str:
    candidate = record.candidate
    ratio = candidate.pruning_settings.get("ratio")
    return str(candidate.pruning) + ("" if ratio is None else f" {float(ratio):.0%}")


def _fastest_exact(records: Sequence[Record]) -> dict[int, tuple[int, float]]:
    """Return the fastest trial of each network, unpruned and in float32, with its speed-up."""
    fastest: dict[int, tuple[int, float]] = {}
    for record in records:
        candidate, timing = record.candidate, record.timing
        exact = candidate.pruning is Pruning.NONE and candidate.precision is Precision.FP32
        if timing and exact and record.state is State.COMPLETE:
            _, speedup = fastest.get(record.network_id, (0, 0.0))
            if timing.speedup > speedup:
                fastest[record.network_id] = (record.number, timing.speedup)
    return fastest


def _view(
    key: tuple[str, str, str],
    records: Sequence[Record],
    exact: dict[int, tuple[int, float]],
    objective: str,
) -> DeploymentView:
    error_ratios = [
        record.metrics[objective] / record.unpruned_error
        for record in records
        if record.unpruned_error and objective in record.metrics
    ]
    error_ratios = [ratio for ratio in error_ratios if math.isfinite(ratio)]
    speed_ratios = [
        record.timing.speedup / exact[record.network_id][1]
        for record in records
        if record.timing
        and record.network_id in exact
        and exact[record.network_id][0] != record.number
    ]
    return DeploymentView(
        *key,
        trials=len(records),
        error_ratio=_median(error_ratios),
        error_ratio_range=_range(error_ratios),
        speed_ratio=_median(speed_ratios),
        speed_ratio_range=_range(speed_ratios),
        networks_compared=len(speed_ratios),
        best_speedup=max(record.timing.speedup for record in records if record.timing),
        disagreement=max(record.disagreement or 0.0 for record in records),
    )


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None


def _range(values: Sequence[float]) -> tuple[float, float] | None:
    return (min(values), max(values)) if values else None
