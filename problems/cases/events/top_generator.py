"""The leading-order generator of g g -> t tbar with at least one muon: events of weight 1.

Mass, rapidity and angle of the pair are drawn by rejection; quarks and antiquarks in the initial
state, an eighth of the cross section at the LHC, are left out. Masses of tops and W bosons follow
Breit-Wigner lines. Tops are unpolarised, and W bosons have the helicities of the decay of a top.
Source: Ellis, Stirling & Webber, QCD and Collider Physics (1996), sections 10.1 and 12.3.
"""

import numpy as np

from problems.cases.events.drell_yan import PRIMORDIAL_KT_GEV
from problems.cases.events.kinematics import around, boosted, decayed, direction
from problems.cases.events.observables import MUON_MASS_GEV
from problems.interfaces.types import Array

TOP_MASS_GEV, TOP_WIDTH_GEV = 172.57, 1.42
W_MASS_GEV, W_WIDTH_GEV = 80.369, 2.085
"""Particle Data Group 2024."""

BOTTOM_MASS_GEV, LIGHT_MASS_GEV = 4.8, 0.33
"""Constituent masses of quarks, as in Pythia."""

WIDTHS = 8.0
"""Masses are drawn up to so many widths from the peak: 4 % of a line lies outside."""

GLUON_POWER, GLUON_FALL = -0.3, 6.0
"""Powers of x and 1 - x of the gluon's momentum density near x = 0.1."""

LARGEST_LOG_MASS = 2.5
"""Pairs are drawn up to this logarithm of the mass over the threshold: 12 times of it."""

MUON_SHARE = 1.0 / 7.0
"""Share of W bosons with a muon, of those with a muon or quarks."""

PLUS, MINUS, BOTH = range(3)
"""Which W bosons decay to a muon."""

GRID = 60
"""Points of the grid along each axis on which the bound of the weights is computed."""
MARGIN = 1.1


def draw_channels(n: int, rng: np.random.Generator) -> Array:
    """Return which W bosons decay to a muon (n,): `PLUS`, `MINUS` or `BOTH`.

    Args:
        n: Number of events.
        rng: Generator of random numbers.
    """
    one = MUON_SHARE * (1.0 - MUON_SHARE)
    shares = np.array([one, one, MUON_SHARE**2])
    return rng.choice(3, n, p=shares / shares.sum())


def breit_wigner(mass: float, width: float, n: int, rng: np.random.Generator) -> Array:
    """Return masses (n,) [GeV] of a resonance, up to `WIDTHS` widths from its peak.

    Args:
        mass: Mass of the peak [GeV].
        width: Width [GeV].
        n: Number of masses.
        rng: Generator of random numbers.
    """
    limit = np.arctan(2.0 * WIDTHS)
    return mass + 0.5 * width * np.tan(rng.uniform(-limit, limit, n))


