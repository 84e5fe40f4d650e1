"""Metrics of predicted planetary systems against integrated ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.cases.planets.forecasts import (
    line_errors,
    restricted_mean_survival,
    secular_periods,
)
from problems.cases.planets.orbits import total_energy
from problems.cases.planets.simulation import outputs_from_elements
from problems.interfaces.problem import Metric
from problems.interfaces.scores import ScoreOfResample
from problems.interfaces.types import Array, Batch

FORECAST_THRESHOLD = 0.1
"""Normalised error at which a forecast ends."""

FORECAST_LIMIT = 10.0
"""Secular periods up to which forecast horizons are averaged."""

LARGEST_ERROR = float(np.sqrt(2.0))
"""Error of vectors of the right length with random directions; the error of a system is clipped to
it, so that a few systems far off don't decide the mean."""

WASSERSTEIN = "Wasserstein-1 distance between the distributions of final"

METRICS = (
    Metric(
        "element_error",
        "1",
        "error of the orbits' shape and orientation over the horizon, relative to e and I; mean "
        "over systems, each at most sqrt(2)",
    ),
    Metric("median_error", "1", "median of the same error over systems"),
    Metric(
        "forecast_share",
        "1",
        "share of systems whose error over the horizon is below 0.1",
        higher_is_better=True,
    ),
    Metric(
        "forecast_horizon_periods",
        "1",
        "time until the normalised error first passes 0.1, in secular periods: Kaplan-Meier mean "
        "of the first 10 periods",
        higher_is_better=True,
    ),
    Metric(
        "frequency_error",
        "1",
        "error of the main secular frequency of e, in revolutions over the horizon; median",
    ),
    Metric("amplitude_error", "1", "relative error of the amplitude at that frequency; median"),
    Metric("eccentricity_distance", "1", f"{WASSERSTEIN} eccentricities"),
    Metric("inclination_distance_rad", "rad", f"{WASSERSTEIN} inclinations"),
)

PHASE_METRICS = (
    Metric("longitude_error_rad", "rad", "root mean square error of the mean longitude"),
    Metric("energy_drift", "1", "median relative change of the total energy at the horizon"),
)
"""Metrics of the position along the orbit, which at the longer horizons is as good as random."""


