"""The reference by Pythia 8: p p -> gamma*/Z -> mu- mu+ in as much detail as is requested.

The collision energy differs from event to event, so Pythia is initialised at the largest one, and a
beam shape takes momentum from the beams. Source: Bierlich et al., SciPost Phys. Codebases 8 (2022).
"""

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Mapping, Sequence
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

COMMON_SETTINGS = ("Print:quiet = on", "Beams:allowMomentumSpread = on")

MUON_PAIR_SETTINGS = (
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


def pythia_module() -> Any:
    """Return the module of Pythia 8.

    Raises:
        UserError: It isn't installed.
    """
    try:
        return importlib.import_module(PACKAGE)
    except ImportError:
        raise UserError(
            "Pythia 8 is not installed; install it with: pip install -c constraints.txt "
            "-e '.[events]'"
        ) from None


@dataclass(frozen=True)
class PythiaEvents(Collisions):
    """Muon pairs of Pythia 8, measured with Gaussian errors; all events have weight 1.

    Another process replaces `SETTINGS`, `OBJECTS` and the methods `plan`, `begin`, `finish`, `read`
    and `detect`.

    Args:
        level: How much of a collision is generated.
        energies: Range of the energy of the collisions, which is drawn uniformly [TeV].
    """

    IDENTITY: ClassVar[str] = "events/pythia"
    SETTINGS: ClassVar[tuple[str, ...]] = MUON_PAIR_SETTINGS
    OBJECTS: ClassVar[int] = 2

    level: Level = Level.RADIATION
    energies: tuple[float, float] = LHC_ENERGIES_TEV

    def versions(self) -> Mapping[str, str]:
        """Return the version of Pythia."""
        return {PACKAGE: importlib.metadata.version(PACKAGE)}

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:
        """Return measured events (b, ...), NaN where an event fails.

        Raises:
            UserError: Pythia isn't installed, or can't be initialised.
        """
        return self.detect(self.generate(inputs, rng), rng)

    def generate(self, inputs: Batch, rng: np.random.Generator, *, read: bool = True) -> Array:
        """Return the true momenta of the objects of each event (b, OBJECTS, 4) [GeV].

        Args:
            inputs: Energies.
            rng: Generator that seeds Pythia.
            read: Whether particles are read; without it all momenta are those of the last event.

        Raises:
            UserError: Pythia isn't installed, or can't be initialised.
        """
        largest = self.energies[1]
        pythia, beams = _generator(self.SETTINGS, self.level, largest)
        plan = self.plan(len(inputs["energy"]), rng)
        # The random numbers of an event depend on the event before: begin alike.
        pythia.rndm.init(FIRST_SEED)
        beams.offset = 0.0
        self.begin(pythia, 0)
        pythia.next()
        pythia.rndm.init(int(rng.integers(1, LARGEST_SEED)))
        momenta = np.full((len(plan), self.OBJECTS, 4), np.nan)
        # Half of the difference of energies is that of each proton.
        offsets = 0.5 * GEV_PER_TEV * (np.asarray(inputs["energy"], float) - largest)
        found: Any = None
        for number, offset in enumerate(offsets.tolist()):
            beams.offset = offset
            self.begin(pythia, plan[number])
            if pythia.next():
                found = self.finish(pythia)
                if read:
                    momenta[number] = self.read(pythia, found)
        return momenta if read else np.broadcast_to(self.read(pythia, found), momenta.shape)

    def plan(self, n: int, rng: np.random.Generator) -> Sequence[int]:  # noqa: ARG002 - of others
        """Return the channel of each event (n,); muon pairs have one only.

        Args:
            n: Number of events.
            rng: Generator of random numbers.
        """
        return [0] * n

    def begin(self, pythia: Any, channel: int) -> None:
        """Prepare Pythia for an event.

        Args:
            pythia: The generator.
            channel: What `plan` chose.
        """

    def finish(self, pythia: Any) -> Any:  # noqa: ARG002 - of others
        """Return what is computed of an event beside `next()`, and timed with it; here nothing.

        Args:
            pythia: The generator after an event.
        """
        return None

    def read(self, pythia: Any, found: Any) -> Array:  # noqa: ARG002 - of others
        """Return the true momenta of the objects of an event (OBJECTS, 4) [GeV].

        Args:
            pythia: The generator after an event.
            found: What `finish` returned.
        """
        return np.array(_muons(pythia, self.level))

    def detect(self, momenta: Array, rng: np.random.Generator) -> Batch:
        """Return measured events (b, ...).

        Args:
            momenta: True momenta (b, OBJECTS, 4) [GeV].
            rng: Generator of the errors.
        """
        return {"leptons": measured(momenta, rng)}


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
def _generator(settings: tuple[str, ...], level: Level, largest_tev: float) -> Generator:
    """Return Pythia initialised at the largest energy; it takes a second, so a process keeps it."""
    pythia8 = pythia_module()
    pythia, beams = pythia8.Pythia("", False), _beam_shape(pythia8)
    pythia.setBeamShapePtr(beams)
    energy = f"Beams:eCM = {GEV_PER_TEV * largest_tev}"
    for line in (*COMMON_SETTINGS, *settings, energy, *SWITCHES[level]):
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
