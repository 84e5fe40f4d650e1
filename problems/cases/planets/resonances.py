"""The contribution of first-order mean-motion resonances to the secular motion of nearby pairs.

Averaging j lambda_2 - (j - 1) lambda_1 to second order in the masses leaves
-(3/4) ((j-1)^2 n_1 / L_1 + j^2 n_2 / L_2) (A / omega)^2 |f_27 z_1 + f_31 z_2|^2 of the pair's
potential, with L = m n a^2, A = G m_1 m_2 / a_2 and omega = j n_2 - (j - 1) n_1: a quadratic form
like Laplace-Lagrange theory's.
Sources: Malhotra, Fox, Murray & Nicholson, A&A 221 (1989) 348; coefficients: Murray & Dermott,
Solar System Dynamics (1999), appendix B.
"""

import numpy as np

from problems.cases.planets.couplings import COEFFICIENTS, PlanetPairs
from problems.interfaces.types import Array

MAX_RESONANCE_INDEX = 9
"""Largest j of the resonances j : j - 1, which begin with 2 : 1."""

MAX_CORRECTION = 1.0
"""Upper limit of corrections; within a resonance the series is not valid."""

QUADRATURE_POINTS = 129
"""Trapezoidal points on [0, pi], as for the coefficients of Laplace-Lagrange theory."""


def resonant_coefficients(alpha: Array) -> tuple[Array, Array]:
    """Return f_27 and f_31 (..., r), with indirect terms, for j = 2 to `MAX_RESONANCE_INDEX`."""
    angle = np.linspace(0.0, np.pi, QUADRATURE_POINTS)
    weight = np.full(QUADRATURE_POINTS, 2.0 / (QUADRATURE_POINTS - 1))
    weight[[0, -1]] *= 0.5
    cosines = np.cos(angle[:, None] * np.arange(1, MAX_RESONANCE_INDEX + 1))
    ratio = alpha[..., None]
    squared = 1.0 - 2.0 * ratio * np.cos(angle) + ratio**2
    value = (weight / np.sqrt(squared)) @ cosines
    slope = (weight * ratio * (np.cos(angle) - ratio) / squared**1.5) @ cosines
    j = np.arange(2, MAX_RESONANCE_INDEX + 1)
    inner = -0.5 * (2.0 * j * value[..., 1:] + slope[..., 1:])
    outer = 0.5 * ((2.0 * j - 1.0) * value[..., :-1] + slope[..., :-1])
    return inner, outer - np.where(j == 2, 2.0 * ratio, 0.0)


def resonant_correction(pairs: PlanetPairs) -> Array:
    """Return the corrections (b, m, 4) of the Laplace-Lagrange coefficients, clipped."""
    inner, outer = resonant_coefficients(pairs.alpha)
    first, second = (motion[..., None] for motion in pairs.inner_and_outer(pairs.motion))
    inner_momentum, outer_momentum = (
        momentum[..., None] for momentum in pairs.inner_and_outer(pairs.circular_momentum)
    )
    j = np.arange(2, MAX_RESONANCE_INDEX + 1)
    detuning = j * second - (j - 1) * first
    curvature = 1.5 * ((j - 1) ** 2 * first / inner_momentum + j**2 * second / outer_momentum)
    amplitude = 4.0 * pairs.coupling / pairs.alpha
    tiny = np.finfo(float).tiny
    strength = curvature * amplitude[..., None] ** 2 / np.maximum(detuning**2, tiny)
    added = np.stack([inner**2, outer**2, inner * outer], axis=-1) * strength[..., None]
    theory = pairs.coupling[..., None] * pairs.laplace_coefficient[..., :3]
    correction = np.zeros((*pairs.alpha.shape, COEFFICIENTS))
    ratio = np.sum(added, axis=-2) / np.where(pairs.exists[..., None], theory, 1.0)
    correction[..., :3] = np.where(pairs.exists[..., None], np.minimum(ratio, MAX_CORRECTION), 0.0)
    return correction
