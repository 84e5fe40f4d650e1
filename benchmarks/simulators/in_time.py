"""Simulators of paths in time, by the classical Runge-Kutta method with fixed steps."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from problems import Array, Batch, Field

from .uniform_inputs import UniformInputs

FRAMES = 40
"""Frames of an output in time."""

GRAVITY = 9.81
"""Acceleration of gravity [m/s^2]."""

Derivative = Callable[[Array], Array]
"""derivative(state): the time derivative (s, b) of a state (s, b)."""


def runge_kutta_step(derivative: Derivative, state: Array, step: Array | float) -> Array:
    """Return the state (s, b) after a step of the classical Runge-Kutta method of fourth order.

    Source: Hairer, Norsett & Wanner, Solving Ordinary Differential Equations I, Springer, 1993,
    section II.1, doi:10.1007/978-3-540-78862-1.

    Args:
        derivative: Time derivative of a state.
        state: The state before the step.
        step: Length of the step, one for all samples or (b,).
    """
    k1 = derivative(state)
    k2 = derivative(state + 0.5 * step * k1)
    k3 = derivative(state + 0.5 * step * k2)
    k4 = derivative(state + step * k3)
    return state + step / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)


def integrate(derivative: Derivative, state: Array, duration: float, steps_per_frame: int) -> Array:
    """Return the states (t, s, b) at `FRAMES` equally spaced times, of which the last is the end.

    Args:
        derivative: Time derivative of a state.
        state: The state (s, b) at the start, which isn't a frame.
        duration: Time from the start to the end.
        steps_per_frame: Integration steps between two frames.
    """
    step = duration / FRAMES / steps_per_frame
    path = np.empty((FRAMES, *state.shape))
    for frame in range(FRAMES):
        for _ in range(steps_per_frame):
            state = runge_kutta_step(derivative, state, step)
        path[frame] = state
    return path


@dataclass(frozen=True)
class Epidemic(UniformInputs):
    """Susceptible and infected shares of a population in an epidemic (the SIR model).

    Source: Kermack & McKendrick, A contribution to the mathematical theory of epidemics, Proc. R.
    Soc. A 115 (1927) 700, doi:10.1098/rspa.1927.0118.

    Args:
        duration_d: Time from the start to the last frame [d].
        steps_per_frame: Integration steps between two frames.
    """

    duration_d: float = 80.0
    steps_per_frame: int = 10

    inputs = (
        Field("transmission", unit="1/d", valid=(0.15, 0.6)),
        Field("recovery", unit="1/d", valid=(0.05, 0.2)),
        Field("susceptible_start", unit="1", valid=(0.7, 0.95)),
        Field("infected_start", unit="1", valid=(0.001, 0.05)),
    )
    outputs = tuple(
        Field(name, (FRAMES,), "1", axes=("time",)) for name in ("susceptible", "infected")
    )

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return the shares (b, t)."""
        transmission, recovery = inputs["transmission"], inputs["recovery"]

        def derivative(state: Array) -> Array:
            infections = transmission * state[0] * state[1]
            return np.stack([-infections, infections - recovery * state[1]])

        start = np.stack([inputs["susceptible_start"], inputs["infected_start"]])
        path = integrate(derivative, start, self.duration_d, self.steps_per_frame)
        return {"susceptible": path[:, 0].T, "infected": path[:, 1].T}


@dataclass(frozen=True)
class FitzHughNagumo(UniformInputs):
    """Voltage and recovery of an excitable membrane.

    v' = c (v - v^3/3 + w + stimulus), c w' = a - v - b w. Sources: FitzHugh, Impulses and
    physiological states in theoretical models of nerve membrane, Biophysical Journal 1 (1961) 445,
    doi:10.1016/S0006-3495(61)86902-6, in whose signs a stimulus is negative; Nagumo, Arimoto &
    Yoshizawa, Proc. IRE 50 (1962) 2061, doi:10.1109/JRPROC.1962.288235.

    Args:
        duration: Time from the start to the last frame, dimensionless.
        steps_per_frame: Integration steps between two frames.
    """

    duration: float = 20.0
    steps_per_frame: int = 20

    inputs = (
        Field("stimulus", unit="1", valid=(-0.6, 0.0)),
        Field("a", unit="1", valid=(0.6, 0.8)),
        Field("b", unit="1", valid=(0.7, 0.9)),
        Field("c", unit="1", valid=(2.5, 3.5)),
        Field("voltage_start", unit="1", valid=(-1.0, 1.5)),
        Field("recovery_start", unit="1", valid=(-0.7, 0.3)),
    )
    outputs = tuple(Field(name, (FRAMES,), "1", axes=("time",)) for name in ("voltage", "recovery"))

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return voltage and recovery (b, t)."""
        a, b, c, stimulus = (inputs[name] for name in ("a", "b", "c", "stimulus"))

        def derivative(state: Array) -> Array:
            voltage, recovery = state
            rise = c * (voltage - voltage**3 / 3.0 + recovery + stimulus)
            return np.stack([rise, (a - voltage - b * recovery) / c])

        start = np.stack([inputs["voltage_start"], inputs["recovery_start"]])
        path = integrate(derivative, start, self.duration, self.steps_per_frame)
        return {"voltage": path[:, 0].T, "recovery": path[:, 1].T}


@dataclass(frozen=True)
class ProjectileWithDrag(UniformInputs):
    """Range and height of a point mass in uniform gravity with drag proportional to speed squared.

    Source: Parker, Projectile motion with air resistance quadratic in the speed, American Journal
    of Physics 45 (1977) 606, doi:10.1119/1.10812. docs/register-a-problem.md has it as example.

    Args:
        steps: Integration steps in the time of a flight without drag, which is longer.
    """

    steps: int = 400

    inputs = (
        Field("speed", unit="m/s", valid=(20.0, 200.0), description="initial speed"),
        Field("angle", unit="rad", valid=(0.3, 1.2), description="elevation above the horizon"),
        Field("log_drag", unit="1", valid=(-4.0, -2.5), description="log10 of the drag [1/m]"),
    )
    outputs = (
        Field("range", unit="m"),
        Field("height", unit="m", description="largest height"),
    )

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return range and height (b,)."""
        speed, angle, drag = inputs["speed"], inputs["angle"], 10.0 ** inputs["log_drag"]
        step = 2.0 * speed * np.sin(angle) / GRAVITY / self.steps

        def derivative(state: Array) -> Array:
            velocity = state[2:]
            acceleration = -drag * np.hypot(velocity[0], velocity[1]) * velocity
            acceleration[1] -= GRAVITY
            return np.concatenate([velocity, acceleration])

        still = np.zeros_like(speed)
        state = np.stack([still, still, speed * np.cos(angle), speed * np.sin(angle)])
        distance, height = np.full_like(speed, np.nan), np.zeros_like(speed)
        for _ in range(self.steps + 1):  # rounding may leave a flight without drag just above 0
            following = runge_kutta_step(derivative, state, step)
            height = np.maximum(height, following[1])
            landed = (following[1] <= 0.0) & np.isnan(distance)
            fraction = state[1] / np.where(landed, state[1] - following[1], 1.0)
            distance = np.where(landed, state[0] + fraction * (following[0] - state[0]), distance)
            state = following
        return {"range": distance, "height": height}