@dataclass(frozen=True)
class PlanetScore:
    """Score of a set of systems.

    Args:
        times_yr: Times of the frames [yr].
        phase: Whether the position along the orbit is scored too.
    """

    IDENTITY: ClassVar[str] = "planets/score"

    times_yr: tuple[float, ...]
    phase: bool = False

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Descriptions of the metrics, the one that is minimised first."""
        return METRICS + PHASE_METRICS * self.phase

    def __call__(self, predicted: Batch, reference: Batch, inputs: Batch) -> Mapping[str, float]:
        """Return the metrics, the error that is minimised first."""
        metrics_of = self.resampled(predicted, reference, inputs)
        return metrics_of(np.arange(len(inputs["mass"])))

    def resampled(self, predicted: Batch, reference: Batch, inputs: Batch) -> ScoreOfResample:
        """Return the function that gives the metrics of systems by their indices (n,).

        Whatever belongs to a single system is computed once, for all resamples.

        Args:
            predicted: Predicted outputs of b systems.
            reference: Outputs of the reference.
            inputs: Systems at the epoch.
        """
        exists = inputs["mass"] > 0.0
        elements, truth = predicted["elements"], reference["elements"]
        errors = system_errors(elements, truth, exists)
        normalised = normalised_error(elements, truth, exists)
        # A system whose error hasn't passed the threshold is censored at the horizon, which is a
        # different number of secular periods for each system.
        time = self.forecast_horizons(normalised) / secular_periods(inputs)
        ended = np.asarray((normalised > FORECAST_THRESHOLD).any(axis=1))
        lines = line_errors(elements[..., 1:5], truth[..., 1:5])
        ends = [path[:, -1] for path in (elements, truth)]
        shapes, tilts = ([of(end) for end in ends] for of in (eccentricity, inclination))
        phase = self._phase(predicted, truth, inputs) if self.phase else None

        def metrics_of(index: Array) -> Mapping[str, float]:
            here = exists[index]
            frequency, amplitude = (float(np.median(line[index][here])) for line in lines)
            metrics = {
                "element_error": float(np.mean(errors[index])),
                "median_error": float(np.median(errors[index])),
                "forecast_share": float(np.mean(errors[index] < FORECAST_THRESHOLD)),
                "forecast_horizon_periods": restricted_mean_survival(
                    time[index], ended[index], FORECAST_LIMIT
                ),
                "frequency_error": frequency,
                "amplitude_error": amplitude,
                "eccentricity_distance": wasserstein_distance(*(e[index][here] for e in shapes)),
                "inclination_distance_rad": wasserstein_distance(*(i[index][here] for i in tilts)),
            }
            if phase is not None:
                squared, drift = (values[index] for values in phase)
                metrics["longitude_error_rad"] = float(np.sqrt(np.mean(squared[here])))
                metrics["energy_drift"] = float(np.median(drift))
            return metrics

        return metrics_of

    @staticmethod
    def _phase(predicted: Batch, truth: Array, inputs: Batch) -> tuple[Array, Array]:
        """Return mean squared errors of longitudes (b, p) [rad^2] and drifts of energy (b,)."""
        angle = predicted["elements"][..., 5] - truth[..., 5]
        angle = np.mod(angle + np.pi, 2.0 * np.pi) - np.pi
        return np.mean(angle**2, axis=1), energy_drift(predicted["state"], inputs)

    def forecast_horizons(self, error: Array) -> Array:
        """Return the time (b,) [yr] of the last frame before the error (b, t) passes 0.1."""
        times = np.array((0.0, *self.times_yr))
        passed = error > FORECAST_THRESHOLD
        first = np.where(passed.any(axis=1), passed.argmax(axis=1), error.shape[1])
        return times[first]


def normalised_error(predicted: Array, reference: Array, exists: Array) -> Array:
    """Return the error (b, t) of the slow elements in units of the system's own e and I.

    The error is the distance in (ln a, e-vector, I-vector), rms over planets. Its unit is the rms
    of sqrt(e^2 + I^2) over planets and time in the reference. Persistence has an error near 1 after
    a revolution of the apsides. The mean longitude is left out and has its own metric.

    Args:
        predicted: Elements (b, t, p, 6).
        reference: Elements (b, t, p, 6).
        exists: Whether a slot holds a planet (b, p).
    """
    difference = orbit_vectors(predicted) - orbit_vectors(reference)
    squared = _mean_square(difference, exists)
    return np.sqrt(squared) / system_size(reference, exists)[:, None]


def system_errors(predicted: Array, reference: Array, exists: Array) -> Array:
    """Return the rms over time (b,) of the normalised error, at most `LARGEST_ERROR`.

    Args:
        predicted: Elements (b, t, p, 6).
        reference: Elements (b, t, p, 6).
        exists: Whether a slot holds a planet (b, p).
    """
    error = normalised_error(predicted, reference, exists)
    return np.minimum(np.sqrt(np.mean(error**2, axis=1)), LARGEST_ERROR)


def system_size(reference: Array, exists: Array) -> Array:
    """Return the unit of errors (b,): the rms of sqrt(e^2 + I^2) over planets and time."""
    return np.sqrt(_mean_square(orbit_vectors(reference)[..., 1:], exists).mean(axis=1))


def _mean_square(vectors: Array, exists: Array) -> Array:
    """Return the mean squared length (b, t), over planets, of vectors (b, t, p, c)."""
    weight = exists[:, None, :] / exists.sum(axis=1)[:, None, None]
    return np.sum(np.sum(vectors**2, axis=-1) * weight, axis=-1)


def orbit_vectors(elements: Array) -> Array:
    """Return ln a, e-vector and I-vector (..., 5) of elements (..., 6), with I as 2 tan(I/2)."""
    axis, vector, tilt = elements[..., :1], elements[..., 1:3], elements[..., 3:5]
    return np.concatenate([np.log(axis), vector, 2.0 * tilt], axis=-1)


def wasserstein_distance(one: Array, other: Array) -> float:
    """Return the Wasserstein-1 distance between two samples (n,) of equal size.

    The sorted samples are matched in order. SciPy's function, which accepts samples of different
    sizes, agrees within rounding (7e-16). It takes 2 to 8 times as long, and 73 MiB more memory in
    every process that trains, because training scores each epoch.
    """
    return float(np.mean(np.abs(np.sort(one) - np.sort(other))))


def inclination(elements: Array) -> Array:
    """Return I (...) [rad] of elements (..., 6)."""
    return 2.0 * np.arctan(np.hypot(elements[..., 3], elements[..., 4]))


def eccentricity(elements: Array) -> Array:
    """Return e (...) of elements (..., 6)."""
    return np.sqrt(elements[..., 1] ** 2 + elements[..., 2] ** 2)


def energy_drift(states: Array, inputs: Batch) -> Array:
    """Return the relative change of energy (b,) from the epoch to the end of (b, t, p, 6)."""
    epoch = outputs_from_elements(inputs, inputs["elements"][:, None])["state"]
    ends = np.concatenate([epoch, states[:, -1:]], axis=1)
    total = total_energy(inputs["star_mass"], inputs["mass"], ends)
    return np.abs(total[:, 1] / total[:, 0] - 1.0)
