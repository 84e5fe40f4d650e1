"""The reference: planetary systems integrated with REBOUND's WHFast, encounters with IAS15.

Sources: Rein & Liu, A&A 537 (2012) A128; Rein & Tamayo, MNRAS 452 (2015) 376 (WHFast); Wisdom,
Holman & Touma, Fields Inst. Commun. 10 (1996) 217 (symplectic correctors); Rein & Spiegel, MNRAS
446 (2015) 1424 (IAS15).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from problems.cases.planets.encounter import Hyperbola, PassingStar
from problems.cases.planets.orbits import (
    GRAVITATIONAL_CONSTANT,
    elements_from_states,
    mean_motion,
    states_from_elements,
)
from problems.cases.planets.rebound import STATE, import_rebound, rebound_versions
from problems.interfaces.types import Array, Batch, Field, n_samples

SLOTS = 3
"""Planet slots of every sample; an empty slot has zero mass and a placeholder orbit."""

LARGEST_AXIS_RATIO = 4.0
"""Upper limit of the ratio of neighbouring axes; planets farther apart hardly interact."""


@dataclass(frozen=True)
class Planets:
    """Two or three planets around a star, followed over a horizon at a fixed cadence.

    Args:
        horizon_yr: Time over which a system is followed [yr].
        frames: Outputs, evenly spaced; the last is at the horizon.
        steps_per_orbit: Integrator steps per period of the innermost planet.
        corrector: Order of WHFast's symplectic corrector; 0 for none.
        star_mass: Uniform range of the mass of the star [Msun].
        planet_mass: Log-uniform range of the masses of the planets [Msun].
        spacing: Uniform range of the distance between neighbours in mutual Hill radii.
        eccentricity: Scale of the Rayleigh distribution of eccentricities.
        inclination: Scale of the Rayleigh distribution of inclinations [rad].
        passing_star: Distribution of the star that passes each system once; None for no star.
    """

    IDENTITY: ClassVar[str] = "planets/simulation"

    horizon_yr: float
    frames: int
    steps_per_orbit: int = 20
    corrector: int = 17
    star_mass: tuple[float, float] = (0.5, 1.5)
    planet_mass: tuple[float, float] = (1e-7, 1e-3)
    spacing: tuple[float, float] = (6.0, 30.0)
    eccentricity: float = 0.03
    inclination: float = 0.01
    passing_star: PassingStar | None = None

    @property
    def inputs(self) -> tuple[Field, ...]:
        """Masses and elements at the epoch, and the passing star if there is one."""
        passing = () if self.passing_star is None else (self.passing_star.field,)
        return (
            Field("star_mass", (), "Msun", (), (0.01, 100.0), "mass of the star"),
            Field("mass", (SLOTS,), "Msun", ("planet",), (0.0, 0.1), "zero: no planet"),
            Field("elements", (SLOTS, 6), "au, 1, rad", ("planet", "element"), (-1e4, 1e4)),
            *passing,
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
                description="its phase is only as accurate as the mean longitude",
            ),
        )

    @property
    def times_yr(self) -> Array:
        """Times of the frames (t,) [yr]."""
        return self.horizon_yr / self.frames * np.arange(1, self.frames + 1)

    def versions(self) -> Mapping[str, str]:
        """Return the version of REBOUND.

        Raises:
            MissingExtraError: REBOUND is not installed.
        """
        return rebound_versions("planets")

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        """Return n random systems, innermost planet at 1 au; crossing orbits are redrawn."""
        drawn = [self._draw_one(rng) for _ in range(n)]
        return {f.name: np.stack([system[f.name] for system in drawn]) for f in self.inputs}

    def _draw_one(self, rng: np.random.Generator) -> Batch:
        star = rng.uniform(*self.star_mass)
        count = int(rng.integers(2, SLOTS + 1))
        while True:
            low, high = np.log(self.planet_mass)
            mass = np.exp(rng.uniform(low, high, count))
            axis = np.cumprod([1.0, *self._axis_ratios(star, mass, rng)])
            eccentricity = rng.rayleigh(self.eccentricity, count)
            if well_separated(star, mass, axis, eccentricity):
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
        system: Batch = {"star_mass": np.array(star), "mass": padded, "elements": elements}
        if self.passing_star is None:
            return system
        total_mass = float(star + mass.sum())
        passing = self.passing_star.draw(total_mass, float(axis[-1]), self.horizon_yr, rng)
        return {**system, "passing_star": passing}

    def _axis_ratios(self, star: float, mass: Array, rng: np.random.Generator) -> Array:
        """Return random ratios a_{i+1}/a_i (p - 1,) by spacings in mutual Hill radii."""
        half_hill = 0.5 * ((mass[:-1] + mass[1:]) / (3.0 * star)) ** (1.0 / 3.0)
        widest = (LARGEST_AXIS_RATIO - 1.0) / (LARGEST_AXIS_RATIO + 1.0) / half_hill
        spacing = rng.uniform(self.spacing[0], np.minimum(self.spacing[1], widest))
        return (1.0 + spacing * half_hill) / (1.0 - spacing * half_hill)

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return states and elements at every frame, NaN for systems that fail.

        A system fails by a close encounter or an escape. WHFast is not valid within a mutual Hill
        radius, so the integration stops there. It isn't valid while a star passes either, so IAS15
        integrates those frames.

        Raises:
            MissingExtraError: REBOUND is not installed.
        """
        rebound = import_rebound("planets")
        states = np.full((n_samples(inputs), self.frames, SLOTS, 6), np.nan)
        for i, state in enumerate(states):
            star, mass = float(inputs["star_mass"][i]), inputs["mass"][i]
            mass = mass[mass > 0.0]
            elements = inputs["elements"][i, : len(mass)]
            passing = inputs["passing_star"][i] if self.passing_star is not None else None
            try:
                path = self._integrate(rebound, star, mass, elements, passing)
            except rebound.Encounter:
                continue
            state[:, : len(mass)] = path
            state[:, len(mass) :] = placeholder_state(star)
        outputs = outputs_from_states(inputs, states)
        escaped = ~np.isfinite(outputs["elements"]).all(axis=(1, 2, 3))
        for array in outputs.values():
            array[escaped] = np.nan
        return outputs

    def _integrate(
        self, rebound: Any, star: float, mass: Array, elements: Array, passing: Array | None
    ) -> Array:
        """Return heliocentric states (t, p, 6) of one system.

        States are NaN after a passing star has unbound a planet or made orbits cross, because
        WHFast isn't valid for such systems.
        """
        simulation = rebound_simulation(rebound, star, mass, elements)
        period = 2.0 * np.pi / float(mean_motion(np.asarray(star), mass[0], elements[0, 0]))
        self._use_whfast(simulation, period)
        hyperbola, nearby = None, range(-1, -1)
        if passing is not None:
            hyperbola = Hyperbola.of(passing, star + float(mass.sum()))
            nearby = self._frames_near(hyperbola, float(elements[-1, 0]))
        path = np.full((self.frames, len(mass), 6), np.nan)
        for frame, time in enumerate(self.times_yr):
            if hyperbola is not None and frame in nearby:
                if frame == nearby.start:
                    hyperbola.join(simulation)
                    simulation.integrator = "ias15"
                simulation.integrate(time)
            else:
                if frame == nearby.stop:
                    simulation.remove(simulation.N - 1)
                    simulation.move_to_com()
                    period = _period_if_orderly(star, mass, path[frame - 1])
                    if period is None:
                        break
                    self._use_whfast(simulation, period)
                # To half a step before the frame, so that rounding never adds a step.
                simulation.integrate(time - 0.5 * simulation.dt, exact_finish_time=0)
                simulation.synchronize()
            bodies = np.empty((simulation.N, 6))
            simulation.serialize_particle_data(xyzvxvyvz=bodies)
            path[frame] = bodies[1 : len(mass) + 1] - bodies[0]
        return path

    def _use_whfast(self, simulation: Any, period: float) -> None:
        """Set the integrator to WHFast with a whole number of steps per frame."""
        simulation.integrator = "whfast"
        whfast: Any = simulation.integrator
        whfast.safe_mode = 0
        whfast.corrector = self.corrector
        cadence = self.horizon_yr / self.frames
        simulation.dt = cadence / np.ceil(cadence * self.steps_per_orbit / period)

    def _frames_near(self, hyperbola: Hyperbola, axis: float) -> range:
        """Return the frames that are integrated with the passing star."""
        cadence, duration = self.horizon_yr / self.frames, hyperbola.half_duration_yr(axis)
        first = int(np.floor((hyperbola.time_yr - duration) / cadence))
        last = int(np.ceil((hyperbola.time_yr + duration) / cadence))
        return range(max(first, 0), min(last, self.frames))

    def shortened(self, share: float) -> "Planets":
        """Return this simulation over a share of the horizon and of the frames."""
        frames = round(self.frames * share)
        return replace(self, frames=frames, horizon_yr=self.horizon_yr * frames / self.frames)


