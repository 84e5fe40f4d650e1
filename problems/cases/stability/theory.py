"""Analytic stability criteria: Hill spacing, AMD, overlap and strength of resonances.

Elements are those of `problems.cases.planets.orbits`. A pair is a planet and its outer neighbour.
Arrays may have further axes, such as time, between those of samples and planets.
"""

from typing import NamedTuple

import numpy as np

from problems.cases.planets.orbits import (
    GRAVITATIONAL_CONSTANT,
    elements_from_states,
    mean_motion,
    states_from_elements,
)
from problems.cases.planets.secular import secular_motion
from problems.cases.stability.integration import STAR_MASS
from problems.cases.stability.simulation import mutual_hill_ratio
from problems.interfaces.types import Array

BISECTIONS = 50
"""Bisections of an interval of length 1, down to the precision of float64."""

MAX_RESONANCE_ORDER = 3
MAX_RESONANCE_INDEX = 30
"""Limits of k and j of the mean-motion resonances j : j - k that are considered."""

EPSILON = 1e-12
"""Lower limit of the arguments of logarithms and of divisors."""


def system_frame(mass: Array, states: Array) -> Array:
    """Return the axes of the frame of each system (b, 3, 3).

    The third axis is the direction of the angular momentum; the first axis is the direction of the
    innermost planet, projected perpendicular to it.

    Args:
        mass: Masses of the planets (b, p) [Msun].
        states: Heliocentric states (b, p, 6).
    """
    spin = np.sum(mass[..., None] * np.cross(states[..., :3], states[..., 3:]), axis=-2)
    pole = spin / np.linalg.norm(spin, axis=-1, keepdims=True)
    innermost = states[:, 0, :3]
    second = np.cross(pole, innermost)
    second /= np.linalg.norm(second, axis=-1, keepdims=True)
    return np.stack([np.cross(second, pole), second, pole], axis=1)


def components_along(states: Array, axes: Array) -> Array:
    """Return the components of states (b, ..., 6) along axes (b, 3, 3)."""
    parts = states.reshape(len(states), -1, 2, 3) @ np.swapaxes(axes, 1, 2)[:, None]
    return parts.reshape(states.shape)


def system_frame_elements(mass: Array, elements: Array) -> Array:
    """Return elements (b, p, 6) in the frame of the system, invariant under common rotations."""
    mu = GRAVITATIONAL_CONSTANT * (STAR_MASS + mass)
    states = states_from_elements(elements, mu)
    return elements_from_states(components_along(states, system_frame(mass, states)), mu)


def complex_orbit_vectors(elements: Array) -> tuple[Array, Array]:
    """Return e exp(i varpi) and tan(I/2) exp(i Omega), complex (..., p) each."""
    return elements[..., 1] + 1j * elements[..., 2], elements[..., 3] + 1j * elements[..., 4]


def relative_eccentricity(elements: Array) -> Array:
    """Return the length of the difference of e-vectors of each pair (..., p - 1)."""
    return np.abs(np.diff(complex_orbit_vectors(elements)[0], axis=-1))


def axis_gap(elements: Array) -> Array:
    """Return 1 - a / a' of each pair (..., p - 1), the relative eccentricity of crossing orbits."""
    axis = elements[..., 0]
    return 1.0 - axis[..., :-1] / axis[..., 1:]


def hill_spacing(mass: Array, elements: Array) -> Array:
    """Return the distance of each pair in mutual Hill radii (b, p - 1)."""
    axis = elements[..., 0]
    return (axis[..., 1:] / axis[..., :-1] - 1.0) / mutual_hill_ratio(mass)


def angular_momentum_deficit(mass: Array, elements: Array) -> Array:
    """Return the AMD of each planet, Lambda (1 - sqrt(1 - e^2) cos I) (..., p) [Msun au^2/yr]."""
    eccentricity, tilt = (np.abs(vector) for vector in complex_orbit_vectors(elements))
    eccentricity = np.minimum(eccentricity, 1.0)
    cosine = (1.0 - tilt**2) / (1.0 + tilt**2)
    return circular_momentum(mass, elements) * (1.0 - np.sqrt(1.0 - eccentricity**2) * cosine)


