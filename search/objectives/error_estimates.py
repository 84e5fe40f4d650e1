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

    What further seeds add to the error of one deployment of a network, they add to the others; an
    ensemble already averages them. What other divisions into training and validation samples add,
    they add to the ensemble of the network too, and not to the deviation over seeds.

    Args:
        records: The complete trials.
        objective: Name of the error.
        errors: Validation errors of finalists with their resamples, by number.
        retrainings: Results of further seeds; those that failed are ignored.
    """
    by_number = {record.number: record for record in records}
    seeds = _further_errors(by_number, errors, [r for r in retrainings if not r.fold])
    folds = _further_errors(by_number, errors, _of_common_folds(retrainings))
    deviation = _relative_deviation(
        [[errors[trial].value, *(e.value for e in more)] for trial, more in seeds.values()]
    )
    estimates: dict[int, ErrorEstimate] = {}
    for number, record in by_number.items():
        error = errors.get(number)
        if error is None:
            value = record.metrics.get(objective, math.nan)
            estimates[number] = ErrorEstimate(value, NO_RESAMPLES, record.network_id)
            continue
        values, trainings = _values(error), len(record.candidate.ensemble_seeds) or 1
        trained_by = record.number if record.training is None else record.training
        if record.network_id in seeds:  # a single network, not an ensemble
            trial, more = seeds[record.network_id]
            trainings += len(more)
            values = values + _mean_shift(_values(errors[trial]), more)
        if trained_by in folds:
            trial, more = folds[trained_by]
            same = seeds[trained_by][1] if trained_by in seeds else []
            own = _values(errors[trial])
            values = values + _mean_shift(own + _mean_shift(own, same), more)
        value = float(values[0])
        estimates[number] = ErrorEstimate(
            value, values[1:], record.network_id, trainings, deviation * abs(value)
        )
    return estimates


def _values(error: ResampledError) -> Array:
    """Return an error, followed by its values on resamples (1 + r,)."""
    return np.array([error.value, *error.resampled])


def _mean_shift(first: Array, more: Sequence[ResampledError]) -> Array:
    """Return the mean of an error and further ones, minus that error (1 + r,)."""
    shifts = [_values(error) - first for error in more]
    return np.sum(shifts, axis=0) / (1 + len(more)) if more else np.zeros_like(first)


def _of_common_folds(retrainings: Sequence[RetrainingResult]) -> list[RetrainingResult]:
    """Return the results of other divisions on which every retrained network was validated.

    Errors on different samples could not be compared.
    """
    trials = {result.trial for result in retrainings}
    validated = {(r.trial, r.fold) for r in retrainings if r.validation is not None}
    common = {
        fold
        for _, fold in validated
        if fold and all((trial, fold) in validated for trial in trials)
    }
    return [result for result in retrainings if result.fold in common]


def _further_errors(
    records: Mapping[int, Record],
    errors: Mapping[int, ResampledError],
    retrainings: Sequence[RetrainingResult],
) -> dict[int, tuple[int, list[ResampledError]]]:
    """Return the retrained trial of each network, and the errors of its further trainings.

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
