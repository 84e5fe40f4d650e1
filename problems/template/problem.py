"""A damped oscillator, to be replaced by your simulation.

    simstead check template.py        checks the problem and explains every violation
    simstead diagnose template.py     estimates whether a search is worthwhile
    simstead search template.py       searches for surrogates and writes a report

Change the parts marked CHANGE one by one; run `simstead check` after each of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from problems import (
    Batch,
    Field,
    FlatEncoding,
    NormalisedError,
    Problem,
    RollOutEncoding,
    Samples,
)

FRAMES = 40

# CHANGE: the fields, with units and the range of valid values. A field is a single number, or an
# array with a shape and a name for each axis. Fields with a common axis give it the same name.
INPUTS = (
    Field("frequency", unit="rad/s", valid=(0.1, 10.0), description="of the undamped oscillator"),
    Field("damping", unit="1", valid=(0.0, 1.0), description="fraction of the critical damping"),
    Field("start_position", unit="m"),
    Field("start_velocity", unit="m/s"),
)
OUTPUTS = (
    Field("position", (FRAMES,), "m", axes=("time",)),
    Field("velocity", (FRAMES,), "m/s", axes=("time",)),
)


# CHANGE: the simulation, a frozen dataclass. Its parameters and its code identify its data in the
# cache. Inputs and outputs are batches: dictionaries of arrays whose first axis is the sample. The
# simulation may call any library or program. A sample that raises an exception or returns NaN
# counts as failed; failed samples are reported.
@dataclass(frozen=True)
class DampedOscillator:
    """x'' + 2 d w x' + w^2 x = 0, integrated by the classical Runge-Kutta method.

    Args:
        duration_s: Length of the path [s].
        steps_per_frame: Integration steps between two frames of the output.
        frequency: Smallest and largest frequency that is drawn [rad/s].
    """

    duration_s: float = 6.0
    steps_per_frame: int = 25
    frequency: tuple[float, float] = (0.5, 3.0)

    inputs = INPUTS
    outputs = OUTPUTS

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        """Return n initial conditions; all random numbers must come from `rng`."""
        return {
            "frequency": rng.uniform(*self.frequency, n),
            "damping": rng.uniform(0.02, 0.4, n),
            "start_position": rng.normal(0.0, 1.0, n),
            "start_velocity": rng.normal(0.0, 1.0, n),
        }

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return position and velocity (b, t) at all frames."""
        w, d = inputs["frequency"], inputs["damping"]
        state = np.stack([inputs["start_position"], inputs["start_velocity"]])
        step = self.duration_s / FRAMES / self.steps_per_frame

        def derivative(state: np.ndarray) -> np.ndarray:
            position, velocity = state
            return np.stack([velocity, -2.0 * d * w * velocity - w**2 * position])

        path = np.empty((FRAMES, *state.shape))
        for frame in range(FRAMES):
            for _ in range(self.steps_per_frame):
                k1 = derivative(state)
                k2 = derivative(state + 0.5 * step * k1)
                k3 = derivative(state + 0.5 * step * k2)
                k4 = derivative(state + step * k3)
                state = state + step / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
            path[frame] = state
        return {"position": path[:, 0].T, "velocity": path[:, 1].T}


# CHANGE (optional): a baseline, such as the approximation in use today. It has the signature of
# `run`, and is scored and timed as surrogates are.
def undamped(inputs: Batch, rng: np.random.Generator) -> Mapping[str, np.ndarray]:  # noqa: ARG001 - deterministic
    """Return the analytic solution without damping (b, t)."""
    times = DampedOscillator().duration_s / FRAMES * np.arange(1, FRAMES + 1)
    w = inputs["frequency"][:, None]
    x0, v0 = inputs["start_position"][:, None], inputs["start_velocity"][:, None]
    return {
        "position": x0 * np.cos(w * times) + v0 / w * np.sin(w * times),
        "velocity": v0 * np.cos(w * times) - x0 * w * np.sin(w * times),
    }


# CHANGE: the problem, with all encodings that might work.
problem = Problem(
    name="template",
    summary="a damped oscillator",
    simulation=DampedOscillator(),
    # The same simulation outside the training range, to test extrapolation.
    shifted=DampedOscillator(frequency=(3.0, 4.0)),
    encodings={
        # From parameters and initial conditions to the whole path in one call.
        "path": FlatEncoding(INPUTS, OUTPUTS),
        # From a window of frames to the next frames, repeated from the start to the horizon.
        "steps": RollOutEncoding(
            INPUTS, OUTPUTS, start={"position": "start_position", "velocity": "start_velocity"}
        ),
    },
    # The root mean square error over the standard deviation: 0 is perfect, 1 is that of the mean.
    score=NormalisedError(OUTPUTS),
    baselines={"undamped": undamped},
    samples=Samples(train=512, validation=128, test=128, shifted=64),
)
