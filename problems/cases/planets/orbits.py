"""Heliocentric states, equinoctial elements and the conversion between them.

Elements are (a, k, h, q, p, lambda): semi-major axis [au], k = e cos(varpi), h = e sin(varpi),
q = tan(I/2) cos(Omega), p = tan(I/2) sin(Omega) [1], mean longitude [rad]. They have no singularity
at e = 0 or I = 0.
Source: Broucke & Cefola, Celestial Mechanics 5 (1972) 303-310.
"""

import numpy as np

from problems.interfaces.types import Array, Batch

GRAVITATIONAL_CONSTANT = 39.476926421373
"""Gaussian gravitational constant squared, k = 0.01720209895 (IAU 1976) [au^3 Msun^-1 yr^-2]."""

ECCENTRICITY_LIMIT = 0.99
"""Largest eccentricity of a predicted orbit, which keeps it an ellipse with a period."""

NEWTON_ITERATIONS = 12
"""Largest number of iterations; e < 0.1 needs three and e = 0.9 eight."""

NEWTON_RESIDUAL = 1e-13
"""Residual of Kepler's equation [rad] at which the iteration ends."""


def mean_motion(star_mass: Array, mass: Array, axis: Array) -> Array:
    """Return the mean motions (...,) [rad/yr].

    Args:
        star_mass: Mass of the star [Msun], broadcasting to (...,).
        mass: Mass of the planet [Msun], broadcasting to (...,).
        axis: Semi-major axis (...,) [au].
    """
    return np.sqrt(GRAVITATIONAL_CONSTANT * (star_mass + mass) / axis**3)


def eccentric_longitude(longitude: Array, k: Array, h: Array) -> Array:
    """Return the eccentric longitude F (...,) [rad] by Newton's method.

    Kepler's equation is lambda = F - k sin F + h cos F.

    Args:
        longitude: Mean longitude lambda (...,) [rad].
        k: e cos(varpi) (...,).
        h: e sin(varpi) (...,).
    """
    angle = longitude + k * np.sin(longitude) - h * np.cos(longitude)
    for _ in range(NEWTON_ITERATIONS):
        sine, cosine = np.sin(angle), np.cos(angle)
        residual = angle - k * sine + h * cosine - longitude
        angle = angle - residual / (1.0 - k * cosine - h * sine)
        if np.all(np.abs(residual) < NEWTON_RESIDUAL):
            break
    return angle


def _orbital_frame(q: Array, p: Array) -> tuple[Array, Array]:
    """Return the unit vectors (..., 3) of the orbital plane from which longitudes are counted."""
    norm = 1.0 + p**2 + q**2
    first = np.stack([1.0 - p**2 + q**2, 2.0 * p * q, -2.0 * p], axis=-1) / norm[..., None]
    second = np.stack([2.0 * p * q, 1.0 + p**2 - q**2, 2.0 * q], axis=-1) / norm[..., None]
    return first, second


def states_from_elements(elements: Array, mu: Array) -> Array:
    """Return heliocentric states (..., 6) [au, au/yr] of elements (..., 6).

    Args:
        elements: Elements of elliptic orbits (..., 6).
        mu: G (star + planet), broadcasting to (...,) [au^3/yr^2].
    """
    a, k, h, q, p, longitude = np.moveaxis(elements, -1, 0)
    angle = eccentric_longitude(longitude, k, h)
    cosine, sine = np.cos(angle), np.sin(angle)
    beta = 1.0 / (1.0 + np.sqrt(1.0 - h**2 - k**2))
    x = a * ((1.0 - h**2 * beta) * cosine + h * k * beta * sine - k)
    y = a * ((1.0 - k**2 * beta) * sine + h * k * beta * cosine - h)
    rate = np.sqrt(mu / a) / (1.0 - k * cosine - h * sine)
    vx = rate * (h * k * beta * cosine - (1.0 - h**2 * beta) * sine)
    vy = rate * ((1.0 - k**2 * beta) * cosine - h * k * beta * sine)
    first, second = _orbital_frame(q, p)
    position = x[..., None] * first + y[..., None] * second
    velocity = vx[..., None] * first + vy[..., None] * second
    return np.concatenate([position, velocity], axis=-1)


