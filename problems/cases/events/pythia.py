"""The reference by Pythia 8: p p -> gamma*/Z -> mu- mu+ in as much detail as is requested.

The collision energy differs from event to event, so Pythia is initialised at the largest one, and a
beam shape takes momentum from the beams. Source: Bierlich et al., SciPost Phys. Codebases 8 (2022).
"""

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import numpy as np

from problems.cases.events.drell_yan import MASS_WINDOW_GEV
from problems.cases.events.simulation import LHC_ENERGIES_TEV, Collisions, measured
from problems.errors import UserError
from problems.interfaces.types import Array, Batch

PACKAGE = "pythia8mc"
FIRST_SEED, LARGEST_SEED = 1, 900_000_000
Z_LINE = 5
"""Line of the gamma*/Z in both records of Pythia; its muons follow it in that of the process."""

GEV_PER_TEV = 1000.0


class Level(StrEnum):
    """How much of a collision is generated; each level includes those before it."""

    PROCESS = "hard process"
    RADIATION = "radiation"
    INTERACTIONS = "multiple interactions"
    HADRONS = "hadrons"


SWITCHES: Mapping[Level, tuple[str, ...]] = {
    Level.PROCESS: ("PartonLevel:all = off",),
    Level.RADIATION: ("PartonLevel:MPI = off", "HadronLevel:all = off"),
    Level.INTERACTIONS: ("HadronLevel:all = off",),
    Level.HADRONS: (),
}

SETTINGS = (
    "Print:quiet = on",
    "Beams:allowMomentumSpread = on",
    "WeakSingleBoson:ffbar2gmZ = on",
    "23:onMode = off",
    "23:onIfAny = 13",
    f"PhaseSpace:mHatMin = {MASS_WINDOW_GEV[0]}",
    f"PhaseSpace:mHatMax = {MASS_WINDOW_GEV[1]}",
)


class Generator(NamedTuple):
    """An initialised Pythia, and the beam shape that sets the energy of its next event."""

    pythia: Any
    beams: Any


def pythia_is_installed() -> bool:
    """Return whether Pythia 8 can be imported."""
    return importlib.util.find_spec(PACKAGE) is not None


@dataclass(frozen=True)
class PythiaEvents(Collisions):
    """Muon pairs of Pythia 8, measured with Gaussian errors; all events have weight 1.

    Args:
        level: How much of a collision is generated.
        energies: Range of the energy of the collisions, which is drawn uniformly [TeV].
    """

    IDENTITY: ClassVar[str] = "events/pythia"

    level: Level = Level.RADIATION
    energies: tuple[float, float] = LHC_ENERGIES_TEV

    def versions(self) -> Mapping[str, str]:
        """Return the version of Pythia."""
        return {PACKAGE: importlib.metadata.version(PACKAGE)}

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:
        """Return the measured momenta of both muons (b, 2, 4) [GeV]; NaN where an event fails.

        Raises:
            UserError: Pythia isn't installed, or can't be initialised.
        """
        momenta = self.generate(inputs, rng)
        return {"leptons": measured(momenta, rng)}

    def generate(self, inputs: Batch, rng: np.random.Generator, *, read: bool = True) -> Array:
        """Return the true momenta of both muons (b, 2, 4) [GeV].

        Args:
            inputs: Energies.
            rng: Generator that seeds Pythia.
            read: Whether particles are read; without it all momenta are those of the last event.

        Raises:
            UserError: Pythia isn't installed, or can't be initialised.
        """
        largest = self.energies[1]
        pythia, beams = _generator(self.level, largest)
        # The random numbers of an event depend on the energy of the event before: begin alike.
        pythia.rndm.init(FIRST_SEED)
        beams.offset = 0.0
        pythia.next()
        pythia.rndm.init(int(rng.integers(1, LARGEST_SEED)))
        momenta = np.full((len(inputs["energy"]), 2, 4), np.nan)
        # Half of the difference of energies is that of each proton.
        offsets = 0.5 * GEV_PER_TEV * (np.asarray(inputs["energy"], float) - largest)
        for number, offset in enumerate(offsets.tolist()):
            beams.offset = offset
            if pythia.next() and read:
                momenta[number] = _muons(pythia, self.level)
        return momenta if read else np.broadcast_to(_muons(pythia, self.level), momenta.shape)


@dataclass(frozen=True)
class GeneratorAlone(PythiaEvents):
    """The calls of Pythia without Python reading particles: what the reference is timed by.

    Its events are copies of the last one of a call.
    """

    IDENTITY: ClassVar[str] = "events/pythia-alone"

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:
        """Return the momenta of the last event's muons for each event (b, 2, 4) [GeV].

        Raises:
            UserError: Pythia isn't installed, or can't be initialised.
        """
        return {"leptons": self.generate(inputs, rng, read=False)}


@lru_cache(maxsize=4)
def _generator(level: Level, largest_tev: float) -> Generator:
    """Return Pythia initialised at the largest energy; it takes a second, so a process keeps it."""
    try:
        pythia8: Any = importlib.import_module(PACKAGE)
    except ImportError:
        raise UserError(
            "Pythia 8 is not installed; install it with: pip install -c constraints.txt "
            "-e '.[events]'"
        ) from None
    pythia, beams = pythia8.Pythia("", False), _beam_shape(pythia8)
    pythia.setBeamShapePtr(beams)
    for line in (*SETTINGS, f"Beams:eCM = {GEV_PER_TEV * largest_tev}", *SWITCHES[level]):
        pythia.readString(line)
    if not pythia.init():
        raise UserError(
            "Pythia 8 can't be initialised; set PYTHIA8DATA to its folder share/Pythia8/xmldoc"
        )
    return Generator(pythia, beams)


def _beam_shape(pythia8: Any) -> Any:
    """Return a beam shape whose attribute `offset` is added to the momentum of each beam [GeV]."""

    class EnergyOfEvent(pythia8.BeamShape):
        offset = 0.0

        def pick(self) -> None:
            self.deltaPxA = self.deltaPyA = self.deltaPxB = self.deltaPyB = 0.0
            self.deltaPzA, self.deltaPzB = self.offset, -self.offset
            self.vertexX = self.vertexY = self.vertexZ = self.vertexT = 0.0

    return EnergyOfEvent()


def _muons(pythia: Any, level: Level) -> list[list[float]]:
    """Return px, py, pz and E of the negative and of the positive muon [GeV], after radiation."""
    if level is Level.PROCESS:
        record = pythia.process
        muons = [record[Z_LINE + 1], record[Z_LINE + 2]]
    else:
        record = pythia.event
        boson = record[record[Z_LINE].iBotCopyId()]
        muons = [record[record[k].iBotCopyId()] for k in (boson.daughter1(), boson.daughter2())]
    muons.sort(key=lambda muon: -muon.id())
    return [[muon.px(), muon.py(), muon.pz(), muon.e()] for muon in muons]
