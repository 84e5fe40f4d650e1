"""What theory says of a system at a glance: Hill spacing, AMD, overlap and nearness of resonances.

Elements here are those of `problems.cases.planets.orbits`; a pair is an inner planet and its outer
neighbour. All arrays may have axes between the sample's and the planets', as frames of time.
"""

import numpy as np

from problems.cases.planets.orbits import (
    GRAVITATIONAL_CONSTANT,
    elements_from_states,
    states_from_elements,
)
from problems.cases.planets.secular import secular_motion
from problems.cases.stability.integration import STAR_MASS
from problems.cases.stability.simulation import mutual_hill_ratio
from problems.interfaces.types import Array

BISECTIONS = 50
"""Halvings of an interval of 1: down to float64's last digit."""

MAX_RESONANCE_ORDER = 3
MAX_RESONANCE_INDEX = 30
"""Mean-motion resonances j : j - k with k up to the order and j up to the index are looked at."""

EPSILON = 1e-12
"""What stands for zero where a logarithm or a ratio is taken."""


def system_frame(mass: Array, states: Array) -> Array:
    """Return the axes (b, 3, 3) that turn with the system.

    The pole is the angular momentum; the first axis points to where the innermost planet is.

    Args:
        mass: (b, p) [Msun].
        states: (b, p, 6) heliocentric.
    """
    spin = np.sum(mass[..., None] * np.cross(states[..., :3], states[..., 3:]), axis=-2)
    pole = spin / np.linalg.norm(spin, axis=-1, keepdims=True)
    towards = states[:, 0, :3]
    second = np.cross(pole, towards)
    second /= np.linalg.norm(second, axis=-1, keepdims=True)
    return np.stack([np.cross(second, pole), second, pole], axis=1)


def components_along(states: Array, axes: Array) -> Array:
    """Return states (b, ..., 6) by their components along axes (b, 3, 3)."""
    parts = states.reshape(len(states), -1, 2, 3) @ np.swapaxes(axes, 1, 2)[:, None]
    return parts.reshape(states.shape)


def system_frame_elements(mass: Array, elements: Array) -> Array:
    """Return elements (b, p, 6) that a common rotation leaves as they are."""
    mu = GRAVITATIONAL_CONSTANT * (STAR_MASS + mass)
    states = states_from_elements(elements, mu)
    return elements_from_states(components_along(states, system_frame(mass, states)), mu)


def complex_orbit_vectors(elements: Array) -> tuple[Array, Array]:
    """Return e exp(i varpi) and tan(I/2) exp(i Omega), complex (..., p)."""
    return elements[..., 1] + 1j * elements[..., 2], elements[..., 3] + 1j * elements[..., 4]


def relative_eccentricity(elements: Array) -> Array:
    """Return |e_vector' - e_vector| of each pair (..., p - 1)."""
    return np.abs(np.diff(complex_orbit_vectors(elements)[0], axis=-1))


def axis_gap(elements: Array) -> Array:
    """Return 1 - a / a' of each pair (..., p - 1): the relative eccentricity of crossing orbits."""
    axis = elements[..., 0]
    return 1.0 - axis[..., :-1] / axis[..., 1:]


def hill_spacing(mass: Array, elements: Array) -> Array:
    """Return each pair's distance (b, p - 1) in mutual Hill radii."""
    axis = elements[..., 0]
    return (axis[..., 1:] / axis[..., :-1] - 1.0) / mutual_hill_ratio(mass)


def angular_momentum_deficit(mass: Array, elements: Array) -> Array:
    """Return each planet's AMD (..., p) [Msun au^2/yr]: Lambda (1 - sqrt(1 - e^2) cos I)."""
    eccentricity, tilt = (np.abs(each) for each in complex_orbit_vectors(elements))
    eccentricity = np.minimum(eccentricity, 1.0)
    cosine = (1.0 - tilt**2) / (1.0 + tilt**2)
    return circular_momentum(mass, elements) * (1.0 - np.sqrt(1.0 - eccentricity**2) * cosine)


def circular_momentum(mass: Array, elements: Array) -> Array:
    """Return Lambda = m sqrt(G M a) (..., p) [Msun au^2/yr]."""
    return mass * np.sqrt(GRAVITATIONAL_CONSTANT * STAR_MASS * np.abs(elements[..., 0]))