def circular_momentum(mass: Array, elements: Array) -> Array:
    """Return Lambda = m sqrt(G M a) (..., p) [Msun au^2/yr]."""
    return mass * np.sqrt(GRAVITATIONAL_CONSTANT * STAR_MASS * np.abs(elements[..., 0]))


def critical_amd_of_collision(alpha: Array, gamma: Array) -> Array:
    """Return the smallest AMD over Lambda' with which two orbits can collide (...,).

    The inner eccentricity at the minimum is the root of an increasing function.
    Source: Laskar & Petit, A&A 605 (2017) A72.

    Args:
        alpha: Ratio of inner to outer axis (...,), below 1.
        gamma: Ratio of inner to outer mass (...,).
    """
    low, high = np.zeros_like(alpha), np.ones_like(alpha)
    for _ in range(BISECTIONS):
        e = 0.5 * (low + high)
        root = np.sqrt(alpha * (1.0 - e**2) + (gamma * e) ** 2)
        beyond = alpha * e + gamma * e / root - 1.0 + alpha > 0.0
        low, high = np.where(beyond, low, e), np.where(beyond, e, high)
    e = 0.5 * (low + high)
    outer = 1.0 - alpha - alpha * e
    return gamma * np.sqrt(alpha) * (1.0 - np.sqrt(1.0 - e**2)) + 1.0 - np.sqrt(1.0 - outer**2)


def critical_amd_of_hill(alpha: Array, gamma: Array, epsilon: Array) -> Array:
    """Return the AMD over Lambda' up to which two planets are Hill stable (...,).

    Where it is negative, planets are never Hill stable.
    Source: Petit, Laskar & Boue, A&A 617 (2018) A93.

    Args:
        alpha: Ratio of inner to outer axis (...,).
        gamma: Ratio of inner to outer mass (...,).
        epsilon: Ratio of the mass of both planets to that of the star (...,).
    """
    shape = gamma / (1.0 + gamma) ** 2
    reached = alpha / (gamma + alpha) * (1.0 + 3.0 ** (4.0 / 3.0) * epsilon ** (2.0 / 3.0) * shape)
    return gamma * np.sqrt(alpha) + 1.0 - (1.0 + gamma) ** 1.5 * np.sqrt(reached)


def amd_ratios(mass: Array, elements: Array) -> tuple[Array, Array]:
    """Return the ratios of AMD to critical AMD of collision and of Hill stability (b, p - 1).

    Any pair may receive the whole AMD of the system; the system is AMD-stable if all ratios are
    below 1.

    Args:
        mass: Masses of the planets (b, p) [Msun].
        elements: Elements in the frame of the system (b, p, 6).
    """
    total = np.sum(angular_momentum_deficit(mass, elements), axis=-1, keepdims=True)
    relative = total / circular_momentum(mass, elements)[..., 1:]
    axis = elements[..., 0]
    alpha, gamma = axis[..., :-1] / axis[..., 1:], mass[..., :-1] / mass[..., 1:]
    epsilon = (mass[..., :-1] + mass[..., 1:]) / STAR_MASS
    of_hill = critical_amd_of_hill(alpha, gamma, epsilon)
    of_collision = critical_amd_of_collision(alpha, gamma)
    return relative / np.maximum(of_collision, EPSILON), relative / np.maximum(of_hill, EPSILON)


class SecularScales(NamedTuple):
    """What Laplace-Lagrange theory says of the eccentricities of b systems.

    Args:
        largest: Largest relative eccentricity that each pair reaches (b, p - 1).
        periods: Periods of the modes (b, p), shortest last, in innermost orbits.
    """

    largest: Array
    periods: Array


def secular_scales(mass: Array, elements: Array) -> SecularScales:
    """Return the largest relative eccentricities and the periods of the secular motion.

    To second order (Laplace-Lagrange theory) e-vectors are sums of rotating modes. The largest
    relative eccentricity is that of aligned modes.
    Source: Tamayo, Murray, Tremaine & Winn, AJ 162 (2021) 220.

    Args:
        mass: Masses of the planets (b, p) [Msun].
        elements: Elements (b, p, 6).
    """
    star, axis = np.full(len(mass), STAR_MASS), elements[..., 0]
    modes = secular_motion(star, mass, axis).eccentricity
    amplitude = np.einsum("bij,bj->bi", modes.to_modes, complex_orbit_vectors(elements)[0])
    parts = modes.from_modes * amplitude[:, None, :]
    orbit = mean_motion(star, mass[:, 0], axis[:, 0])[:, None]
    return SecularScales(
        np.sum(np.abs(np.diff(parts, axis=1)), axis=-1),
        orbit / np.maximum(np.abs(modes.frequency), EPSILON),
    )


