"""A pair's potential averaged over both orbits without expansion, made linear where planets go.

Laplace-Lagrange theory is the leading order in eccentricity over the gap between the orbits, and
that ratio isn't small for close pairs. Here the force on z and zeta is averaged numerically over
both orbits, at several places that the planets pass in the secular motion; the coefficients are
those of the linear motion nearest to it in the mean square (statistical linearisation).
"""

from typing import NamedTuple

import numpy as np

from problems.cases.planets.couplings import COEFFICIENTS, PlanetPairs
from problems.interfaces.types import Array

ORBIT_POINTS = 32
"""Points of an orbit, even in eccentric longitude: doubling them leaves errors as they are."""

CLOSEST_APPROACH = 0.75
"""Eccentricities are scaled down where |z_2 - alpha z_1| exceeds this share of the gap."""

FINITE_DIFFERENCE = 1e-5
"""Step of the central differences of positions along an orbit."""

RIDGE = 1e-2
"""Holds the fit to the theory, where z_1 and z_2 go together, by this share of their squares."""

MAX_CORRECTION = 1.0
"""Corrections are held within."""


class OrbitPoints(NamedTuple):
    """Points of orbits (..., x) and how they move with (k, h, q, p).

    Args:
        position: (..., x, 3), in units of the outer axis.
        weight: dM / dF (..., x): the time spent at each point.
        position_slope: (..., x, 4, 3).
        weight_slope: (..., x, 4).
    """

    position: Array
    weight: Array
    position_slope: Array
    weight_slope: Array


class PairVectors(NamedTuple):
    """Places (b, t, m) of a pair of planets: complex eccentricity and inclination vectors."""

    first: Array
    second: Array
    first_tilt: Array
    second_tilt: Array

    def apart(self, alpha: Array) -> "PairVectors":
        """Return the places with orbits kept from crossing."""
        gap = np.abs(self.second - alpha * self.first) / (1.0 - alpha)
        share = CLOSEST_APPROACH / np.maximum(gap, CLOSEST_APPROACH)
        return PairVectors(*(share * vector for vector in self))


def averaged_correction(pairs: PlanetPairs, places: PairVectors) -> Array:
    """Return the corrections (b, m, 4) of Laplace-Lagrange theory's coefficients, held bounded."""
    correction = np.zeros((*pairs.alpha.shape, COEFFICIENTS))
    there = pairs.exists
    # One existing pair a row: (n,) and (n, t).
    alpha, laplace_coefficient = pairs.alpha[there], pairs.laplace_coefficient[there]
    rows = PairVectors(*(np.moveaxis(vector, 1, -1)[there] for vector in places))
    rows = rows.apart(alpha[:, None])
    forces = [4.0 / alpha[:, None, None] * f for f in averaged_forces(alpha[:, None], rows)]
    shape = _eccentric(laplace_coefficient, rows, *(f[..., 0] + 1j * f[..., 1] for f in forces))
    tilts = [f[..., 2] + 1j * f[..., 3] for f in forces]
    tilt = _inclined(laplace_coefficient[:, 3], rows, tilts[0] - tilts[1])
    correction[there] = np.concatenate([shape, tilt[:, None]], axis=1)
    return np.clip(correction, -MAX_CORRECTION, MAX_CORRECTION)


def averaged_forces(alpha: Array, places: PairVectors) -> tuple[Array, Array]:
    """Return the slopes (..., 4) of the mean a_2 / distance in (k, h, q, p) of each orbit.

    Args:
        alpha: Axis ratios, broadcasting to (...).
        places: Orbits (...).
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


def _slope(own: OrbitPoints, other: OrbitPoints, inverse: Array, cubed: Array) -> Array:
    """Return the slope (..., 4) in an orbit's own vectors, both orbits averaged over."""
    potential = (inverse @ other.weight[..., None])[..., 0]
    pulled = cubed @ (other.weight[..., None] * other.position)
    nearness = cubed @ other.weight[..., None]
    force = own.weight[..., None] * (pulled - nearness * own.position)
    slope = own.weight_slope * potential[..., None]
    slope = slope + np.einsum("...xqd,...xd->...xq", own.position_slope, force)
    return np.sum(slope, axis=-2) / ORBIT_POINTS**2


def _orbits(axis: Array, shape: Array, tilt: Array) -> OrbitPoints:
    vectors = np.stack([np.real(shape), np.imag(shape), np.real(tilt), np.imag(tilt)])
    position, weight = _points(axis, vectors)
    ahead, behind = (
        [_points(axis, vectors + step * unit) for unit in _units(vectors.ndim)]
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


def _points(axis: Array, vectors: Array) -> tuple[Array, Array]:
    """Return points (..., x, 3) and their weights (..., x) of orbits (k, h, q, p) (4, ...)."""
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


def _eccentric(theory: Array, places: PairVectors, first: Array, second: Array) -> Array:
    """Return corrections (n, 3) by least squares of forces (n, t) on the theory's error."""
    one, other = places.first, places.second
    inner, outer, both = (theory[:, [place]] for place in range(3))
    first = first - inner * one - both * other
    second = second - outer * other - both * one
    size = [np.sum(np.abs(vector) ** 2, axis=1) for vector in (one, other)]
    mixed = np.sum(np.real(one * other.conj()), axis=1)
    normal = np.zeros((len(theory), 3, 3))
    for place, value in enumerate((size[0], size[1], size[0] + size[1])):
        normal[:, place, place] = value + RIDGE * (size[0] + size[1])
    for place in (0, 1):
        normal[:, place, 2] = normal[:, 2, place] = mixed
    projected = [first * one.conj(), second * other.conj()]
    projected.append(first * other.conj() + second * one.conj())
    right = np.stack([np.sum(np.real(each), axis=1) for each in projected], axis=1)
    normal += np.finfo(float).tiny * np.eye(3)
    return np.linalg.solve(normal, right[..., None])[..., 0] / theory[:, :3]


def _inclined(theory: Array, places: PairVectors, force: Array) -> Array:
    """Return the correction (n,) by least squares of the force (n, t) on zeta_1 - zeta_2."""
    apart = places.first_tilt - places.second_tilt
    size = np.sum(np.abs(apart) ** 2, axis=1)
    along = -np.sum(np.real(force * apart.conj()), axis=1) / np.maximum(size, np.finfo(float).tiny)
    return np.where(size > 0.0, along / (8.0 * theory) - 1.0, 0.0)
