"""The spread of an ensemble: how far its members are apart, calibrated on the validation split.

Networks that were trained alike differ most where the data say least (Lakshminarayanan, Pritzel &
Blundell, NeurIPS 2017). Their standard deviation is smaller than their errors, which they share in
part. It is therefore combined with the errors on the validation split, and the half-widths of
intervals are quantiles of these errors (recalibration: Kuleshov, Fenner & Ermon, ICML 2018; split
conformal prediction with normalised errors: Angelopoulos & Bates, arXiv:2107.07511).
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from problems import Array, Batch, Field, Split, UserError
from problems.interfaces.types import n_samples
from spaces.candidate import FrozenModel

LEVELS = (0.5, 0.9)
"""Shares of the values that an interval should hold."""

WEIGHTS = (0.0, 0.02, 0.05, *np.linspace(0.1, 0.9, 9).tolist(), 0.95, 0.98)
"""Candidate weights of the members' variance beside that of the errors."""


class FieldSpread(FrozenModel):
    """Calibration of an output field: deviation^2 = members^2 * variance + residual^2 * error^2.

    Args:
        members: Factor of the standard deviation between members.
        residual: Factor of the root mean square error of each value on the validation split.
        factors: Half-widths of the intervals of `LEVELS`, in deviations.
    """

    members: float
    residual: float
    factors: tuple[float, ...]


class SpreadCalibration(FrozenModel):
    """Calibration of the spread of an ensemble.

    Args:
        batch: Samples per call of a member.
        levels: Shares of the values that the intervals should hold.
        samples: Number of validation samples.
        fields: Calibration of each output field; empty for labels, whose errors are no distances.
    """

    batch: int
    levels: tuple[float, ...] = LEVELS
    samples: int
    fields: dict[str, FieldSpread]


@dataclass(frozen=True)
class Prediction:
    """Predicted outputs with their standard deviations.

    Args:
        outputs: Outputs (b, ...), as a call without spread returns them.
        deviations: Standard deviation (b, ...) of each output, in the unit of its field. For labels
            it is the standard deviation of the members' probabilities.
        calibration: Calibration of the spread.
    """

    outputs: Batch
    deviations: Batch
    calibration: SpreadCalibration

    def interval(self, level: float = LEVELS[-1]) -> tuple[Batch, Batch]:
        """Return the lower and upper ends (b, ...) of the interval of each output.

        Args:
            level: Share of the values that the interval should hold, 0.5 or 0.9.

        Raises:
            UserError: No interval has such a level, or the outputs are probabilities of labels.
        """
        calibration = self.calibration
        if not calibration.fields:
            raise UserError("a label is 0 or 1, so that its probability has no interval")
        if level not in calibration.levels:
            levels = ", ".join(map(str, calibration.levels))
            raise UserError(f"level={level!r}: intervals have the levels {levels}")
        place = calibration.levels.index(level)
        low, high = dict[str, Array](), dict[str, Array]()
        for name, output in self.outputs.items():
            width = calibration.fields[name].factors[place] * self.deviations[name]
            low[name], high[name] = output - width, output + width
        return low, high


def members_variance(members: Iterable[Batch]) -> dict[str, Array]:
    """Return the unbiased variance (b, ...) between members of each output field.

    Equal members have a variance of exactly zero. Source: Welford, Technometrics 4 (1962) 419.

    Args:
        members: Outputs (b, ...) of each member; only one of them need be in memory.
    """
    means, sums = dict[str, Array](), dict[str, Array]()
    count = 0
    with np.errstate(all="ignore"):  # outputs that diverge have a variance of NaN
        for count, outputs in enumerate(members, start=1):
            for name, output in outputs.items():
                values = np.asarray(output, dtype=float)
                difference = values - means.get(name, values)
                means[name] = means.get(name, values) + difference / count
                square = difference * (values - means[name])
                sums[name] = sums[name] + square if name in sums else square
    return {name: total / (count - 1) for name, total in sums.items()}


def deviations(
    variances: Batch, calibration: SpreadCalibration, errors: Mapping[str, Array]
) -> dict[str, Array]:
    """Return the standard deviation (b, ...) of each output field.

    Args:
        variances: Variance (b, ...) between the members.
        calibration: The calibration.
        errors: Root mean square error (...) of each value of a field on the validation split.
    """
    by_field: dict[str, Array] = {}
    with np.errstate(all="ignore"):
        for name, variance in variances.items():
            field = calibration.fields.get(name)
            if field is None:
                by_field[name] = np.sqrt(variance)
            else:
                residual = field.residual * errors[name]
                by_field[name] = np.sqrt(field.members**2 * variance + residual**2)
    return by_field


