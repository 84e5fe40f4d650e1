"""The suite of benchmarks/emulators.py: twelve simulators from published equations."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from problems import (
    Batch,
    Calibration,
    Field,
    FlatEncoding,
    NormalisedError,
    Problem,
    RollOutEncoding,
    Samples,
    Simulation,
)
from problems.interfaces.problem import DEFAULT_BATCH
from problems.template.problem import DampedOscillator

from .closed_forms import (
    Borehole,
    Ishigami,
    OutputTransformerlessCircuit,
    Piston,
    RobotArm,
    WingWeight,
)
from .in_time import Epidemic, FitzHughNagumo, ProjectileWithDrag
from .on_grids import FisherWave, ShearedPuff

TEST_SAMPLES = 512
"""Size of the test split, on which every emulator is scored."""

TRAINING_PER_VALIDATION = 4
"""Training samples for each validation sample."""

COST_SHARE = 1e-3
"""A simulator's cost as a share of that of the expensive code for which it stands.

A search refuses networks that are slower than the reference, as all are beside a formula.
"""


@dataclass(frozen=True)
class IndependentDraw:
    """A simulation whose samples are drawn anew for every split of the suite.

    simstead draws the same data in all runs of a problem; the number of the split makes others.

    Args:
        simulation: The simulation.
        split: Number of the split.
    """

    simulation: Simulation
    split: int

    @property
    def inputs(self) -> tuple[Field, ...]:
        """Input fields of the simulation."""
        return self.simulation.inputs

    @property
    def outputs(self) -> tuple[Field, ...]:
        """Output fields of the simulation."""
        return self.simulation.outputs

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        """Return n input conditions, which differ between splits."""
        seed = [int(rng.integers(2**63)), self.split]
        return self.simulation.draw(n, np.random.default_rng(seed))

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:
        """Return the outputs of the simulation."""
        return self.simulation.run(inputs, rng)


class SuiteMember(NamedTuple):
    """A simulator of the suite.

    Args:
        simulation: The simulator.
        start: For a roll-out, the input field with the value of each output field at the start.
    """

    simulation: Simulation
    start: Mapping[str, str] = {}


SUITE: Mapping[str, SuiteMember] = {
    "borehole": SuiteMember(Borehole()),
    "otl-circuit": SuiteMember(OutputTransformerlessCircuit()),
    "piston": SuiteMember(Piston()),
    "wing-weight": SuiteMember(WingWeight()),
    "ishigami": SuiteMember(Ishigami()),
    "robot-arm": SuiteMember(RobotArm()),
    "projectile": SuiteMember(ProjectileWithDrag()),
    "oscillator": SuiteMember(
        DampedOscillator(), {"position": "start_position", "velocity": "start_velocity"}
    ),
    "epidemic": SuiteMember(
        Epidemic(), {"susceptible": "susceptible_start", "infected": "infected_start"}
    ),
    "fitzhugh-nagumo": SuiteMember(
        FitzHughNagumo(), {"voltage": "voltage_start", "recovery": "recovery_start"}
    ),
    "fisher-wave": SuiteMember(FisherWave()),
    "sheared-puff": SuiteMember(ShearedPuff()),
}
"""The simulators by name: six in closed form, four of paths in time, two of fields."""


def suite_problem(name: str, samples: int, split: int) -> Problem:
    """Return a simulator of the suite as a problem.

    Args:
        name: Key of `SUITE`.
        samples: Number of training samples.
        split: Number of the split, which determines all samples.
    """
    member = SUITE[name]
    simulation = IndependentDraw(member.simulation, split)
    inputs, outputs = simulation.inputs, simulation.outputs
    encodings = {"flat": FlatEncoding(inputs, outputs)}
    if member.start:
        encodings["steps"] = RollOutEncoding(inputs, outputs, start=member.start)
    return Problem(
        name=name,
        summary=f"{name} of the suite of simulators, split {split}",
        simulation=simulation,
        calibration=Calibration(simulation, COST_SHARE, DEFAULT_BATCH),
        encodings=encodings,
        score=NormalisedError(outputs),
        samples=Samples(samples, samples // TRAINING_PER_VALIDATION, TEST_SAMPLES, 0),
    )
