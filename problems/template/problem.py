"""A damped oscillator, to be replaced by a simulation of your own, step by step.

    simstead check template.py        tries every promise that a problem makes, and names the remedy
    simstead diagnose template.py     says whether a surrogate is worth looking for
    simstead search template.py       looks for it, and writes a report

Parts marked YOUR OWN are yours to change; run `simstead check` after each of them.
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

# YOUR OWN: the fields, with their units and the range in which they make sense. A field is one
# number, or an array with a shape and a name for each axis; fields share an axis by its name.
INPUTS = (
    Field("frequency", unit="rad/s", valid=(0.1, 10.0), description="of the undamped oscillator"),
    Field("damping", unit="1", valid=(0.0, 1.0), description="share of the critical damping"),
    Field("start_position", unit="m"),
    Field("start_velocity", unit="m/s"),
)
OUTPUTS = (
    Field("position", (FRAMES,), "m", axes=("time",)),
    Field("velocity", (FRAMES,), "m/s", axes=("time",)),
)


# YOUR OWN: the simulation. A frozen dataclass: its fields are its parameters, and with its code
# they name its data in the cache. It is handed a batch (a dictionary of arrays, sample first)
# and returns one. It may call any library or program; a sample that raises, or comes back as NaN,
# counts as failed and is shown.
@dataclass(frozen=True)
class DampedOscillator:
    """x'' + 2 d w x' + w^2 x = 0, integrated by the classical Runge-Kutta method."""

    duration_s: float = 6.0
    steps_per_frame: int = 25
    frequency: tuple[float, float] = (0.5, 3.0)

    inputs = INPUTS
    outputs = OUTPUTS

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        """Draw n starting conditions; every random number comes from `rng`."""
        return {
            "frequency": rng.uniform(*self.frequency, n),
            "damping": rng.uniform(0.02, 0.4, n),
            "start_position": rng.normal(0.0, 1.0, n),
            "start_velocity": rng.normal(0.0, 1.0, n),
        }

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - not random
        """Return position and velocity (b, t) at the end of every frame."""
        w, d = inputs["frequency"], inputs["damping"]
        state = np.stack([inputs["start_position"], inputs["start_velocity"]])
        step = self.duration_s / FRAMES / self.steps_per_frame

        def change(now: np.ndarray) -> np.ndarray:
            position, velocity = now
            return np.stack([velocity, -2.0 * d * w * velocity - w**2 * position])

        path = np.empty((FRAMES, *state.shape))
        for frame in range(FRAMES):
            for _ in range(self.steps_per_frame):
                k1 = change(state)
                k2 = change(state + 0.5 * step * k1)
                k3 = change(state + 0.5 * step * k2)
                k4 = change(state + step * k3)
                state = state + step / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
            path[frame] = state
        return {"position": path[:, 0].T, "velocity": path[:, 1].T}


# YOUR OWN, and optional: what people use today, with the signature of `run`. It is scored and timed
# as surrogates are; one that loses to it is worth nothing.
def undamped(inputs: Batch, rng: np.random.Generator) -> Mapping[str, np.ndarray]:  # noqa: ARG001 - as run
    """Return the oscillation without its damping, which has a formula."""
    times = DampedOscillator().duration_s / FRAMES * np.arange(1, FRAMES + 1)
    w = inputs["frequency"][:, None]
    start, speed = inputs["start_position"][:, None], inputs["start_velocity"][:, None]
    return {
        "position": start * np.cos(w * times) + speed / w * np.sin(w * times),
        "velocity": speed * np.cos(w * times) - start * w * np.sin(w * times),
    }


# YOUR OWN: the problem, with every way of putting it to a network that might work.
problem = Problem(
    name="template",
    summary="a damped oscillator",
    simulation=DampedOscillator(),
    # The same simulation outside the training range: how far does a surrogate carry?
    shifted=DampedOscillator(frequency=(3.0, 4.0)),
    encodings={
        # Parameters and start in, the whole path out, in one call.
        "path": FlatEncoding(INPUTS, OUTPUTS),
        # The next frames from the last few, rolled forward from the start.
        "steps": RollOutEncoding(
            INPUTS, OUTPUTS, start={"position": "start_position", "velocity": "start_velocity"}
        ),
    },
    # Root mean square error over the reference's spread: 0 is perfect, 1 no better than the mean.
    score=NormalisedError(OUTPUTS),
    baselines={"undamped": undamped},
    samples=Samples(train=512, validation=128, test=128, shifted=64),
)
