"""Secular theories beyond Laplace-Lagrange's, and the path of planets under any of them."""

import numpy as np

from problems.cases.planets.couplings import PlanetPairs, complex_vectors
from problems.cases.planets.orbit_averaging import PairVectors, averaged_correction
from problems.cases.planets.orbits import propagate_longitude
from problems.cases.planets.resonances import resonant_correction
from problems.cases.planets.simulation import outputs_from_elements
from problems.interfaces.types import Array, Batch

AVERAGING_TIMES = 8
"""Times, even over the horizon, at which a pair's potential is averaged."""


def secular_path(inputs: Batch, pairs: PlanetPairs, correction: Array, times_yr: Array) -> Batch:
    """Return elements and states under corrected coefficients (b, m, 4) at times (t,)."""
    start = inputs["elements"]
    elements = np.repeat(start[:, None], len(times_yr), axis=1)
    elements[..., 1:5] = pairs.secular_motion(correction).advance(start[..., 1:5], times_yr)
    elements[..., 5] = propagate_longitude(inputs, elements[..., 0], times_yr)
    return outputs_from_elements(inputs, elements)


def averaged_theory_correction(inputs: Batch, pairs: PlanetPairs, horizon_yr: float) -> Array:
    """Return corrections (b, m, 4): first-order resonances, and the average over both orbits."""
    resonant = resonant_correction(pairs)
    places = sample_secular_motion(inputs, pairs, resonant, horizon_yr)
    return resonant + averaged_correction(pairs, places)


def sample_secular_motion(
    inputs: Batch, pairs: PlanetPairs, correction: Array, horizon_yr: float
) -> PairVectors:
    """Return where planets of pairs (b, t, m) come by the secular motion over the horizon."""
    times = horizon_yr * (np.arange(AVERAGING_TIMES) + 0.5) / AVERAGING_TIMES
    path = pairs.secular_motion(correction).advance(inputs["elements"][..., 1:5], times)
    shape, tilt = complex_vectors(path)
    return PairVectors(*pairs.inner_and_outer(shape), *pairs.inner_and_outer(tilt))
