"""The secular potential of a pair, averaged over both orbits without expansion and linearised.

Laplace-Lagrange theory is the leading order in the ratio of eccentricity to the gap between the
orbits. For close pairs that ratio isn't small. In this module the force on z and zeta is averaged
numerically over both orbits, at several points of the secular motion. The coefficients are those
of the linear force that is closest in the mean square (statistical linearisation).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from problems.cases.planets.couplings import COEFFICIENTS, PlanetPairs
from problems.interfaces.types import Array

ORBIT_POINTS = 32
"""Points of an orbit, even in eccentric longitude; twice as many don't change the errors."""

PAIRS_AT_A_TIME = 32
"""Pairs whose forces are averaged in one step; the distances of their points, 2 MB at eight times,
then stay in the cache of a core."""

CLOSEST_APPROACH = 0.75
"""Share of the gap: eccentricities are scaled down where |z_2 - alpha z_1| is larger."""

RIDGE = 1e-2
"""Regularisation of the fit where z_1 and z_2 are correlated, as a share of their squares."""

MAX_CORRECTION = 1.0
"""Corrections are clipped to plus or minus this value."""


_ANGLE = np.arange(ORBIT_POINTS) * 2.0 * np.pi / ORBIT_POINTS
BASIS = np.stack([np.ones(ORBIT_POINTS), np.cos(_ANGLE), np.sin(_ANGLE)])
"""1, cos F and sin F (3, x) at the points of an orbit, with F the eccentric longitude."""


class OrbitForms(NamedTuple):
    """Positions and weights of orbits as linear forms in `BASIS`, with derivatives in (k, h, q, p).

    The first three components are the position in units of the outer axis, the last one is the
    weight dM / dF, the relative time spent at a point.

    Args:
        values: Coefficients (..., 4, 3).
        slopes: Derivatives of the coefficients (..., 4, 4, 3), by k, h, q and p.
    """

    values: Array
    slopes: Array


class PairVectors(NamedTuple):
    """Complex eccentricity and inclination vectors of pairs of planets (b, t, m).

    Args:
        first: Eccentricity vector of the inner planet.
        second: Eccentricity vector of the outer planet.
        first_tilt: Inclination vector of the inner planet.
        second_tilt: Inclination vector of the outer planet.
    """

    first: Array
    second: Array
    first_tilt: Array
    second_tilt: Array

    def without_crossing(self, alpha: Array) -> "PairVectors":
        """Return vectors scaled down so that orbits of axis ratios alpha (b, t, m) don't cross."""
        approach = np.abs(self.second - alpha * self.first) / (1.0 - alpha)
        share = CLOSEST_APPROACH / np.maximum(approach, CLOSEST_APPROACH)
        return PairVectors(*(share * vector for vector in self))


def averaged_correction(pairs: PlanetPairs, places: PairVectors) -> Array:
    """Return the corrections (b, m, 4) of the Laplace-Lagrange coefficients, clipped."""
    correction = np.zeros((*pairs.alpha.shape, COEFFICIENTS))
    exists = pairs.exists
    # Each existing pair is a row: (n,) and (n, t).
    alpha, laplace_coefficient = pairs.alpha[exists], pairs.laplace_coefficient[exists]
    rows = PairVectors(*(np.moveaxis(vector, 1, -1)[exists] for vector in places))
    rows = rows.without_crossing(alpha[:, None])
    forces = [4.0 / alpha[:, None, None] * f for f in _forces_of_rows(alpha, rows)]
    shape = _eccentricity_corrections(
        laplace_coefficient, rows, *(f[..., 0] + 1j * f[..., 1] for f in forces)
    )
    tilts = [f[..., 2] + 1j * f[..., 3] for f in forces]
    tilt = _inclination_correction(laplace_coefficient[:, 3], rows, tilts[0] - tilts[1])
    correction[exists] = np.concatenate([shape, tilt[:, None]], axis=1)
    return np.clip(correction, -MAX_CORRECTION, MAX_CORRECTION)


