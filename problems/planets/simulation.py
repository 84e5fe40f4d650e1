"""The reference: planetary systems integrated with REBOUND's WHFast.

Sources: Rein & Liu, A&A 537 (2012) A128; Rein & Tamayo, MNRAS 452 (2015) 376.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy as np

from problems.core import Array, Batch, Field, samples_in
from problems.errors import MissingExtraError
from problems.planets.orbits import (
    GRAVITATION,
    elements_from_states,
    mean_motion,
    states_from_elements,
)

SLOTS = 3
"""Planets that a batch has room for; an empty slot has mass zero and a placeholder orbit."""

LARGEST_AXIS_RATIO = 4.0
"""Neighbours farther apart than this hardly notice each other: the spacing is cut there."""

STATE = ("x", "y", "z", "vx", "vy", "vz")


@dataclass(frozen=True)
class Planets:
    """Two or three planets around a star, followed over a horizon at a fixed cadence.

    Args:
        horizon_yr: How long a system is followed.
        frames: Outputs, evenly spaced; the last is at the horizon.
        steps_per_orbit: Integrator steps in the innermost planet's period.
        star_mass: Uniform range [Msun].
        planet_mass: Log-uniform range [Msun].
        spacing: Uniform range of neighbours' distance in mutual Hill radii.
        eccentricity: Scale of the Rayleigh distribution.
        inclination: Scale of the Rayleigh distribution [rad].
    """

    horizon_yr: float
    frames: int
    steps_per_orbit: int = 20
    star_mass: tuple[float, float] = (0.5, 1.5)
    planet_mass: tuple[float, float] = (1e-7, 1e-3)
    spacing: tuple[float, float] = (6.0, 30.0)
    eccentricity: float = 0.03
    inclination: float = 0.01

    @property
    def inputs(self) -> tuple[Field, ...]:
        """Masses and elements at the epoch."""
        return (
            Field("star_mass", (), "Msun", (), (0.01, 100.0), "mass of the star"),
            Field("mass", (SLOTS,), "Msun", ("planet",), (0.0, 0.1), "zero: no planet"),
            Field("elements", (SLOTS, 6), "au, 1, rad", ("planet", "element"), (-1e4, 1e4)),
        )

    @property
    def outputs(self) -> tuple[Field, ...]:
        """Heliocentric states and osculating elements at every frame."""
        axes = ("frame", "planet")
        return (
            Field("elements", (self.frames, SLOTS, 6), "au, 1, rad", (*axes, "element")),
            Field(
                "state",
                (self.frames, SLOTS, 6),
                "au, au/yr",
                (*axes, "component"),
                description="its phase is only as good as the mean longitude's",
            ),
        )

    @property
    def times_yr(self) -> Array:
        """Times of the frames (t,) [yr]."""
        return self.horizon_yr / self.frames * np.arange(1, self.frames + 1)

    def versions(self) -> Mapping[str, str]:
        """REBOUND's version."""
        _rebound()
        return {"rebound": version("rebound")}

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        """Draw n systems, innermost planet at 1 au; orbits that cross are drawn again."""
        drawn = [self._draw_one(rng) for _ in range(n)]
        return {field.name: np.stack([one[field.name] for one in drawn]) for field in self.inputs}

    def _draw_one(self, rng: np.random.Generator) -> Batch:
        star = rng.uniform(*self.star_mass)
        count = int(rng.integers(2, SLOTS + 1))
        while True:
            low, high = np.log(self.planet_mass)
            mass = np.exp(rng.uniform(low, high, count))
            axis = np.cumprod([1.0, *self._axis_ratios(star, mass, rng)])
            eccentricity = rng.rayleigh(self.eccentricity, count)
            inner, outer = axis * (1.0 - eccentricity), axis * (1.0 + eccentricity)
            hill = hill_radii(star, mass, axis)
            if np.all(outer[:-1] + hill < inner[1:]):
                break
        perihelion, node, longitude = rng.uniform(0.0, 2.0 * np.pi, (3, count))
        tilt = np.tan(rng.rayleigh(self.inclination, count) / 2.0)
        elements = np.tile([1.0, 0.0, 0.0, 0.0, 0.0, 0.0], (SLOTS, 1))
        elements[:count] = np.stack(
            [
                axis,
                eccentricity * np.cos(perihelion),
                eccentricity * np.sin(perihelion),
                tilt * np.cos(node),
                tilt * np.sin(node),
                longitude,
            ],
            axis=-1,
        )
        padded = np.zeros(SLOTS)
        padded[:count] = mass
        return {"star_mass": np.array(star), "mass": padded, "elements": elements}

    def _axis_ratios(self, star: float, mass: Array, rng: np.random.Generator) -> Array:
        """Draw a_{i+1}/a_i from spacings in mutual Hill radii."""
        half_hill = 0.5 * ((mass[:-1] + mass[1:]) / (3.0 * star)) ** (1.0 / 3.0)
        widest = (LARGEST_AXIS_RATIO - 1.0) / (LARGEST_AXIS_RATIO + 1.0) / half_hill
        spacing = rng.uniform(self.spacing[0], np.minimum(self.spacing[1], widest))
        return (1.0 + spacing * half_hill) / (1.0 - spacing * half_hill)

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Integrate every system; one with a close encounter or an escape is NaN throughout.

        WHFast is not valid inside a mutual Hill radius, so the integration stops there.

        Raises:
            MissingExtraError: REBOUND is not installed.
        """
        rebound = _rebound()
        states = np.full((samples_in(inputs), self.frames, SLOTS, 6), np.nan)
        for i, state in enumerate(states):
            star, mass = float(inputs["star_mass"][i]), inputs["mass"][i]
            mass = mass[mass > 0.0]
            try:
                path = self._integrate(rebound, star, mass, inputs["elements"][i, : len(mass)])
            except rebound.Encounter:
                continue
            state[:, : len(mass)] = path
            state[:, len(mass) :] = placeholder_state(star)
        outputs = with_elements(inputs, states)
        escaped = ~np.isfinite(outputs["elements"]).all(axis=(1, 2, 3))
        for array in outputs.values():
            array[escaped] = np.nan
        return outputs

    def _integrate(self, rebound: Any, star: float, mass: Array, elements: Array) -> Array:
        """Return heliocentric states (t, p, 6) of one system."""
        mu = GRAVITATION * (star + mass)
        simulation: Any = rebound.Simulation()
        simulation.G = GRAVITATION
        simulation.add(m=star)
        for m, state in zip(mass, states_from_elements(elements, mu), strict=True):
            simulation.add(m=m, **dict(zip(STATE, state, strict=True)))
        simulation.move_to_com()
        simulation.integrator = "whfast"
        whfast: Any = simulation.integrator
        whfast.safe_mode = 0
        simulation.exit_min_distance = float(np.min(hill_radii(star, mass, elements[:, 0])))
        cadence = self.horizon_yr / self.frames
        period = 2.0 * np.pi / float(mean_motion(np.asarray(star), mass[0], elements[0, 0]))
        simulation.dt = cadence / np.ceil(cadence * self.steps_per_orbit / period)
        path = np.empty((self.frames, len(mass), 6))
        bodies = np.empty((len(mass) + 1, 6))
        for frame, time in enumerate(self.times_yr):
            # Half a step short of the frame, so that rounding never adds a step.
            simulation.integrate(time - 0.5 * simulation.dt, exact_finish_time=0)
            simulation.synchronize()
            simulation.serialize_particle_data(xyzvxvyvz=bodies)
            path[frame] = bodies[1:] - bodies[0]
        return path

    def shortened(self, share: float) -> "Planets":
        """Return this simulation over a share of the horizon and of the frames."""
        frames = round(self.frames * share)
        return replace(self, frames=frames, horizon_yr=self.horizon_yr * frames / self.frames)


def hill_radii(star: float, mass: Array, axis: Array) -> Array:
    """Return neighbours' mutual Hill radii (p - 1,) [au] of one system."""
    return ((mass[:-1] + mass[1:]) / (3.0 * star)) ** (1.0 / 3.0) * (axis[:-1] + axis[1:]) / 2.0


def placeholder_state(star: float) -> Array:
    """Return the state (6,) of the orbit that fills an empty slot: circular at 1 au."""
    circle = np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    return states_from_elements(circle, np.asarray(GRAVITATION * star))


def with_elements(inputs: Batch, states: Array) -> Batch:
    """Return the outputs that states (b, t, p, 6) stand for."""
    mu = GRAVITATION * (inputs["star_mass"][:, None] + inputs["mass"])
    return {"elements": elements_from_states(states, mu[:, None, :]), "state": states}


def with_states(inputs: Batch, elements: Array) -> Batch:
    """Return the outputs that elements (b, t, p, 6) stand for."""
    mu = GRAVITATION * (inputs["star_mass"][:, None] + inputs["mass"])
    return {"elements": elements, "state": states_from_elements(elements, mu[:, None, :])}


def _rebound() -> Any:
    try:
        import rebound  # noqa: PLC0415 - an extra (GPL), imported where it is used
    except ImportError:
        raise MissingExtraError("REBOUND", "cases", "the problem 'planets'") from None
    return rebound
