"""Secular theories beyond Laplace-Lagrange's, and the path of planets under any of them."""

import numpy as np

from problems.cases.planets.couplings import PlanetPairs, complex_vectors
from problems.cases.planets.orbit_averaging import Moments, averaged_correction
from problems.cases.planets.orbits import drifted_longitude
from problems.cases.planets.resonances import resonant_correction
from problems.cases.planets.simulation import with_states
from problems.interfaces.types import Array, Batch

PLACES = 8
"""Times, even over the horizon, at which a pair's potential is averaged."""


def secular_path(inputs: Batch, pairs: PlanetPairs, correction: Array, times_yr: Array) -> Batch:
    """Return elements and states under corrected coefficients (b, m, 4) at times (t,)."""
    start = inputs["elements"]
    elements = np.repeat(start[:, None], len(times_yr), axis=1)
    elements[..., 1:5] = pairs.secular_motion(correction).advance(start[..., 1:5], times_yr)
    elements[..., 5] = drifted_longitude(inputs, elements[..., 0], times_yr)
    return with_states(inputs, elements)


def averaged_theory(inputs: Batch, pairs: PlanetPairs, horizon_yr: float) -> Array:
    """Return corrections (b, m, 4): first-order resonances, and the average over both orbits."""
    resonant = resonant_correction(pairs)
    places = places_passed(inputs, pairs, resonant, horizon_yr)
    return resonant + averaged_correction(pairs, places)


def places_passed(
    inputs: Batch, pairs: PlanetPairs, correction: Array, horizon_yr: float
) -> Moments:
    """Return where planets of pairs (b, t, m) come by the secular motion over the horizon."""
    times = horizon_yr * (np.arange(PLACES) + 0.5) / PLACES
    path = pairs.secular_motion(correction).advance(inputs["elements"][..., 1:5], times)
    shape, tilt = complex_vectors(path)
    return Moments(*pairs.ends(shape), *pairs.ends(tilt))