def _forces_of_rows(alpha: Array, rows: PairVectors) -> list[Array]:
    """Return the averaged forces (n, t, 4) on the inner and outer planets of pairs (n,)."""
    parts = [
        slice(first, first + PAIRS_AT_A_TIME)
        for first in range(0, max(len(alpha), 1), PAIRS_AT_A_TIME)
    ]
    forces = [
        averaged_forces(alpha[part, None], PairVectors(*(vector[part] for vector in rows)))
        for part in parts
    ]
    return [np.concatenate(orbit) for orbit in zip(*forces, strict=True)]


def averaged_forces(alpha: Array, places: PairVectors) -> tuple[Array, Array]:
    """Return the gradients of the mean a_2 / distance in (k, h, q, p) of each orbit, (..., 4).

    Args:
        alpha: Axis ratios, broadcasting to (...,).
        places: Vectors of the orbits (...,).
    """
    inner = _orbits(np.broadcast_to(alpha, places.first.shape), places.first, places.first_tilt)
    outer = _orbits(np.ones(places.second.shape), places.second, places.second_tilt)
    first, second = inner.values @ BASIS, outer.values @ BASIS
    squared = np.swapaxes(first[..., :3, :], -1, -2) @ second[..., :3, :]
    squared *= -2.0
    squared += np.sum(first[..., :3, :] ** 2, axis=-2)[..., :, None]
    squared += np.sum(second[..., :3, :] ** 2, axis=-2)[..., None, :]
    inverse = 1.0 / np.sqrt(squared)
    cubed = inverse / squared
    transposed = [np.swapaxes(matrix, -1, -2) for matrix in (inverse, cubed)]
    return (
        _slope(inner, first, second, *transposed),
        _slope(outer, second, first, inverse, cubed),
    )


def _slope(orbit: OrbitForms, points: Array, other: Array, inverse: Array, cubed: Array) -> Array:
    """Return the gradient (..., 4) in the vectors of an orbit, averaged over both orbits.

    Args:
        orbit: The orbit.
        points: Positions and weights of its points (..., 4, x).
        other: Those of the other orbit (..., 4, y).
        inverse: Inverse distances (..., y, x).
        cubed: Their cubes (..., y, x).
    """
    weight, position = other[..., 3:, :], points[..., :3, :]
    pulled = (weight * other[..., :3, :]) @ cubed
    pulled -= (weight @ cubed) * position
    pulled *= points[..., 3:, :]
    forces = np.concatenate([pulled, weight @ inverse], axis=-2)
    moments = forces @ BASIS.T
    return np.einsum("...qcb,...cb->...q", orbit.slopes, moments) / ORBIT_POINTS**2


def _orbits(axis: Array, shape: Array, tilt: Array) -> OrbitForms:
    """Return the forms of orbits (...,) with complex eccentricity and inclination vectors."""
    k, h = np.real(shape), np.imag(shape)
    plane, plane_slopes = _plane_forms(k, h)
    frame, frame_slopes = _frames(axis, np.real(tilt), np.imag(tilt))
    values = np.empty((*axis.shape, 4, 3))
    slopes = np.zeros((*axis.shape, 4, 4, 3))
    values[..., :3, :] = frame @ plane
    slopes[..., :2, :3, :] = frame[..., None, :, :] @ plane_slopes
    slopes[..., 2:, :3, :] = frame_slopes @ plane[..., None, :, :]
    values[..., 3, 0], values[..., 3, 1], values[..., 3, 2] = 1.0, -k, -h
    slopes[..., 0, 3, 1] = slopes[..., 1, 3, 2] = -1.0
    return OrbitForms(values, slopes)


