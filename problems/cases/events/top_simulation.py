"""The reference of pairs of tops: collisions of protons -> missing momentum, jets and muons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from problems.cases.events.observables import (
    AZIMUTH,
    PSEUDORAPIDITY,
    TRANSVERSE,
    collider_coordinates,
    four_momenta,
    masses,
)
from problems.cases.events.pythia import Level, PythiaEvents, pythia_module
from problems.cases.events.schema import EventSchema
from problems.cases.events.simulation import LeadingOrderEvents, measured
from problems.cases.events.top_generator import (
    BOTH,
    MINUS,
    PLUS,
    decay_top,
    draw_channels,
    draw_top_pairs,
)
from problems.cases.events.top_observables import (
    JETS,
    LARGEST_JET_PSEUDORAPIDITY,
    SMALLEST_JET_GEV,
    TOP_PAIRS,
    are_present,
)
from problems.interfaces.types import Array, Batch

TRUE_JETS = 8
"""Hardest true jets that are measured: errors change their order."""

MISSING, LEPTONS, FIRST_JET = 0, slice(1, 3), 3
OBJECTS = FIRST_JET + TRUE_JETS
"""Rows of true momenta: the neutrinos together, the negative and positive muon, jets."""

MISSING_ERROR_GEV = 10.0
"""Standard deviation of each component of the measured missing momentum."""

JET_NOISE, JET_CONSTANT = 0.8, 0.04
"""Relative error of the transverse momentum of a jet: noise / sqrt(pT in GeV), and a constant."""

JET_ANGLE_ERROR, JET_MASS_ERROR, SMALLEST_JET_MASS_GEV = 0.02, 0.1, 0.1
"""Errors of pseudorapidity and azimuth [rad] and of the mass (relative); partons get this mass."""

JET_RADIUS, SMALLEST_TRUE_JET_GEV, LARGEST_PSEUDORAPIDITY = 0.4, 20.0, 4.9
"""Of the anti-kT algorithm, and how far from the beam particles are seen."""

DECAYS: Mapping[int, tuple[str, ...]] = {
    PLUS: ("24:onMode = off", "24:onPosIfAny = 13", "24:onNegIfAny = 1 2 3 4 5"),
    MINUS: ("24:onMode = off", "24:onNegIfAny = 13", "24:onPosIfAny = 1 2 3 4 5"),
    BOTH: ("24:onMode = off", "24:onIfAny = 13"),
}
"""Settings of Pythia by which W bosons decay to muons or quarks."""


def measured_top_pairs(momenta: Array, rng: np.random.Generator) -> Batch:
    """Return missing momentum (b, 2), jets (b, 4, 4) and muons (b, 2, 4) as measured [GeV].

    Jets overlap no muon, and are the hardest above the cuts, hardest first.

    Args:
        momenta: True momenta (b, OBJECTS, 4) [GeV], 0 for absent objects.
        rng: Generator of random numbers.
    """
    missing = momenta[:, MISSING, :2] + rng.normal(0.0, MISSING_ERROR_GEV, (len(momenta), 2))
    true_leptons, true_jets = momenta[:, LEPTONS], momenta[:, FIRST_JET:]
    failed = ~np.isfinite(momenta).all(axis=(1, 2))
    leptons = np.where(are_present(true_leptons)[..., None], measured(true_leptons, rng), 0.0)
    jets = np.where(are_present(true_jets)[..., None], _measured_jets(true_jets, rng), 0.0)
    coordinates = collider_coordinates(jets)
    transverse = np.where(
        are_present(jets)
        & (np.abs(coordinates[..., PSEUDORAPIDITY]) < LARGEST_JET_PSEUDORAPIDITY)
        & (coordinates[..., TRANSVERSE] > SMALLEST_JET_GEV)
        & ~_overlap(true_jets, true_leptons),
        coordinates[..., TRANSVERSE],
        0.0,
    )
    hardest = np.argsort(-transverse, axis=1)[:, :JETS, None]
    kept = np.take_along_axis(transverse, hardest[..., 0], axis=1)[..., None] > 0.0
    jets = np.where(kept, np.take_along_axis(jets, hardest, axis=1), 0.0)
    outputs = {"missing": missing, "jets": jets, "leptons": leptons}
    for values in outputs.values():
        values[failed] = np.nan
    return outputs


def _measured_jets(jets: Array, rng: np.random.Generator) -> Array:
    """Return jets (..., 4) [GeV] with errors of momentum, direction and mass."""
    coordinates = collider_coordinates(jets)
    error = rng.standard_normal((4, *jets.shape[:-1]))
    transverse = coordinates[..., TRANSVERSE]
    relative = np.hypot(JET_NOISE / np.sqrt(np.maximum(transverse, 1.0)), JET_CONSTANT)
    smeared = np.stack(
        [
            transverse * np.exp(relative * error[0]),
            coordinates[..., PSEUDORAPIDITY] + JET_ANGLE_ERROR * error[1],
            coordinates[..., AZIMUTH] + JET_ANGLE_ERROR * error[2],
        ],
        axis=-1,
    )
    mass = np.maximum(masses(jets), SMALLEST_JET_MASS_GEV) * np.exp(JET_MASS_ERROR * error[3])
    return four_momenta(smeared, mass)


def _overlap(jets: Array, leptons: Array) -> Array:
    """Return which jets (b, k) contain a muon."""
    first = collider_coordinates(jets)[:, :, None]
    second = collider_coordinates(leptons)[:, None]
    azimuth = (first[..., AZIMUTH] - second[..., AZIMUTH] + np.pi) % (2.0 * np.pi) - np.pi
    distance = np.hypot(first[..., PSEUDORAPIDITY] - second[..., PSEUDORAPIDITY], azimuth)
    return np.any((distance < JET_RADIUS) & are_present(leptons)[:, None], axis=2)


@dataclass(frozen=True)
class LeadingOrderTops(LeadingOrderEvents):
    """Pairs of tops of the leading-order generator; each quark is a jet."""

    IDENTITY: ClassVar[str] = "events/leading-order-tops"
    schema: ClassVar[EventSchema] = TOP_PAIRS

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:
        """Return measured events: missing momentum, jets and muons [GeV]."""
        energy = 1000.0 * np.asarray(inputs["energy"], float)
        return measured_top_pairs(true_top_pairs(energy, rng), rng)


def true_top_pairs(energy: Array, rng: np.random.Generator) -> Array:
    """Return the true momenta of leading-order events (n, OBJECTS, 4) [GeV].

    Args:
        energy: Energy of both protons together (n,) [GeV].
        rng: Generator of random numbers.
    """
    tops, mass, channel = draw_top_pairs(energy, rng)
    momenta = np.zeros((len(energy), OBJECTS, 4))
    # The top decays to W+, whose muon is the positive one; rows of jets are given away in turn.
    for place, (other, row) in enumerate(((MINUS, LEPTONS.start + 1), (PLUS, LEPTONS.start))):
        is_muon = channel != other
        products, _ = decay_top(tops[:, place], mass[:, place], is_muon, rng)
        jet = FIRST_JET + 3 * place
        momenta[:, jet] = products[:, 0]
        momenta[is_muon, row] = products[is_muon, 1]
        momenta[is_muon, MISSING] += products[is_muon, 2]
        momenta[~is_muon, jet + 1 : jet + 3] = products[~is_muon, 1:]
    return momenta


@dataclass(frozen=True)
class PythiaTops(PythiaEvents):
    """Pairs of tops of Pythia 8, with jets of the anti-kT algorithm."""

    IDENTITY: ClassVar[str] = "events/pythia-tops"
    schema: ClassVar[EventSchema] = TOP_PAIRS
    SETTINGS: ClassVar[tuple[str, ...]] = ("Top:gg2ttbar = on", "Top:qqbar2ttbar = on")
    OBJECTS: ClassVar[int] = OBJECTS

    def plan(self, n: int, rng: np.random.Generator) -> Sequence[int]:
        """Return which W bosons of each event decay to a muon (n,)."""
        return draw_channels(n, rng).tolist()

    def begin(self, pythia: Any, channel: int) -> None:
        """Set the decays of W bosons."""
        for line in DECAYS[channel]:
            pythia.particleData.readString(line)

    def finish(self, pythia: Any) -> Any:
        """Return the jets, which are timed with the event."""
        # By FastJet, the default: with hadrons it takes 0.4 ms, and Pythia's own clustering 11.
        jets = pythia_module().SlowJet(
            -1, JET_RADIUS, SMALLEST_TRUE_JET_GEV, LARGEST_PSEUDORAPIDITY, 2, 2
        )
        jets.analyze(pythia.process if self.level is Level.PROCESS else pythia.event)
        return jets

    def read(self, pythia: Any, found: Any) -> Array:
        """Return the true momenta of an event (OBJECTS, 4) [GeV]."""
        momenta = np.zeros((OBJECTS, 4))
        hard = pythia.process
        record = hard if self.level is Level.PROCESS else pythia.event
        for place in range(hard.size()):
            line = hard[place]
            if line.idAbs() not in (MUON, NEUTRINO) or hard[line.mother1()].idAbs() != W_BOSON:
                continue
            # Lines of the process are the first of the event, whose copies follow radiation.
            last = line if record is hard else record[_line_of(record, line.id())]
            row = MISSING if line.idAbs() == NEUTRINO else LEPTONS.start + int(line.id() < 0)
            momenta[row] += (last.px(), last.py(), last.pz(), last.e())
        for place in range(min(found.sizeJet(), TRUE_JETS)):
            jet = found.p(place)
            momenta[FIRST_JET + place] = jet.px(), jet.py(), jet.pz(), jet.e()
        return momenta

    def detect(self, momenta: Array, rng: np.random.Generator) -> Batch:
        """Return missing momentum, jets and muons as measured [GeV]."""
        return measured_top_pairs(momenta, rng)


MUON, NEUTRINO, W_BOSON = 13, 14, 24
"""Codes of the Particle Data Group."""


def _line_of(record: Any, code: int) -> int:
    """Return the line of the final copy of a decay product of a W boson."""
    for place in range(record.size()):
        line = record[place]
        if line.id() == code and record[line.mother1()].idAbs() == W_BOSON:
            return line.iBotCopyId()
    raise LookupError(f"the event has no particle {code} from a W boson")


@dataclass(frozen=True)
class TopsAlone(PythiaTops):
    """Pythia and its jets without Python reading particles: what the reference is timed by."""

    IDENTITY: ClassVar[str] = "events/pythia-tops-alone"

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:
        """Return the last event, measured, for each energy.

        Raises:
            UserError: Pythia isn't installed, or can't be initialised.
        """
        last = self.detect(self.generate(inputs, rng, read=False)[-1:].copy(), rng)
        n = len(inputs["energy"])
        return {
            name: np.broadcast_to(values, (n, *values.shape[1:])) for name, values in last.items()
        }