def critical_amd_of_collision(alpha: Array, gamma: Array) -> Array:
    """Return the least AMD over Lambda' with which two orbits can meet.

    Source: Laskar & Petit, A&A 605 (2017) A72: the inner eccentricity at the least is
    the root of a growing function.

    Args:
        alpha: Ratio of axes, inner to outer, below 1.
        gamma: Ratio of masses, inner to outer.
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
    """Return the AMD over Lambda' up to which two planets are Hill stable; below 0 they never are.

    Source: Petit, Laskar & Boue, A&A 617 (2018) A93.

    Args:
        alpha: Ratio of axes, inner to outer.
        gamma: Ratio of masses, inner to outer.
        epsilon: Mass of both over the star's.
    """
    shape = gamma / (1.0 + gamma) ** 2
    reached = alpha / (gamma + alpha) * (1.0 + 3.0 ** (4.0 / 3.0) * epsilon ** (2.0 / 3.0) * shape)
    return gamma * np.sqrt(alpha) + 1.0 - (1.0 + gamma) ** 1.5 * np.sqrt(reached)


def amd_ratios(mass: Array, elements: Array) -> tuple[Array, Array]:
    """Return the system's AMD over each pair's critical one (b, p - 1): of collision, of Hill.

    All of the AMD may come to any pair: below 1 everywhere the system is AMD-stable.

    Args:
        mass: (b, p) [Msun].
        elements: (b, p, 6) in the system's own frame.
    """
    total = np.sum(angular_momentum_deficit(mass, elements), axis=-1, keepdims=True)
    held = total / circular_momentum(mass, elements)[..., 1:]
    axis = elements[..., 0]
    alpha, gamma = axis[..., :-1] / axis[..., 1:], mass[..., :-1] / mass[..., 1:]
    epsilon = (mass[..., :-1] + mass[..., 1:]) / STAR_MASS
    of_hill = critical_amd_of_hill(alpha, gamma, epsilon)
    of_collision = critical_amd_of_collision(alpha, gamma)
    return held / np.maximum(of_collision, EPSILON), held / np.maximum(of_hill, EPSILON)


def max_relative_eccentricity(mass: Array, elements: Array) -> Array:
    """Return the largest relative eccentricity that each pair comes to (b, p - 1).

    To second order (Laplace-Lagrange) e-vectors are sums of turning modes, which line up some time.
    After Tamayo, Murray, Tremaine & Winn, AJ 162 (2021) 220.

    Args:
        mass: (b, p) [Msun].
        elements: (b, p, 6).
    """
    star = np.full(len(mass), STAR_MASS)
    modes = secular_motion(star, mass, elements[..., 0]).eccentricity
    amplitude = np.einsum("bij,bj->bi", modes.to_modes, complex_orbit_vectors(elements)[0])
    parts = modes.from_modes * amplitude[:, None, :]
    return np.sum(np.abs(np.diff(parts, axis=1)), axis=-1)


def resonance_overlap(mass: Array, elements: Array, relative: Array) -> Array:
    """Return each pair's relative eccentricity over that at which resonances overlap.

    Source: Hadden & Lithwick, AJ 156 (2018) 95: chaos of two planets begins at
    the crossing eccentricity times exp(-2.2 mu^(1/3) (a' / (a' - a))^(4/3)).

    Args:
        mass: (b, ..., p), broadcasting to the elements.
        elements: (b, ..., p, 6).
        relative: Relative eccentricity (b, ..., p - 1).
    """
    gap = np.clip(axis_gap(elements), EPSILON, 1.0)
    both = (mass[..., :-1] + mass[..., 1:]) / STAR_MASS
    exponent = 2.2 * np.cbrt(both) * gap ** (-4.0 / 3.0)
    return relative / gap * np.exp(np.minimum(exponent, 30.0))


def three_body_spacing(mass: Array, elements: Array) -> Array:
    """Return how far each triple is spaced (b, p - 2) beside where three-body resonances overlap.

    That of zeroth order: chaos of circular orbits begins at a value of order 1.
    Source: Petit, Pichierri, Davies & Johansen, A&A 641 (2020) A176, up to the constant.

    Args:
        mass: (b, p) [Msun].
        elements: (b, p, 6).
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
    """Return how near each pair is to its strongest resonance, in units of the resonance's width.

    Of j : j - k the width of the ratio of periods goes as sqrt(mu e^k), e the relative
    eccentricity over the crossing one (Murray & Dermott 1999, section 8.6, but for factors).

    Args:
        mass: (b, ..., p), broadcasting to the elements.
        elements: (b, ..., p, 6).
    """
    axis = np.abs(elements[..., 0])
    ratio = (axis[..., :-1] / axis[..., 1:]) ** 1.5
    both = (mass[..., :-1] + mass[..., 1:]) / STAR_MASS
    gap = np.clip(axis_gap(elements), EPSILON, 1.0)
    eccentricity = np.clip(relative_eccentricity(elements) / gap, 1e-6, 1.0)
    strongest = np.zeros_like(ratio)
    for order in range(1, MAX_RESONANCE_ORDER + 1):
        width = np.sqrt(both * eccentricity**order)
        # The resonances of this order on either side: j is the index just above or below.
        index = np.floor(order / np.maximum(1.0 - ratio, EPSILON))
        for j in (index, index + 1.0):
            j_held = np.clip(j, order + 1.0, MAX_RESONANCE_INDEX)
            away = np.abs(ratio - (j_held - order) / j_held)
            strongest = np.maximum(strongest, width / np.maximum(away, EPSILON))
    return strongest
