"""The reference: collisions of protons -> two measured muons from a photon or a Z."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.cases.events.drell_yan import draw_pairs, lepton_momenta
from problems.cases.events.observables import (
    MUON_MASS_GEV,
    TRANSVERSE,
    collider_coordinates,
    four_momenta,
)
from problems.cases.events.schema import MUON_PAIRS, EventSchema
from problems.interfaces.types import Array, Batch, Field

LHC_ENERGIES_TEV = (7.0, 14.0)
"""Range of the energies of collisions from the first run of the LHC to its design."""

INPUTS = (Field("energy", (), "TeV", valid=(1.0, 100.0), description="energy of the collision"),)

RESOLUTION = 0.015
"""Relative standard deviation of a measured transverse momentum."""

ANGLE_RESOLUTION = 1e-3
"""Standard deviation of a measured pseudorapidity, and of an azimuth [rad]."""


class Collisions:
    """Inputs and outputs of every generator, which draws energies (n,) uniformly [TeV]."""

    schema: ClassVar[EventSchema] = MUON_PAIRS
    energies: tuple[float, float]

    @property
    def inputs(self) -> tuple[Field, ...]:
        """The energy of the collision."""
        return INPUTS

    @property
    def outputs(self) -> tuple[Field, ...]:
        """The measured objects."""
        return self.schema.outputs

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        """Return the energies of n collisions."""
        return {"energy": rng.uniform(*self.energies, n)}


@dataclass(frozen=True)
class LeadingOrderEvents(Collisions):
    """Muon pairs of the leading-order generator, measured with Gaussian errors.

    Args:
        energies: Range of the energy of the collisions, which is drawn uniformly [TeV].
    """

    IDENTITY: ClassVar[str] = "events/leading-order"

    energies: tuple[float, float] = LHC_ENERGIES_TEV

    def versions(self) -> Mapping[str, str]:
        """Return the version of NumPy, whose random numbers make the events."""
        return {"numpy": np.__version__}

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:
        """Return the measured momenta of both muons (b, 2, 4) [GeV]."""
        pairs = draw_pairs(1000.0 * np.asarray(inputs["energy"], float), rng)
        return {"leptons": measured(lepton_momenta(pairs, MUON_MASS_GEV, rng), rng)}


def measured(momenta: Array, rng: np.random.Generator) -> Array:
    """Return momenta (..., 4) as measured: with errors, and the energy of the mass shell [GeV].

    Args:
        momenta: True momenta (..., 4) [GeV].
        rng: Generator of random numbers.
    """
    coordinates = collider_coordinates(momenta)
    error = rng.standard_normal(coordinates.shape)
    smeared = coordinates + ANGLE_RESOLUTION * error
    # The relative error is that of a logarithm, so that no transverse momentum becomes negative.
    smeared[..., TRANSVERSE] = coordinates[..., TRANSVERSE] * np.exp(
        RESOLUTION * error[..., TRANSVERSE]
    )
    return four_momenta(smeared)
