"""Observables of two leptons, as a detector measures them, and the momenta that belong to them."""

from collections.abc import Mapping

import numpy as np

from problems.interfaces.types import Array

MUON_MASS_GEV = 0.1056583755
"""The leptons are muons."""

TRANSVERSE, PSEUDORAPIDITY, AZIMUTH = range(3)
"""Columns of `collider_coordinates`."""

TINY_GEV = 1e-6
"""Keeps rapidities finite: of a muon along the beam, and of a pair without mass."""


def collider_coordinates(momenta: Array) -> Array:
    """Return transverse momentum [GeV], pseudorapidity and azimuth [rad] (..., 3).

    Args:
        momenta: Momenta (..., 4) [GeV]: px, py, pz, E.
    """
    px, py, pz = momenta[..., 0], momenta[..., 1], momenta[..., 2]
    transverse = np.maximum(np.hypot(px, py), TINY_GEV)
    return np.stack([transverse, np.arcsinh(pz / transverse), np.arctan2(py, px)], axis=-1)


def four_momenta(coordinates: Array, mass: Array | float = MUON_MASS_GEV) -> Array:
    """Return momenta (..., 4) [GeV]: px, py, pz, E.

    Args:
        coordinates: Transverse momentum [GeV], pseudorapidity and azimuth [rad] (..., 3).
        mass: Mass of each particle (...) [GeV], by default that of a muon.
    """
    transverse = coordinates[..., TRANSVERSE]
    azimuth = coordinates[..., AZIMUTH]
    pz = transverse * np.sinh(coordinates[..., PSEUDORAPIDITY])
    energy = np.sqrt(transverse**2 + pz**2 + mass**2)
    return np.stack([transverse * np.cos(azimuth), transverse * np.sin(azimuth), pz, energy], -1)


def masses(momenta: Array) -> Array:
    """Return the mass (...) [GeV] of each momentum (..., 4), 0 below its light cone."""
    squared = momenta[..., 3] ** 2 - np.sum(momenta[..., :3] ** 2, axis=-1)
    return np.sqrt(np.maximum(squared, 0.0))


def rescaled(momenta: Array, factors: Array) -> Array:
    """Return momenta (..., 4) [GeV] of the same masses, times factors (...)."""
    scaled = momenta[..., :3] * factors[..., None]
    squared = momenta[..., 3] ** 2 - np.sum(momenta[..., :3] ** 2, axis=-1)
    energy = np.sqrt(np.maximum(np.sum(scaled**2, axis=-1) + squared, 0.0))
    return np.concatenate([scaled, energy[..., None]], axis=-1)


def wrapped(angle: Array) -> Array:
    """Return angles (b, ...) from -pi to pi that are equal up to full turns [rad]."""
    return (angle + np.pi) % (2.0 * np.pi) - np.pi


def observables(leptons: Array) -> Mapping[str, Array]:
    """Return the raw and the derived observables (b,) of each event by name.

    Args:
        leptons: Momenta of l- and l+ (b, 2, 4) [GeV].
    """
    coordinates = collider_coordinates(leptons)
    total = leptons.sum(axis=1)
    transverse = np.hypot(total[:, 0], total[:, 1])
    mass = masses(total)
    difference = coordinates[:, 0] - coordinates[:, 1]
    separation = np.abs(wrapped(difference[:, AZIMUTH]))
    raw = {
        f"{name}_{sign}": coordinates[:, place, column]
        for place, sign in enumerate(("minus", "plus"))
        for column, name in enumerate(("pt", "eta", "phi"))
    }
    return {
        **raw,
        "mass": mass,
        "pair_pt": transverse,
        "pair_rapidity": np.arcsinh(total[:, 2] / np.sqrt(mass**2 + transverse**2 + TINY_GEV**2)),
        "delta_eta": difference[:, PSEUDORAPIDITY],
        "delta_phi": separation,
        "delta_r": np.hypot(difference[:, PSEUDORAPIDITY], separation),
        "cos_star": np.tanh(0.5 * difference[:, PSEUDORAPIDITY]),
    }


def invariant_observables(leptons: Array) -> Array:
    """Return the raw observables that don't change when an event is turned around the beam (b, 5).

    They are both transverse momenta [GeV], both pseudorapidities and the azimuth between the muons
    [rad]. A network may turn an event that it copies.

    Args:
        leptons: Momenta of l- and l+ (b, 2, 4) [GeV].
    """
    transverse, eta, azimuth = np.moveaxis(collider_coordinates(leptons), -1, 0)
    opening = np.abs(wrapped(azimuth[:, 1] - azimuth[:, 0]))
    return np.concatenate([transverse, eta, opening[:, None]], axis=1)
