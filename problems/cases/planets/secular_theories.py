"""Secular theories beyond Laplace-Lagrange theory, and the motion of planets by any of them."""

import numpy as np

from problems.cases.planets.couplings import PlanetPairs, complex_vectors
from problems.cases.planets.orbit_averaging import PairVectors, averaged_correction
from problems.cases.planets.orbits import propagate_longitude
from problems.cases.planets.resonances import resonant_correction
from problems.cases.planets.simulation import outputs_from_elements
from problems.interfaces.types import Array, Batch

AVERAGING_TIMES = 8
"""Times, even over the horizon, at which the potential of a pair is averaged."""


def secular_path(inputs: Batch, pairs: PlanetPairs, correction: Array, times_yr: Array) -> Batch:
    """Return elements and states by corrected Laplace-Lagrange coefficients.

    Args:
        inputs: Systems at the epoch.
        pairs: Pairs of planets.
        correction: Corrections of the coefficients (b, m, 4).
        times_yr: Times of the frames (t,) [yr].
    """
    start = inputs["elements"]
    elements = np.repeat(start[:, None], len(times_yr), axis=1)
    elements[..., 1:5] = pairs.secular_motion(correction).advance(start[..., 1:5], times_yr)
    elements[..., 5] = propagate_longitude(inputs, elements[..., 0], times_yr)
    return outputs_from_elements(inputs, elements)


def averaged_theory_correction(inputs: Batch, pairs: PlanetPairs, horizon_yr: float) -> Array:
    """Return the corrections (b, m, 4) by first-order resonances and the average over orbits.

    Args:
        inputs: Systems at the epoch.
        pairs: Pairs of planets.
        horizon_yr: Time over which the potential is averaged [yr].
    """
    resonant = resonant_correction(pairs)
    places = sample_secular_motion(inputs, pairs, resonant, horizon_yr)
    return resonant + averaged_correction(pairs, places)


def sample_secular_motion(
    inputs: Batch, pairs: PlanetPairs, correction: Array, horizon_yr: float
) -> PairVectors:
    """Return the vectors (b, t, m) of pairs at several times of the secular motion.

    Args:
        inputs: Systems at the epoch.
        pairs: Pairs of planets.
        correction: Corrections of the coefficients (b, m, 4).
        horizon_yr: Time over which the times are even [yr].
    """
    times = horizon_yr * (np.arange(AVERAGING_TIMES) + 0.5) / AVERAGING_TIMES
    path = pairs.secular_motion(correction).advance(inputs["elements"][..., 1:5], times)
    shape, tilt = complex_vectors(path)
    return PairVectors(*pairs.inner_and_outer(shape), *pairs.inner_and_outer(tilt))
