"""Simple parton densities of the proton, and the electroweak couplings of its quarks.

The densities have the shape x f(x) = N x^a (1 - x)^b at the scale of the Z. Valence quarks obey the
sum rules of the proton's quark numbers. The sea is about that of a global fit near x = 0.01, where
a Z is produced at the LHC. There is no evolution with the scale.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import beta

from problems.interfaces.types import Array

Z_MASS_GEV, Z_WIDTH_GEV = 91.1876, 2.4952
SIN2_WEAK = 0.2312
"""Squared sine of the effective weak mixing angle (Particle Data Group 2024)."""

SEA_SIZE, SEA_POWER, SEA_FALL = 0.12, -0.25, 7.0
VALENCE_POWER = 0.5


@dataclass(frozen=True)
class Quark:
    """One flavour.

    Args:
        sea: Density of the sea over that of the lightest flavour.
        valence: Number of valence quarks in a proton.
        valence_fall: Power of 1 - x of the valence density.
    """

    sea: float
    valence: int = 0
    valence_fall: float = 0.0


@dataclass(frozen=True)
class QuarkKind:
    """The flavours with the same couplings.

    Args:
        charge: Electric charge [e].
        isospin: Third component of the weak isospin.
        flavours: These flavours.
    """

    charge: float
    isospin: float
    flavours: tuple[Quark, ...]


UP = QuarkKind(2 / 3, 0.5, (Quark(1.0, 2, 3.0), Quark(0.5)))
"""Up and charm."""

DOWN = QuarkKind(-1 / 3, -0.5, (Quark(1.0, 1, 4.0), Quark(0.8), Quark(0.35)))
"""Down, strange and bottom."""


def sea_density(x: Array) -> Array:
    """Return the momentum density x f(x) (n,) of the lightest antiquarks.

    Args:
        x: Fractions of the proton's momentum (n,).
    """
    return SEA_SIZE * x**SEA_POWER * (1.0 - x) ** SEA_FALL


def valence_density(quark: Quark, x: Array) -> Array | float:
    """Return the momentum density x f(x) (n,) of valence quarks, 0 if the flavour has none.

    Args:
        quark: The flavour.
        x: Fractions of the proton's momentum (n,).
    """
    if not quark.valence:
        return 0.0
    norm = quark.valence / beta(VALENCE_POWER, quark.valence_fall + 1.0)
    return norm * x**VALENCE_POWER * (1.0 - x) ** quark.valence_fall


def luminosities(kind: QuarkKind, first: Array, second: Array) -> tuple[Array, Array]:
    """Return x f(x) of the quark times that of the antiquark (n,), the quark in proton 1 or in 2.

    Args:
        kind: The flavours that are summed.
        first: Fraction (n,) of the momentum of proton 1.
        second: Fraction (n,) of the momentum of proton 2.
    """
    sea_first, sea_second = sea_density(first), sea_density(second)
    from_first, from_second = np.zeros_like(first), np.zeros_like(first)
    for quark in kind.flavours:
        both = quark.sea**2 * sea_first * sea_second
        from_first += both + quark.sea * valence_density(quark, first) * sea_second
        from_second += both + quark.sea * valence_density(quark, second) * sea_first
    return from_first, from_second


def helicity_strengths(kind: QuarkKind, mass: Array) -> tuple[Array, Array]:
    """Return squared amplitudes of q qbar -> l- l+ with equal and with opposite helicities (n,).

    The photon and the Z interfere. With equal helicities of quark and lepton the angle between
    them is distributed as (1 + cos)^2, with opposite ones as (1 - cos)^2. Source: Ellis, Stirling &
    Webber, QCD and Collider Physics (1996), section 9.

    Args:
        kind: The quarks.
        mass: Mass of the lepton pair (n,) [GeV].
    """
    propagator = mass**2 / (mass**2 - Z_MASS_GEV**2 + 1j * Z_MASS_GEV * Z_WIDTH_GEV)
    left_quark, right_quark = _z_couplings(kind.charge, kind.isospin)
    left_lepton, right_lepton = _z_couplings(-1.0, -0.5)

    def strength(quark_coupling: float, lepton_coupling: float) -> Array:
        return np.abs(-kind.charge + quark_coupling * lepton_coupling * propagator) ** 2

    equal = strength(left_quark, left_lepton) + strength(right_quark, right_lepton)
    opposite = strength(left_quark, right_lepton) + strength(right_quark, left_lepton)
    return equal, opposite


def _z_couplings(charge: float, isospin: float) -> tuple[float, float]:
    """Return the left-handed and the right-handed coupling to the Z in units of e."""
    norm = float(np.sqrt(SIN2_WEAK * (1.0 - SIN2_WEAK)))
    return (isospin - charge * SIN2_WEAK) / norm, -charge * SIN2_WEAK / norm