def elements_from_states(states: Array, mu: Array) -> Array:
    """Return elements (..., 6) of heliocentric states (..., 6) [au, au/yr].

    A hyperbolic state has a negative semi-major axis and NaN as mean longitude.

    Args:
        states: Heliocentric states (..., 6).
        mu: G (star + planet), broadcasting to (...,) [au^3/yr^2].
    """
    position, velocity = states[..., :3], states[..., 3:]
    distance = np.linalg.norm(position, axis=-1)
    a = 1.0 / (2.0 / distance - np.sum(velocity**2, axis=-1) / mu)
    momentum = np.cross(position, velocity)
    pole = momentum / np.linalg.norm(momentum, axis=-1, keepdims=True)
    p = pole[..., 0] / (1.0 + pole[..., 2])
    q = -pole[..., 1] / (1.0 + pole[..., 2])
    first, second = _orbital_frame(q, p)
    vector = np.cross(velocity, momentum) / np.asarray(mu)[..., None]
    vector = vector - position / distance[..., None]
    k, h = np.sum(vector * first, axis=-1), np.sum(vector * second, axis=-1)
    x, y = np.sum(position * first, axis=-1), np.sum(position * second, axis=-1)
    with np.errstate(invalid="ignore"):  # a hyperbola has no mean longitude and gets NaN
        root = np.sqrt(1.0 - h**2 - k**2)
    beta = 1.0 / (1.0 + root)
    cosine = k + ((1.0 - k**2 * beta) * x - h * k * beta * y) / (a * root)
    sine = h + ((1.0 - h**2 * beta) * y - h * k * beta * x) / (a * root)
    longitude = np.arctan2(sine, cosine) - k * sine + h * cosine
    return np.stack([a, k, h, q, p, np.mod(longitude, 2.0 * np.pi)], axis=-1)


def clip_eccentricity(k: Array, h: Array) -> tuple[Array, Array]:
    """Return k and h (...,) scaled to at most the largest valid eccentricity."""
    eccentricity = np.sqrt(k**2 + h**2)
    scale = ECCENTRICITY_LIMIT / np.maximum(eccentricity, ECCENTRICITY_LIMIT)
    return k * scale, h * scale


def propagate_longitude(inputs: Batch, axis: Array, time: Array) -> Array:
    """Return the mean longitudes (b, t, p) [rad] of planets with given semi-major axes.

    Kepler's third law gives the mean motion at each frame; the trapezoidal rule integrates it.

    Args:
        inputs: Systems at the epoch.
        axis: Semi-major axes (b, t, p) [au].
        time: Times of the frames (t,) [yr].
    """
    axes = np.concatenate([inputs["elements"][:, None, :, 0], axis], axis=1)
    rate = mean_motion(inputs["star_mass"][:, None, None], inputs["mass"][:, None], axes)
    step = np.diff(time, prepend=0.0)[:, None]
    advance = np.cumsum(0.5 * (rate[:, 1:] + rate[:, :-1]) * step, axis=1)
    return np.mod(inputs["elements"][:, None, :, 5] + advance, 2.0 * np.pi)


def total_energy(star_mass: Array, mass: Array, states: Array) -> Array:
    """Return the total energy (b, t) [Msun au^2 yr^-2] in the barycentric frame.

    Args:
        star_mass: Masses of the stars (b,) [Msun].
        mass: Masses of the planets (b, p) [Msun]; zero where a slot is empty.
        states: Heliocentric states (b, t, p, 6) [au, au/yr].
    """
    position, velocity = states[..., :3], states[..., 3:]
    weight = mass[:, None, :]
    total = star_mass[:, None] + np.sum(weight, axis=-1)
    drift = np.sum(weight[..., None] * velocity, axis=-2) / total[..., None]
    kinetic = 0.5 * np.sum(weight * np.sum((velocity - drift[..., None, :]) ** 2, axis=-1), axis=-1)
    kinetic += 0.5 * star_mass[:, None] * np.sum(drift**2, axis=-1)
    distance = np.linalg.norm(position, axis=-1)
    potential = -GRAVITATIONAL_CONSTANT * star_mass[:, None] * np.sum(weight / distance, axis=-1)
    for i in range(mass.shape[1]):
        for j in range(i):
            both = weight[..., i] * weight[..., j]
            gap = np.linalg.norm(position[..., i, :] - position[..., j, :], axis=-1)
            near = np.where(both > 0.0, gap, 1.0)
            potential -= GRAVITATIONAL_CONSTANT * both / near
    return kinetic + potential
