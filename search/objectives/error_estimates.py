"""Validation errors of finalists with their noise: from resamples, and from further seeds.

The smallest of many errors on one split is smaller than the error of its network: the search chose
it. The mean over trainings with further seeds isn't chosen, and a difference is known no better
than its standard error.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from problems import Array
from search.run.finalists import RetrainingResult
from search.run.records import Record, ResampledError

NO_RESAMPLES = np.empty(0)


class ErrorEstimate(NamedTuple):
    """The validation error of a trial, as its network's trainings and the resamples show it.

    Args:
        value: Mean error over the trainings of its network, deployed as the trial is.
        resampled: The same mean on each resample (r,); empty if it isn't known.
        network: Number of the trial that trained the network.
        trainings: Number of trainings.
        seed_deviation: Standard deviation of the error over seeds, 0 if it isn't known.
    """

    value: float
    resampled: Array
    network: int
    trainings: int = 1
    seed_deviation: float = 0.0

    @property
    def retrained(self) -> bool:
        """Whether the network was trained with further seeds."""
        return self.trainings > 1


Estimates = Mapping[int, ErrorEstimate]
"""Estimates by the number of the trial."""


def standard_error(one: ErrorEstimate, other: ErrorEstimate) -> float:
    """Return the standard error of the difference of two errors of one split.

    It has a part from the samples, by the bootstrap of the paired difference, and a part from the
    seeds; deployments of one network share the latter.
    """
    variance = 0.0
    if len(one.resampled) and len(one.resampled) == len(other.resampled):
        differences = one.resampled - other.resampled
        finite = differences[np.isfinite(differences)]
        variance = float(np.var(finite, ddof=1)) if len(finite) > 1 else 0.0
    if one.network != other.network:
        variance += sum(each.seed_deviation**2 / each.trainings for each in (one, other))
    return math.sqrt(variance)


def estimate_errors(
    records: Iterable[Record],
    objective: str,
    errors: Mapping[int, ResampledError],
    retrainings: Sequence[RetrainingResult],
) -> dict[int, ErrorEstimate]:
    """Return the estimate of each trial whose error is known, by its number.

    What further seeds add to the error of one deployment of a network, they add to the others. An
    ensemble already averages trainings.

    Args:
        records: The complete trials.
        objective: Name of the error.
        errors: Validation errors of finalists with their resamples, by number.
        retrainings: Results of further seeds; those that failed are ignored.
    """
    by_number = {record.number: record for record in records}
    further = _errors_of_further_seeds(by_number, errors, retrainings)
    deviation = _relative_deviation(
        [[errors[trial].value, *(e.value for e in more)] for trial, more in further.values()]
    )
    estimates: dict[int, ErrorEstimate] = {}
    for number, record in by_number.items():
        error = errors.get(number)
        if error is None:
            value = record.metrics.get(objective, math.nan)
            estimates[number] = ErrorEstimate(value, NO_RESAMPLES, record.network_id)
            continue
        value, resampled = error.value, np.array(error.resampled)
        trainings = len(record.candidate.ensemble_seeds) or 1
        if record.network_id in further:
            trial, more = further[record.network_id]
            trainings += len(more)
            first = errors[trial]
            value += sum(each.value - first.value for each in more) / trainings
            shifts = [np.array(each.resampled) - np.array(first.resampled) for each in more]
            resampled = resampled + np.sum(shifts, axis=0) / trainings
        estimates[number] = ErrorEstimate(
            value, resampled, record.network_id, trainings, deviation * abs(value)
        )
    return estimates


def _errors_of_further_seeds(
    records: Mapping[int, Record],
    errors: Mapping[int, ResampledError],
    retrainings: Sequence[RetrainingResult],
) -> dict[int, tuple[int, list[ResampledError]]]:
    """Return the retrained trial of each network, and the errors of its further seeds.

    Where several deployments of a network were retrained, the first one counts.
    """
    by_trial: dict[int, list[ResampledError]] = defaultdict(list)
    for result in retrainings:
        if result.validation is not None and result.trial in errors and result.trial in records:
            by_trial[result.trial].append(result.validation)
    further: dict[int, tuple[int, list[ResampledError]]] = {}
    for trial, more in by_trial.items():
        further.setdefault(records[trial].network_id, (trial, more))
    return further


def _relative_deviation(groups: Sequence[Sequence[float]]) -> float:
    """Return the standard deviation within groups of errors, relative to their means, pooled."""
    squares, freedom = 0.0, 0
    for errors in groups:
        mean = float(np.mean(errors))
        if mean:
            squares += float(np.sum((np.array(errors) / mean - 1.0) ** 2))
            freedom += len(errors) - 1
    return math.sqrt(squares / freedom) if freedom else 0.0