def rebound_simulation(rebound: Any, star: float, mass: Array, elements: Array) -> Any:
    """Return a REBOUND simulation of one system at the epoch, which ends at a close encounter.

    Args:
        rebound: The module `rebound`.
        star: Mass of the star [Msun].
        mass: Masses of the planets (p,) [Msun].
        elements: Elements of the planets (p, 6).
    """
    simulation: Any = rebound.Simulation()
    simulation.G = GRAVITATIONAL_CONSTANT
    simulation.add(m=star)
    for m, state in zip(
        mass, states_from_elements(elements, GRAVITATIONAL_CONSTANT * (star + mass)), strict=True
    ):
        simulation.add(m=m, **dict(zip(STATE, state, strict=True)))
    simulation.move_to_com()
    simulation.exit_min_distance = float(np.min(hill_radii(star, mass, elements[:, 0])))
    return simulation


def _period_if_orderly(star: float, mass: Array, states: Array) -> float | None:
    """Return the innermost period [yr] of states (p, 6), or None where WHFast isn't valid."""
    elements = elements_from_states(states, GRAVITATIONAL_CONSTANT * (star + mass))
    axis, eccentricity = elements[:, 0], np.hypot(elements[:, 1], elements[:, 2])
    if not (np.all(axis > 0.0) and well_separated(star, mass, axis, eccentricity)):
        return None
    return 2.0 * np.pi / float(mean_motion(np.asarray(star), mass[0], axis[0]))


