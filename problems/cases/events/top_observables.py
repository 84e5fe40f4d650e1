"""Observables of pairs of tops as a detector measures them: missing momentum, jets and muons."""

from collections.abc import Mapping

import numpy as np

from problems.cases.events.observables import (
    AZIMUTH,
    PSEUDORAPIDITY,
    TINY_GEV,
    TRANSVERSE,
    collider_coordinates,
    masses,
    wrapped,
)
from problems.cases.events.schema import EventSchema, are_off_shell
from problems.interfaces.types import Array, Batch, Field

JETS = 4

SMALLEST_JET_GEV = 30.0
"""Smallest measured transverse momentum of a jet."""

LARGEST_JET_PSEUDORAPIDITY = 2.5


def are_present(momenta: Array) -> Array:
    """Return which objects (...) are there: absent ones have momenta of zero.

    Args:
        momenta: Momenta (..., 4) [GeV].
    """
    return momenta[..., 3] > 0.0


def first_muon(leptons: Array) -> Array:
    """Return the momentum (b, 4) [GeV] of the negative muon, or of the positive one without it.

    Args:
        leptons: Momenta of both muons (b, 2, 4) [GeV].
    """
    return np.where(are_present(leptons[:, 0])[:, None], leptons[:, 0], leptons[:, 1])


def top_observables(events: Batch) -> Mapping[str, Array]:
    """Return the raw and the derived observables (b,) of each event by name, 0 for absent objects.

    Args:
        events: Missing momentum (b, 2), jets (b, 4, 4) and muons (b, 2, 4) [GeV].
    """
    missing, jets, leptons = (np.asarray(events[k]) for k in ("missing", "jets", "leptons"))
    found: dict[str, Array] = {
        "missing_pt": np.hypot(missing[:, 0], missing[:, 1]),
        "missing_phi": np.arctan2(missing[:, 1], missing[:, 0]),
    }
    objects = {
        **{f"jet{place + 1}": jets[:, place] for place in range(JETS)},
        "minus": leptons[:, 0],
        "plus": leptons[:, 1],
    }
    for name, momenta in objects.items():
        present = are_present(momenta)
        coordinates = np.where(present[:, None], collider_coordinates(momenta), 0.0)
        found[f"pt_{name}"] = coordinates[:, TRANSVERSE]
        found[f"eta_{name}"] = coordinates[:, PSEUDORAPIDITY]
        found[f"phi_{name}"] = coordinates[:, AZIMUTH]
        if name.startswith("jet"):
            found[f"mass_{name}"] = masses(momenta)
    return {**found, **_derived(missing, jets, leptons)}


def _derived(missing: Array, jets: Array, leptons: Array) -> Mapping[str, Array]:
    """Return observables of several objects (b,) by name."""
    muon, missing_pt = first_muon(leptons), np.hypot(missing[:, 0], missing[:, 1])
    muon_pt = np.hypot(muon[:, 0], muon[:, 1])
    product = muon_pt * missing_pt - np.sum(muon[:, :2] * missing, axis=1)
    visible = jets.sum(axis=1) + leptons.sum(axis=1)
    pairs = [(i, j) for i in range(JETS) for j in range(i)]
    have_both = np.stack(
        [are_present(jets[:, i]) & are_present(jets[:, j]) for i, j in pairs], axis=1
    )
    pair_masses = np.stack([masses(jets[:, i] + jets[:, j]) for i, j in pairs], axis=1)
    smallest = np.min(np.where(have_both, pair_masses, np.inf), axis=1)
    # The Z component of visible momenta isn't conserved, but the transverse one is.
    return {
        "jets": are_present(jets).sum(axis=1).astype(float),
        "muons": are_present(leptons).sum(axis=1).astype(float),
        "scalar_sum": np.hypot(jets[..., 0], jets[..., 1]).sum(axis=1),
        "transverse_mass": np.sqrt(np.maximum(2.0 * product, 0.0)),
        "visible_mass": masses(visible),
        "visible_rapidity": np.arctanh(
            np.clip(visible[:, 2] / np.maximum(visible[:, 3], TINY_GEV), -1.0 + 1e-9, 1.0 - 1e-9)
        ),
        "imbalance": np.hypot(visible[:, 0] + missing[:, 0], visible[:, 1] + missing[:, 1]),
        "smallest_jet_mass": np.where(np.isfinite(smallest), smallest, 0.0),
        "three_jet_mass": masses(jets[:, :3].sum(axis=1)),
        "muon_jet_mass": np.where(are_present(jets[:, 0]), masses(muon + jets[:, 0]), 0.0),
        "delta_phi_muon": np.abs(wrapped(_azimuth(muon) - _azimuth(missing))),
    }


def _azimuth(momenta: Array) -> Array:
    return np.arctan2(momenta[:, 1], momenta[:, 0])


def top_invariants(events: Batch) -> Array:
    """Return raw observables (b, 8) that don't change when an event is turned around the beam.

    They are the missing transverse momentum, those of jets and muons [GeV], and the azimuth
    between the first muon and the missing momentum [rad]. All 26 would be too many for distances to
    have a meaning, and for a tree of neighbours.
    """
    found = top_observables(events)
    names = ("missing_pt", *(f"pt_jet{place + 1}" for place in range(JETS)), "pt_minus", "pt_plus")
    return np.stack([*(found[name] for name in names), found["delta_phi_muon"]], axis=1)


def is_unphysical_top(events: Batch) -> Array:
    """Return which events (b,) can't be: muons off shell or absent, jets in disorder or cut."""
    jets, leptons = np.asarray(events["jets"], float), np.asarray(events["leptons"], float)
    jets_there, muons_there = are_present(jets), are_present(leptons)
    coordinates = collider_coordinates(jets)
    transverse = np.where(jets_there, coordinates[..., TRANSVERSE], 0.0)
    cut = (transverse < SMALLEST_JET_GEV * (1.0 - 1e-6)) | (
        np.abs(coordinates[..., PSEUDORAPIDITY]) > LARGEST_JET_PSEUDORAPIDITY * (1.0 + 1e-6)
    )
    return (
        np.any(are_off_shell(leptons) & muons_there, axis=1)
        | ~np.any(muons_there, axis=1)
        | np.any(cut & jets_there, axis=1)
        | np.any(np.diff(transverse, axis=1) > 1e-6 * transverse[:, :-1], axis=1)
    )


TOP_PAIRS = EventSchema(
    outputs=(
        Field("missing", (2,), "GeV", axes=("component",), description="missing momentum: px, py"),
        Field(
            "jets",
            (JETS, 4),
            "GeV",
            axes=("jet", "momentum"),
            description="px, py, pz and E of the hardest jets, hardest first; 0 without a jet",
        ),
        Field(
            "leptons",
            (2, 4),
            "GeV",
            axes=("lepton", "momentum"),
            description="px, py, pz and E of the negative and of the positive muon; 0 without it",
        ),
    ),
    momenta=("jets", "leptons"),
    observables=top_observables,
    invariants=top_invariants,
    is_unphysical=is_unphysical_top,
    azimuths=("missing_phi", "phi_jet1"),
    pictured=("missing_pt", "pt_jet1", "jets", "scalar_sum", "transverse_mass", "three_jet_mass"),
)
"""t tbar with at least one muon: 26 numbers."""