def _plane_forms(k: Array, h: Array) -> tuple[Array, Array]:
    """Return positions in the plane of unit orbits (..., 2, 3), and their slopes (..., 2, 2, 3)."""
    root = np.sqrt(1.0 - h**2 - k**2)
    beta = 1.0 / (1.0 + root)
    by_k, by_h = beta**2 * k / root, beta**2 * h / root
    one, both = np.ones_like(k), h * k * beta
    mixed_k, mixed_h = h * beta + h * k * by_k, k * beta + h * k * by_h
    values = [[-k, 1.0 - h**2 * beta, both], [-h, both, 1.0 - k**2 * beta]]
    slope_k = [[-one, -(h**2) * by_k, mixed_k], [0.0 * one, mixed_k, -2.0 * k * beta - k**2 * by_k]]
    slope_h = [[0.0 * one, -2.0 * h * beta - h**2 * by_h, mixed_h], [-one, mixed_h, -(k**2) * by_h]]
    return _matrices(values), np.stack([_matrices(slope_k), _matrices(slope_h)], axis=-3)


def _frames(axis: Array, q: Array, p: Array) -> tuple[Array, Array]:
    """Return axes times unit vectors of planes (..., 3, 2), and their slopes (..., 2, 3, 2)."""
    zero, two = np.zeros_like(q), 2.0 * np.ones_like(q)
    norm = 1.0 / (1.0 + p**2 + q**2)
    values = _matrices(
        [[1.0 - p**2 + q**2, 2.0 * p * q], [2.0 * p * q, 1.0 + p**2 - q**2], [-2.0 * p, 2.0 * q]]
    )
    slope_q = _matrices([[2.0 * q, 2.0 * p], [2.0 * p, -2.0 * q], [zero, two]])
    slope_p = _matrices([[-2.0 * p, 2.0 * q], [2.0 * q, 2.0 * p], [-two, zero]])
    scale = (axis * norm)[..., None, None]
    slopes = [
        scale * (slope - (2.0 * component * norm)[..., None, None] * values)
        for slope, component in ((slope_q, q), (slope_p, p))
    ]
    return scale * values, np.stack(slopes, axis=-3)


def _matrices(rows: Sequence[Sequence[Array]]) -> Array:
    """Return matrices (..., rows, columns) of entries (...,)."""
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _eccentricity_corrections(
    theory: Array, places: PairVectors, first: Array, second: Array
) -> Array:
    """Return corrections (n, 3) by least squares of the forces (n, t) that theory misses."""
    one, other = places.first, places.second
    inner, outer, both = (theory[:, [index]] for index in range(3))
    first = first - inner * one - both * other
    second = second - outer * other - both * one
    size = [np.sum(np.abs(vector) ** 2, axis=1) for vector in (one, other)]
    mixed = np.sum(np.real(one * other.conj()), axis=1)
    normal = np.zeros((len(theory), 3, 3))
    for index, value in enumerate((size[0], size[1], size[0] + size[1])):
        normal[:, index, index] = value + RIDGE * (size[0] + size[1])
    for index in (0, 1):
        normal[:, index, 2] = normal[:, 2, index] = mixed
    projected = [first * one.conj(), second * other.conj()]
    projected.append(first * other.conj() + second * one.conj())
    right = np.stack([np.sum(np.real(product), axis=1) for product in projected], axis=1)
    normal += np.finfo(float).tiny * np.eye(3)
    return np.linalg.solve(normal, right[..., None])[..., 0] / theory[:, :3]


def _inclination_correction(theory: Array, places: PairVectors, force: Array) -> Array:
    """Return the correction (n,) by least squares of the force (n, t) on zeta_1 - zeta_2."""
    mutual = places.first_tilt - places.second_tilt
    size = np.sum(np.abs(mutual) ** 2, axis=1)
    along = -np.sum(np.real(force * mutual.conj()), axis=1)
    along = along / np.maximum(size, np.finfo(float).tiny)
    return np.where(size > 0.0, along / (8.0 * theory) - 1.0, 0.0)
