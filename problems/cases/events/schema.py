"""What scores and encodings need to know of a process: one description for all processes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from problems.cases.events.observables import (
    MUON_MASS_GEV,
    invariant_observables,
    observables,
)
from problems.interfaces.types import Array, Batch, Field

SHELL_TOLERANCE = 1e-6
"""Largest difference of E^2 and p^2 + m^2, over E^2."""


@dataclass(frozen=True)
class EventSchema:
    """The measured objects of a process.

    Args:
        outputs: Fields of measured events.
        momenta: Names of the fields with momenta (b, objects, 4); absent objects are all zero.
        observables: Function from events to the raw and derived observables (b,) by name.
        invariants: Function from events to raw observables (b, k) that don't change when an event
            is turned around the beam.
        is_unphysical: Function from events to whether one can't be (b,).
        azimuths: Observables whose joint frequencies are compared.
        pictured: Observables whose distributions are drawn.
    """

    outputs: tuple[Field, ...]
    momenta: tuple[str, ...]
    observables: Callable[[Batch], Mapping[str, Array]]
    invariants: Callable[[Batch], Array]
    is_unphysical: Callable[[Batch], Array]
    azimuths: tuple[str, str]
    pictured: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all observables, the raw ones first."""
        blank = {field.name: np.ones((1, *field.shape)) for field in self.outputs}
        return tuple(self.observables(blank))


def are_off_shell(muons: Array) -> Array:
    """Return which muons (...) are off their mass shell.

    Args:
        muons: Momenta (..., 4) [GeV].
    """
    energy2 = muons[..., 3] ** 2
    shell = np.sum(muons[..., :3] ** 2, axis=-1) + MUON_MASS_GEV**2
    off = np.abs(energy2 - shell) > SHELL_TOLERANCE * energy2
    return off | (muons[..., 3] <= 0.0)


def _muon_observables(events: Batch) -> Mapping[str, Array]:
    return observables(events["leptons"])


def _muon_invariants(events: Batch) -> Array:
    return invariant_observables(events["leptons"])


def _has_muon_off_shell(events: Batch) -> Array:
    return np.any(are_off_shell(events["leptons"]), axis=1)


MUON_PAIRS = EventSchema(
    outputs=(
        Field(
            "leptons",
            (2, 4),
            "GeV",
            axes=("lepton", "momentum"),
            description="px, py, pz and E of the negative and of the positive muon, as measured",
        ),
    ),
    momenta=("leptons",),
    observables=_muon_observables,
    invariants=_muon_invariants,
    is_unphysical=_has_muon_off_shell,
    azimuths=("phi_minus", "phi_plus"),
    pictured=("mass", "pt_minus", "pair_pt", "pair_rapidity", "cos_star"),
)
"""gamma*/Z -> mu- mu+."""