def well_separated(star: float, mass: Array, axis: Array, eccentricity: Array) -> bool:
    """Return whether orbits are ordered and stay more than a mutual Hill radius apart.

    Args:
        star: Mass of the star [Msun].
        mass: Masses of the planets (p,) [Msun].
        axis: Semi-major axes (p,) [au].
        eccentricity: Eccentricities (p,).
    """
    inner, outer = axis * (1.0 - eccentricity), axis * (1.0 + eccentricity)
    return bool(np.all(outer[:-1] + hill_radii(star, mass, axis) < inner[1:]))


def hill_radii(star: float, mass: Array, axis: Array) -> Array:
    """Return the mutual Hill radii of neighbours in one system (p - 1,) [au].

    Args:
        star: Mass of the star [Msun].
        mass: Masses of the planets (p,) [Msun].
        axis: Semi-major axes (p,) [au].
    """
    return ((mass[:-1] + mass[1:]) / (3.0 * star)) ** (1.0 / 3.0) * (axis[:-1] + axis[1:]) / 2.0


def placeholder_state(star: float) -> Array:
    """Return the state (6,) of the orbit of an empty slot, which is circular at 1 au."""
    circle = np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    return states_from_elements(circle, np.asarray(GRAVITATIONAL_CONSTANT * star))


def outputs_from_states(inputs: Batch, states: Array) -> Batch:
    """Return elements and states of states (b, t, p, 6)."""
    mu = GRAVITATIONAL_CONSTANT * (inputs["star_mass"][:, None] + inputs["mass"])
    return {"elements": elements_from_states(states, mu[:, None, :]), "state": states}


def outputs_from_elements(inputs: Batch, elements: Array) -> Batch:
    """Return elements and states of elements (b, t, p, 6)."""
    mu = GRAVITATIONAL_CONSTANT * (inputs["star_mass"][:, None] + inputs["mass"])
    return {"elements": elements, "state": states_from_elements(elements, mu[:, None, :])}