def draw_top_pairs(energy: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Return momenta (n, 2, 4) and masses (n, 2) of top and antitop, and the channels (n,) [GeV].

    Args:
        energy: Energy of both protons together (n,) [GeV].
        rng: Generator of random numbers.
    """
    n = len(energy)
    log_mass, share, cosine = np.empty((3, n))
    bound = _bound(float(np.min(energy)), float(np.max(energy))) if n else 0.0
    pending = np.arange(n)
    while len(pending):
        drawn = rng.uniform(size=(4, len(pending)))
        proposal = LARGEST_LOG_MASS * drawn[0], 2.0 * drawn[1] - 1.0, 2.0 * drawn[2] - 1.0
        accepted = drawn[3] * bound < _weight(energy[pending], *proposal)
        for kept, values in zip((log_mass, share, cosine), proposal, strict=True):
            kept[pending[accepted]] = values[accepted]
        pending = pending[~accepted]
    masses = breit_wigner(TOP_MASS_GEV, TOP_WIDTH_GEV, 2 * n, rng).reshape(n, 2)
    mass = masses.sum(axis=1) * np.exp(log_mass)
    rapidity = share * np.log(energy / (2.0 * TOP_MASS_GEV * np.exp(log_mass)))
    transverse = rng.normal(0.0, PRIMORDIAL_KT_GEV / np.sqrt(2.0), (n, 2))
    transverse_mass = np.sqrt(mass**2 + np.sum(transverse**2, axis=1))
    total = np.stack(
        [*transverse.T, transverse_mass * np.sinh(rapidity), transverse_mass * np.cosh(rapidity)], 1
    )
    unit = direction(cosine, rng.uniform(-np.pi, np.pi, n))
    tops = decayed(total, mass, (masses[:, 0], masses[:, 1]), unit)
    return np.stack(tops, axis=1), masses, draw_channels(n, rng)


def decay_top(
    top: Array, mass: Array, is_muon: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return the momenta (n, 3, 4) of b quark and both products of the W, and of the W (n, 4).

    The second of three is the muon or the down-type quark, the third the neutrino or up-type quark.

    Args:
        top: Momenta of tops (n, 4) [GeV].
        mass: Their masses (n,) [GeV].
        is_muon: Whether the W decays to a muon (n,).
        rng: Generator of random numbers.
    """
    n = len(top)
    w_mass = breit_wigner(W_MASS_GEV, W_WIDTH_GEV, n, rng)
    unit = direction(rng.uniform(-1.0, 1.0, n), rng.uniform(-np.pi, np.pi, n))
    at_rest = np.concatenate([np.zeros((n, 3)), mass[:, None]], axis=1)
    bottom_mass = np.full(n, BOTTOM_MASS_GEV)
    # The W decays in the frame of the top, where its helicity is defined, and all is boosted after.
    w_at_rest, _ = decayed(at_rest, mass, (w_mass, bottom_mass), unit)
    w, bottom = decayed(top, mass, (w_mass, bottom_mass), unit)
    charged = np.where(is_muon, MUON_MASS_GEV, LIGHT_MASS_GEV)
    neutral = np.where(is_muon, 0.0, LIGHT_MASS_GEV)
    cosine = _helicity_cosine(mass, w_mass, rng)
    aligned = around(unit, cosine, rng.uniform(-np.pi, np.pi, n))
    products = decayed(w_at_rest, w_mass, (charged, neutral), aligned)
    in_laboratory = [boosted(each, top, mass) for each in products]
    return np.stack([bottom, *in_laboratory], axis=1), w


def _helicity_cosine(top_mass: Array, w_mass: Array, rng: np.random.Generator) -> Array:
    """Return the cosine (n,) between the charged lepton and the W, in the frame of the W.

    Longitudinal W bosons give 1 - cos^2, left-handed ones (1 - cos)^2.
    """
    n = len(top_mass)
    ratio = top_mass**2 / 2.0 / w_mass**2
    # The median of three uniform numbers has the density 1 - cos^2, the cube root the other.
    longitudinal = np.median(rng.uniform(-1.0, 1.0, (3, n)), axis=0)
    left = 1.0 - 2.0 * np.cbrt(rng.uniform(size=n))
    return np.where(rng.uniform(size=n) < ratio / (1.0 + ratio), longitudinal, left)


def _weight(energy: Array, log_mass: Array, share: Array, cosine: Array) -> Array:
    """Return the cross section over the density of the proposal (n,), up to a constant.

    Args:
        energy: Energy of both protons (n,) [GeV].
        log_mass: Logarithm of the mass of the pair over the threshold (n,).
        share: Rapidity over the largest possible one (n,).
        cosine: Cosine of the angle of the top in the frame of the pair (n,).
    """
    mass = 2.0 * TOP_MASS_GEV * np.exp(log_mass)
    limit = np.log(energy / mass)
    possible = limit > 0.0
    limit = np.where(possible, limit, 0.0)
    root = np.minimum(mass / energy, 1.0)
    densities = [
        fraction**GLUON_POWER * np.maximum(1.0 - fraction, 0.0) ** GLUON_FALL
        for fraction in (root * np.exp(share * limit), root * np.exp(-share * limit))
    ]
    squared = np.exp(-2.0 * log_mass)  # 4 m^2 over the squared mass
    velocity = np.sqrt(np.maximum(1.0 - squared, 0.0))
    first, second = 0.5 * (1.0 - velocity * cosine), 0.5 * (1.0 + velocity * cosine)
    amplitude = (1.0 / (6.0 * first * second) - 3.0 / 8.0) * (
        first**2 + second**2 + squared - squared**2 / (4.0 * first * second)
    )
    # Mass and rapidity of the pair are drawn in proportion to d log m^2 dy.
    return np.where(possible, densities[0] * densities[1] * limit, 0.0) * (
        amplitude * velocity / mass**2
    )


def _bound(smallest: float, largest: float) -> float:
    """Return a bound of the weights between two energies [GeV]."""
    log_mass, share, cosine = np.meshgrid(
        np.linspace(0.0, LARGEST_LOG_MASS, GRID),
        np.linspace(-1.0, 1.0, 9),
        np.linspace(0.0, 1.0, GRID),
    )
    energies = np.linspace(smallest, largest, 5)
    return MARGIN * max(
        float(_weight(np.full(log_mass.shape, energy), log_mass, share, cosine).max())
        for energy in energies
    )
