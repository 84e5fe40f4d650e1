"""The secular potential of a pair, averaged over both orbits without expansion and linearised.

Laplace-Lagrange theory is the leading order in the ratio of eccentricity to the gap between the
orbits. For close pairs that ratio isn't small. In this module the force on z and zeta is averaged
numerically over both orbits, at several points of the secular motion. The coefficients are those
of the linear force that is closest in the mean square (statistical linearisation).
"""

from typing import NamedTuple

import numpy as np

from problems.cases.planets.couplings import COEFFICIENTS, PlanetPairs
from problems.interfaces.types import Array

ORBIT_POINTS = 32
"""Points of an orbit, even in eccentric longitude; twice as many don't change the errors."""

CLOSEST_APPROACH = 0.75
"""Share of the gap: eccentricities are scaled down where |z_2 - alpha z_1| is larger."""

FINITE_DIFFERENCE = 1e-5
"""Step of the central differences of positions along an orbit."""

RIDGE = 1e-2
"""Regularisation of the fit where z_1 and z_2 are correlated, as a share of their squares."""

MAX_CORRECTION = 1.0
"""Corrections are clipped to plus or minus this value."""


class OrbitPoints(NamedTuple):
    """Points of orbits (..., x) with derivatives in (k, h, q, p).

    Args:
        position: Positions (..., x, 3) in units of the outer axis.
        weight: dM / dF (..., x): the relative time spent at each point.
        position_slope: Derivatives of positions (..., x, 4, 3).
        weight_slope: Derivatives of weights (..., x, 4).
    """

    position: Array
    weight: Array
    position_slope: Array
    weight_slope: Array


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
    forces = [4.0 / alpha[:, None, None] * f for f in averaged_forces(alpha[:, None], rows)]
    shape = _eccentricity_corrections(
        laplace_coefficient, rows, *(f[..., 0] + 1j * f[..., 1] for f in forces)
    )
    tilts = [f[..., 2] + 1j * f[..., 3] for f in forces]
    tilt = _inclination_correction(laplace_coefficient[:, 3], rows, tilts[0] - tilts[1])
    correction[exists] = np.concatenate([shape, tilt[:, None]], axis=1)
    return np.clip(correction, -MAX_CORRECTION, MAX_CORRECTION)


def averaged_forces(alpha: Array, places: PairVectors) -> tuple[Array, Array]:
    """Return the gradients of the mean a_2 / distance in (k, h, q, p) of each orbit, (..., 4).

    Args:
        alpha: Axis ratios, broadcasting to (...,).
        places: Vectors of the orbits (...,).
    """
    inner = _orbits(np.broadcast_to(alpha, places.first.shape), places.first, places.first_tilt)
    outer = _orbits(np.ones(places.second.shape), places.second, places.second_tilt)
    squared = (
        np.sum(inner.position**2, axis=-1)[..., :, None]
        + np.sum(outer.position**2, axis=-1)[..., None, :]
        - 2.0 * inner.position @ np.swapaxes(outer.position, -1, -2)
    )
    inverse = 1.0 / np.sqrt(squared)
    cubed = inverse / squared
    return (
        _slope(inner, outer, inverse, cubed),
        _slope(outer, inner, np.swapaxes(inverse, -1, -2), np.swapaxes(cubed, -1, -2)),
    )


def _slope(orbit: OrbitPoints, other: OrbitPoints, inverse: Array, cubed: Array) -> Array:
    """Return the gradient (..., 4) in the vectors of an orbit, averaged over both orbits."""
    potential = (inverse @ other.weight[..., None])[..., 0]
    pulled = cubed @ (other.weight[..., None] * other.position)
    nearness = cubed @ other.weight[..., None]
    force = orbit.weight[..., None] * (pulled - nearness * orbit.position)
    slope = orbit.weight_slope * potential[..., None]
    slope = slope + np.einsum("...xqd,...xd->...xq", orbit.position_slope, force)
    return np.sum(slope, axis=-2) / ORBIT_POINTS**2


def _orbits(axis: Array, shape: Array, tilt: Array) -> OrbitPoints:
    vectors = np.stack([np.real(shape), np.imag(shape), np.real(tilt), np.imag(tilt)])
    position, weight = _orbit_points(axis, vectors)
    ahead, behind = (
        [_orbit_points(axis, vectors + step * unit) for unit in _units(vectors.ndim)]
        for step in (FINITE_DIFFERENCE, -FINITE_DIFFERENCE)
    )
    slopes = [
        [(a - b) / (2.0 * FINITE_DIFFERENCE) for a, b in zip(later, earlier, strict=True)]
        for later, earlier in zip(ahead, behind, strict=True)
    ]
    return OrbitPoints(
        position,
        weight,
        np.stack([slope[0] for slope in slopes], axis=-2),
        np.stack([slope[1] for slope in slopes], axis=-1),
    )


def _units(dimensions: int) -> Array:
    return np.eye(4).reshape(4, 4, *(1,) * (dimensions - 1))


def _orbit_points(axis: Array, vectors: Array) -> tuple[Array, Array]:
    """Return positions (..., x, 3) and weights (..., x) of orbits (k, h, q, p) (4, ...)."""
    angle = np.arange(ORBIT_POINTS) * 2.0 * np.pi / ORBIT_POINTS
    cosine, sine = np.cos(angle), np.sin(angle)
    k, h, q, p = vectors[..., None]
    beta = 1.0 / (1.0 + np.sqrt(1.0 - h**2 - k**2))
    x = (1.0 - h**2 * beta) * cosine + h * k * beta * sine - k
    y = (1.0 - k**2 * beta) * sine + h * k * beta * cosine - h
    norm = axis[..., None] / (1.0 + p**2 + q**2)
    position = np.stack(
        [
            norm * (x * (1.0 - p**2 + q**2) + 2.0 * p * q * y),
            norm * (2.0 * p * q * x + y * (1.0 + p**2 - q**2)),
            norm * 2.0 * (q * y - p * x),
        ],
        axis=-1,
    )
    return position, 1.0 - k * cosine - h * sine


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
