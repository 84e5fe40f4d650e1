"""What deploying a network costs in accuracy and gives in speed."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from search.run.records import Record, State
from spaces.candidate import Precision, Pruning


class DeploymentView(NamedTuple):
    """A pruning, precision and runtime, over all networks that were deployed so.

    Args:
        pruning: In words, with its ratio.
        precision: Of the deployed network.
        runtime: What executes it.
        measured: How many trials.
        lost: Median of the error over the same network's, unpruned, in float32, run eagerly.
        lost_range: Smallest and largest of those.
        gained: Median of the speed-up over that of the same network's fastest deployment unpruned
            and in float32, where there is one.
        gained_range: Smallest and largest of those.
        compared: With how many networks `gained` was found.
        best_speedup: Largest speed-up over the reference.
        disagreement: Largest distance of the lowered network's answers from the float32 network's.
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
    """Return every deployment that was measured, the fastest first."""
    plain = _plain(records)
    found: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        if record.state is State.COMPLETE and record.timing:
            candidate = record.candidate
            key = (_pruning(record), str(candidate.precision), candidate.runtime)
            found.setdefault(key, []).append(record)
    views = [_view(key, own, plain, objective) for key, own in sorted(found.items())]
    return tuple(sorted(views, key=lambda view: -view.best_speedup))


def _pruning(record: Record) -> str:
    candidate = record.candidate
    ratio = candidate.pruning_settings.get("ratio")
    return str(candidate.pruning) + ("" if ratio is None else f" {float(ratio):.0%}")


def _plain(records: Sequence[Record]) -> dict[int, tuple[int, float]]:
    """Return each network's fastest trial unpruned and in float32, with its speed-up."""
    found: dict[int, tuple[int, float]] = {}
    for record in records:
        candidate, timing = record.candidate, record.timing
        exact = candidate.pruning is Pruning.NONE and candidate.precision is Precision.FP32
        if timing and exact and record.state is State.COMPLETE:
            held = found.get(record.network_id, (0, 0.0))
            if timing.speedup > held[1]:
                found[record.network_id] = (record.number, timing.speedup)
    return found


def _view(
    key: tuple[str, str, str],
    own: Sequence[Record],
    plain: dict[int, tuple[int, float]],
    objective: str,
) -> DeploymentView:
    error_ratio = [
        record.metrics[objective] / record.unpruned_error
        for record in own
        if record.unpruned_error and objective in record.metrics
    ]
    error_ratio = [each for each in error_ratio if math.isfinite(each)]
    speed_ratio = [
        record.timing.speedup / plain[record.network_id][1]
        for record in own
        if record.timing
        and record.network_id in plain
        and plain[record.network_id][0] != record.number
    ]
    return DeploymentView(
        *key,
        trials=len(own),
        error_ratio=_median(error_ratio),
        error_ratio_range=_range(error_ratio),
        speed_ratio=_median(speed_ratio),
        speed_ratio_range=_range(speed_ratio),
        networks_compared=len(speed_ratio),
        best_speedup=max(record.timing.speedup for record in own if record.timing),
        disagreement=max(record.disagreement or 0.0 for record in own),
    )


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None


def _range(values: Sequence[float]) -> tuple[float, float] | None:
    return (min(values), max(values)) if values else None
