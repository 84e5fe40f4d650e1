"""The leading-order generator of p p -> gamma*/Z -> l- l+: events of weight 1, in NumPy.

Mass and rapidity of the lepton pair are drawn by rejection from the product of parton densities and
the cross section of a quark with its antiquark; flavour and angle are drawn given these. The angle
is that to the quark, as in the frame of Collins & Soper (Phys. Rev. D 16 (1977) 2219).
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from problems.cases.events.kinematics import boosted
from problems.cases.events.partons import (
    DOWN,
    UP,
    Z_MASS_GEV,
    Z_WIDTH_GEV,
    helicity_strengths,
    luminosities,
)
from problems.interfaces.types import Array

MASS_WINDOW_GEV = (60.0, 120.0)
"""Masses of generated lepton pairs: the Z with its interference with the photon."""

UNIFORM_SHARE = 0.1
"""Share of the masses that are proposed uniformly; all others follow the line of the Z."""

PRIMORDIAL_KT_GEV = 1.8
"""Root mean square transverse momentum of the pair, from the motion of partons in the proton."""

ENERGY_STEP = 0.05
"""Step of the logarithm of the energy at which bounds of the weights are computed."""

GRID, MARGIN = 240, 1.03
"""The bound for rejection is the largest weight on a grid of `GRID` x `GRID` points, times this."""


class LeptonPairs(NamedTuple):
    """Mass [GeV], rapidity and cosine of the angle of l- to proton 1, of each pair (n,)."""

    mass: Array
    rapidity: Array
    cosine: Array


def draw_pairs(energy: Array, rng: np.random.Generator) -> LeptonPairs:
    """Return a lepton pair for each collision (n,).

    Args:
        energy: Energy of both protons together (n,) [GeV].
        rng: Generator of random numbers.
    """
    mass, rapidity = np.empty(len(energy)), np.empty(len(energy))
    bounds = _bounds(energy)
    pending = np.arange(len(energy))
    while len(pending):
        drawn = _propose_mass(len(pending), rng)
        limit = np.log(energy[pending] / drawn)
        place = limit * rng.uniform(-1.0, 1.0, len(pending))
        weight = _weight(energy[pending], drawn, place)
        accepted = rng.uniform(size=len(pending)) * bounds[pending] < weight
        mass[pending[accepted]] = drawn[accepted]
        rapidity[pending[accepted]] = place[accepted]
        pending = pending[~accepted]
    return LeptonPairs(mass, rapidity, _draw_cosine(energy, mass, rapidity, rng))


def lepton_momenta(pairs: LeptonPairs, lepton_mass: float, rng: np.random.Generator) -> Array:
    """Return the momenta (n, 2, 4) of l- and l+ [GeV]: px, py, pz, E.

    Azimuths are flat, and the transverse momentum of the pair is that of its partons.

    Args:
        pairs: Mass, rapidity and angle of each pair.
        lepton_mass: Mass of a lepton [GeV].
        rng: Generator of random numbers.
    """
    n = len(pairs.mass)
    phi = rng.uniform(-np.pi, np.pi, n)
    size = np.sqrt(pairs.mass**2 / 4.0 - lepton_mass**2)
    sine = np.sqrt(1.0 - pairs.cosine**2)
    at_rest = size[:, None] * np.stack([sine * np.cos(phi), sine * np.sin(phi), pairs.cosine], 1)
    transverse = rng.normal(0.0, PRIMORDIAL_KT_GEV / np.sqrt(2.0), (n, 2))
    transverse_mass = np.sqrt(pairs.mass**2 + np.sum(transverse**2, axis=1))
    along = transverse_mass * np.sinh(pairs.rapidity)
    energy = transverse_mass * np.cosh(pairs.rapidity)
    total = np.concatenate([transverse, along[:, None], energy[:, None]], axis=1)
    half = (pairs.mass / 2.0)[:, None]
    return np.stack(
        [
            boosted(np.concatenate([direction, half], axis=1), total, pairs.mass)
            for direction in (at_rest, -at_rest)
        ],
        axis=1,
    )


def _propose_mass(n: int, rng: np.random.Generator) -> Array:
    """Return masses (n,) [GeV] with the density `_proposal_density`."""
    low, high = (_line(np.array(mass)) for mass in MASS_WINDOW_GEV)
    angle = rng.uniform(low, high, n)
    on_line = np.sqrt(Z_MASS_GEV**2 + Z_MASS_GEV * Z_WIDTH_GEV * np.tan(angle))
    uniform = rng.uniform(*MASS_WINDOW_GEV, n)
    return np.where(rng.uniform(size=n) < UNIFORM_SHARE, uniform, on_line)


def _line(mass: Array) -> Array:
    """Return the angle (...) that is distributed uniformly on the line of the Z."""
    return np.arctan((mass**2 - Z_MASS_GEV**2) / (Z_MASS_GEV * Z_WIDTH_GEV))


def _proposal_density(mass: Array) -> Array:
    """Return the density (n,) of proposed masses [1/GeV]."""
    low, high = (float(_line(np.array(limit))) for limit in MASS_WINDOW_GEV)
    width = Z_MASS_GEV * Z_WIDTH_GEV
    line = 2.0 * mass * width / ((mass**2 - Z_MASS_GEV**2) ** 2 + width**2) / (high - low)
    return UNIFORM_SHARE / (MASS_WINDOW_GEV[1] - MASS_WINDOW_GEV[0]) + (1 - UNIFORM_SHARE) * line


def _channels(energy: Array, mass: Array, rapidity: Array) -> tuple[Array, Array]:
    """Return the weights (n,) of l- along proton 1 and against it.

    A weight belongs to the distribution (1 + cos)^2, or (1 - cos)^2, of the angle between the
    lepton and proton 1. It is proportional to the cross section per mass and rapidity.
    """
    root = mass / energy
    first, second = root * np.exp(rapidity), root * np.exp(-rapidity)
    along = np.zeros_like(mass)
    against = np.zeros_like(mass)
    for kind in (UP, DOWN):
        equal, opposite = helicity_strengths(kind, mass)
        from_first, from_second = luminosities(kind, first, second)
        along += equal * from_first + opposite * from_second
        against += opposite * from_first + equal * from_second
    return along / mass**3, against / mass**3


def _weight(energy: Array, mass: Array, rapidity: Array) -> Array:
    """Return the cross section over the density of the proposal (n,), up to a constant."""
    along, against = _channels(energy, mass, rapidity)
    limit = np.log(energy / mass)
    return (along + against) * limit / _proposal_density(mass)


def _bounds(energy: Array) -> Array:
    """Return a bound of the weights at each energy (n,): the larger one of both energies around it.

    Args:
        energy: Energies (n,) [GeV].
    """
    steps, step = np.unique(np.floor(np.log(energy) / ENERGY_STEP).astype(int), return_inverse=True)
    return np.array([max(_bound(int(each)), _bound(int(each) + 1)) for each in steps])[step]


@lru_cache(maxsize=256)
def _bound(step: int) -> float:
    """Return a bound of the weights at the energy exp(step * ENERGY_STEP) [GeV]."""
    energy = np.exp(step * ENERGY_STEP)
    mass, share = np.meshgrid(
        np.linspace(*MASS_WINDOW_GEV, GRID), np.linspace(0.0, 1.0, GRID, endpoint=False)
    )
    rapidity = share * np.log(energy / mass)
    return MARGIN * float(_weight(np.full_like(mass, energy), mass, rapidity).max())


def _draw_cosine(energy: Array, mass: Array, rapidity: Array, rng: np.random.Generator) -> Array:
    """Return the cosine (n,) of the angle between lepton and proton 1."""
    along, against = _channels(energy, mass, rapidity)
    cosine = 2.0 * np.cbrt(rng.uniform(size=len(mass))) - 1.0
    return np.where(rng.uniform(size=len(mass)) * (along + against) < along, cosine, -cosine)