def resonance_overlap(mass: Array, elements: Array, relative: Array) -> Array:
    """Return the ratio of relative eccentricity to that of resonance overlap (b, ..., p - 1).

    Chaos of two planets begins at the crossing eccentricity times
    exp(-2.2 mu^(1/3) (a' / (a' - a))^(4/3)): Hadden & Lithwick, AJ 156 (2018) 95.

    Args:
        mass: Masses of the planets (b, ..., p) [Msun], broadcasting to the elements.
        elements: Elements (b, ..., p, 6).
        relative: Relative eccentricities (b, ..., p - 1).
    """
    gap = np.clip(axis_gap(elements), EPSILON, 1.0)
    both = (mass[..., :-1] + mass[..., 1:]) / STAR_MASS
    exponent = 2.2 * np.cbrt(both) * gap ** (-4.0 / 3.0)
    return relative / gap * np.exp(np.minimum(exponent, 30.0))


def three_body_spacing(mass: Array, elements: Array) -> Array:
    """Return the spacing of triples relative to the overlap of three-body resonances (b, p - 2).

    Resonances are of zeroth order; chaos of circular orbits begins at a value of order 1.
    Source: Petit, Pichierri, Davies & Johansen, A&A 641 (2020) A176, up to a constant.

    Args:
        mass: Masses of the planets (b, p) [Msun].
        elements: Elements (b, p, 6).
    """
    axis = elements[..., 0]
    alpha = axis[..., :-1] / axis[..., 1:]
    gap, nu = 1.0 - alpha, alpha**1.5
    inner, outer = nu[..., :-1], nu[..., 1:]
    eta = inner * (1.0 - outer) / (1.0 - inner * outer)
    m1, m2, m3 = (mass[..., i : i + mass.shape[-1] - 2] / STAR_MASS for i in range(3))
    squared = m1 * m3 + m2 * m3 * (eta / alpha[..., :-1]) ** 2
    squared = squared + m1 * m2 * (alpha[..., 1:] * (1.0 - eta)) ** 2
    harmonic = gap[..., :-1] * gap[..., 1:] / (gap[..., :-1] + gap[..., 1:])
    return harmonic / squared**0.125


def resonance_strength(mass: Array, elements: Array) -> Array:
    """Return the ratio of width to distance of the strongest resonance of pairs (b, ..., p - 1).

    The width of the resonance j : j - k in the ratio of periods is proportional to sqrt(mu e^k),
    where e is the ratio of relative to crossing eccentricity (Murray & Dermott 1999, section 8.6,
    up to constants).

    Args:
        mass: Masses of the planets (b, ..., p) [Msun], broadcasting to the elements.
        elements: Elements (b, ..., p, 6).
    """
    axis = np.abs(elements[..., 0])
    ratio = (axis[..., :-1] / axis[..., 1:]) ** 1.5
    both = (mass[..., :-1] + mass[..., 1:]) / STAR_MASS
    gap = np.clip(axis_gap(elements), EPSILON, 1.0)
    eccentricity = np.clip(relative_eccentricity(elements) / gap, 1e-6, 1.0)
    strongest = np.zeros_like(ratio)
    for order in range(1, MAX_RESONANCE_ORDER + 1):
        width = np.sqrt(both * eccentricity**order)
        # The nearest resonances of this order on both sides.
        index = np.floor(order / np.maximum(1.0 - ratio, EPSILON))
        for j in (index, index + 1.0):
            j_valid = np.clip(j, order + 1.0, MAX_RESONANCE_INDEX)
            distance = np.abs(ratio - (j_valid - order) / j_valid)
            strongest = np.maximum(strongest, width / np.maximum(distance, EPSILON))
    return strongest