class Calibrated(NamedTuple):
    """A calibration, with the root mean square error (...) of each value of each field."""

    calibration: SpreadCalibration
    errors: dict[str, Array]


def calibrate(outputs: Batch, variances: Batch, split: Split, batch: int) -> Calibrated:
    """Return the calibration of an ensemble of values.

    Args:
        outputs: Outputs (b, ...) of the ensemble.
        variances: Variance (b, ...) between its members.
        split: The validation split.
        batch: Samples per call of a member.
    """
    fields, errors = dict[str, FieldSpread](), dict[str, Array]()
    units = len(split) if split.groups is None else len(np.unique(split.groups))
    for name, reference in split.outputs.items():
        error = np.abs(np.asarray(outputs[name], float) - np.asarray(reference, float))
        finite = np.isfinite(error) & np.isfinite(variances[name])
        square = np.where(finite, error, 0.0) ** 2
        mean_square = square.sum(axis=0) / np.maximum(finite.sum(axis=0), 1)
        errors[name] = np.asarray(np.sqrt(mean_square))
        usable = finite & (mean_square > 0.0)
        scale = np.broadcast_to(mean_square, error.shape)[usable]
        fields[name] = _fit(error[usable], variances[name][usable], scale, units)
    calibration = SpreadCalibration(batch=batch, samples=len(split), fields=fields)
    return Calibrated(calibration, errors)


def _fit(error: Array, variance: Array, scale: Array, units: int) -> FieldSpread:
    """Return the calibration of a field by maximum likelihood, with conformal half-widths.

    The errors are taken as normal. Their variance is a factor times a weighted sum, of the variance
    between members and of the mean square error of the value; the factor has a closed form.

    Args:
        error: Absolute errors (n,).
        variance: Variances (n,) between members.
        scale: Mean square errors (n,) of these values over all samples.
        units: Number of independent samples, or of their groups.
    """
    if not len(error):  # a field without errors
        return FieldSpread(members=0.0, residual=0.0, factors=(0.0,) * len(LEVELS))
    square = error**2 / scale
    relative = variance / scale
    mean = float(relative.mean())
    relative = relative / mean if mean > 0.0 else np.zeros_like(relative)
    best, smallest = (1.0, 0.0), math.inf
    for weight in WEIGHTS if mean > 0.0 else (0.0,):
        mixed = weight * relative + (1.0 - weight)
        factor = float((square / mixed).mean())
        loss = math.log(factor) + float(np.log(mixed).mean())
        if loss < smallest:
            best, smallest = (factor, weight), loss
    factor, weight = best
    members = factor * weight / mean if mean > 0.0 else 0.0
    residual = factor * (1.0 - weight)
    normalised = error / np.sqrt(members * variance + residual * scale)
    return FieldSpread(
        members=math.sqrt(members),
        residual=math.sqrt(residual),
        factors=tuple(_conformal_quantile(normalised, level, units) for level in LEVELS),
    )


def _conformal_quantile(errors: Array, level: float, units: int) -> float:
    """Return the quantile of normalised errors (n,) that holds a share of further ones.

    Args:
        errors: The normalised errors.
        level: The share.
        units: Number of independent samples; the values of one sample aren't independent.
    """
    return float(np.quantile(errors, min(1.0, level * (units + 1) / units), method="higher"))


def beyond(
    deviations_of: Batch, max_deviation: Mapping[str, float], fields: tuple[Field, ...]
) -> Array:
    """Return whether a deviation of each sample (b,) is beyond a threshold, or isn't finite.

    Args:
        deviations_of: Standard deviations (b, ...) of the outputs.
        max_deviation: Largest deviation by name of the output field, in its unit.
        fields: The output fields.

    Raises:
        UserError: A threshold isn't a number of at least 0, or belongs to no output field.
    """
    names = [field.name for field in fields]
    if not max_deviation:
        raise UserError(f"max_deviation is empty; give a number for one of {', '.join(names)}")
    is_beyond = np.zeros(n_samples(deviations_of), dtype=bool)
    for name, largest in max_deviation.items():
        if name not in names:
            raise UserError(f"max_deviation: {name!r} is no output; use {', '.join(names)}")
        given: Any = largest
        if not (isinstance(given, int | float | np.number) and float(given) >= 0.0):
            raise UserError(f"max_deviation of {name!r} is {given!r}; give a number of at least 0")
        values = np.asarray(deviations_of[name])
        largest_of = values.max(axis=tuple(range(1, values.ndim)), initial=0.0)
        is_beyond |= ~(largest_of <= largest)  # NaN is beyond every threshold
    return is_beyond
