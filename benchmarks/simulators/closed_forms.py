"""Simulators in closed form, from engineering and from the literature on emulation."""

from dataclasses import dataclass

import numpy as np

from problems import Batch, Field

from .uniform_inputs import UniformInputs

STANDARD_GRAVITY_TWICE = 19.62
"""Twice the acceleration of gravity [m/s^2], the constant in the equation of the piston."""

BASE_EMITTER_VOLTAGE = 0.74
"""Voltage between base and emitter of a transistor that conducts [V]."""

SUPPLY_VOLTAGE = 12.0
"""Voltage of the circuit's supply [V]."""


@dataclass(frozen=True)
class Borehole(UniformInputs):
    """Flow of water through a borehole that connects two aquifers.

    The equation is that of Harper & Gupta, Sensitivity/uncertainty analysis of a borehole scenario,
    ONWI-516, 1983, with the ranges of Morris, Mitchell & Ylvisaker, Technometrics 35 (1993) 243,
    doi:10.1080/00401706.1993.10485320. They draw the two radii from other distributions.
    """

    inputs = (
        Field("borehole_radius", unit="m", valid=(0.05, 0.15)),
        Field("influence_radius", unit="m", valid=(100.0, 50_000.0)),
        Field("upper_transmissivity", unit="m^2/yr", valid=(63_070.0, 115_600.0)),
        Field("upper_head", unit="m", valid=(990.0, 1110.0)),
        Field("lower_transmissivity", unit="m^2/yr", valid=(63.1, 116.0)),
        Field("lower_head", unit="m", valid=(700.0, 820.0)),
        Field("length", unit="m", valid=(1120.0, 1680.0)),
        Field("conductivity", unit="m/yr", valid=(9855.0, 12_045.0)),
    )
    outputs = (Field("flow", unit="m^3/yr"),)

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return the flow (b,)."""
        radius, transmissivity = inputs["borehole_radius"], inputs["upper_transmissivity"]
        logarithm = np.log(inputs["influence_radius"] / radius)
        leakage = 2.0 * inputs["length"] * transmissivity
        leakage = leakage / (logarithm * radius**2 * inputs["conductivity"])
        head = inputs["upper_head"] - inputs["lower_head"]
        resistance = 1.0 + leakage + transmissivity / inputs["lower_transmissivity"]
        return {"flow": 2.0 * np.pi * transmissivity * head / (logarithm * resistance)}


@dataclass(frozen=True)
class OutputTransformerlessCircuit(UniformInputs):
    """Voltage at the middle of a push-pull amplifier without output transformer (OTL circuit).

    Source: Ben-Ari & Steinberg, Modeling data from computer experiments, Quality Engineering 19
    (2007) 327, doi:10.1080/08982110701580930.
    """

    inputs = (
        Field("resistance_b1", unit="kohm", valid=(50.0, 150.0)),
        Field("resistance_b2", unit="kohm", valid=(25.0, 70.0)),
        Field("resistance_f", unit="kohm", valid=(0.5, 3.0)),
        Field("resistance_c1", unit="kohm", valid=(1.2, 2.5)),
        Field("resistance_c2", unit="kohm", valid=(0.25, 1.2)),
        Field("current_gain", unit="1", valid=(50.0, 300.0)),
    )
    outputs = (Field("midpoint_voltage", unit="V"),)

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return the voltage (b,)."""
        feedback = inputs["resistance_f"]
        divider = inputs["resistance_b1"] + inputs["resistance_b2"]
        base = SUPPLY_VOLTAGE * inputs["resistance_b2"] / divider
        load = inputs["current_gain"] * (inputs["resistance_c2"] + 9.0)
        voltage = (base + BASE_EMITTER_VOLTAGE) * load + 11.35 * feedback
        voltage += BASE_EMITTER_VOLTAGE * feedback * load / inputs["resistance_c1"]
        return {"midpoint_voltage": voltage / (load + feedback)}


@dataclass(frozen=True)
class Piston(UniformInputs):
    """Time of one cycle of a piston that moves in a cylinder filled with gas.

    Source: Kenett & Zacks, Modern Industrial Statistics, Duxbury, 1998; with the ranges of Ben-Ari
    & Steinberg, Quality Engineering 19 (2007) 327, doi:10.1080/08982110701580930.
    """

    inputs = (
        Field("weight", unit="kg", valid=(30.0, 60.0)),
        Field("area", unit="m^2", valid=(0.005, 0.020)),
        Field("initial_volume", unit="m^3", valid=(0.002, 0.010)),
        Field("spring_coefficient", unit="N/m", valid=(1000.0, 5000.0)),
        Field("pressure", unit="N/m^2", valid=(90_000.0, 110_000.0)),
        Field("ambient_temperature", unit="K", valid=(290.0, 296.0)),
        Field("filling_temperature", unit="K", valid=(340.0, 360.0)),
    )
    outputs = (Field("cycle_time", unit="s"),)

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return the time of a cycle (b,)."""
        weight, area, spring = inputs["weight"], inputs["area"], inputs["spring_coefficient"]
        start, pressure = inputs["initial_volume"], inputs["pressure"]
        gas = pressure * start * inputs["ambient_temperature"] / inputs["filling_temperature"]
        force = pressure * area + STANDARD_GRAVITY_TWICE * weight - spring * start / area
        volume = area / (2.0 * spring) * (np.sqrt(force**2 + 4.0 * spring * gas) - force)
        stiffness = spring + area**2 * gas / volume**2
        return {"cycle_time": 2.0 * np.pi * np.sqrt(weight / stiffness)}


@dataclass(frozen=True)
class WingWeight(UniformInputs):
    """Weight of the wing of a light aircraft, in imperial units as published.

    Source: Forrester, Sobester & Keane, Engineering Design via Surrogate Modelling, Wiley, 2008,
    section 1.5, doi:10.1002/9780470770801.
    """

    inputs = (
        Field("wing_area", unit="ft^2", valid=(150.0, 200.0)),
        Field("fuel_weight", unit="lb", valid=(220.0, 300.0)),
        Field("aspect_ratio", unit="1", valid=(6.0, 10.0)),
        Field("sweep", unit="deg", valid=(-10.0, 10.0)),
        Field("dynamic_pressure", unit="lb/ft^2", valid=(16.0, 45.0)),
        Field("taper_ratio", unit="1", valid=(0.5, 1.0)),
        Field("thickness_ratio", unit="1", valid=(0.08, 0.18)),
        Field("load_factor", unit="1", valid=(2.5, 6.0)),
        Field("gross_weight", unit="lb", valid=(1700.0, 2500.0)),
        Field("paint_weight", unit="lb/ft^2", valid=(0.025, 0.08)),
    )
    outputs = (Field("wing_weight", unit="lb"),)

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return the weight (b,)."""
        cosine, area = np.cos(np.deg2rad(inputs["sweep"])), inputs["wing_area"]
        weight = 0.036 * area**0.758 * inputs["fuel_weight"] ** 0.0035
        weight = weight * (inputs["aspect_ratio"] / cosine**2) ** 0.6
        weight = weight * inputs["dynamic_pressure"] ** 0.006 * inputs["taper_ratio"] ** 0.04
        weight = weight * (100.0 * inputs["thickness_ratio"] / cosine) ** -0.3
        weight = weight * (inputs["load_factor"] * inputs["gross_weight"]) ** 0.49
        return {"wing_weight": weight + area * inputs["paint_weight"]}


@dataclass(frozen=True)
class Ishigami(UniformInputs):
    """The test function of Ishigami & Homma: sin x + a sin^2 y + b z^4 sin x, not monotonic.

    Source: Ishigami & Homma, An importance quantification technique in uncertainty analysis for
    computer models, Proc. ISUMA '90, 1990, 398, doi:10.1109/ISUMA.1990.151285.

    Args:
        a: Amplitude of the second term.
        b: Strength of the interaction.
    """

    a: float = 7.0
    b: float = 0.1

    inputs = tuple(Field(name, unit="1", valid=(-np.pi, np.pi)) for name in ("x", "y", "z"))
    outputs = (Field("response", unit="1"),)

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return the value of the function (b,)."""
        interaction = 1.0 + self.b * inputs["z"] ** 4
        response = interaction * np.sin(inputs["x"]) + self.a * np.sin(inputs["y"]) ** 2
        return {"response": response}


@dataclass(frozen=True)
class RobotArm(UniformInputs):
    """Distance of the hand of a robot arm from its shoulder, with four segments in a plane.

    Source: An & Owen, Quasi-regression, Journal of Complexity 17 (2001) 588,
    doi:10.1006/jcom.2001.0588.
    """

    inputs = (
        *(Field(f"angle_{i}", unit="rad", valid=(0.0, 2.0 * np.pi)) for i in range(1, 5)),
        *(Field(f"length_{i}", unit="1", valid=(0.0, 1.0)) for i in range(1, 5)),
    )
    outputs = (Field("distance", unit="1"),)

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return the distance (b,)."""
        angles = np.cumsum([inputs[f"angle_{i}"] for i in range(1, 5)], axis=0)
        lengths = np.stack([inputs[f"length_{i}"] for i in range(1, 5)])
        across, along = ((lengths * f(angles)).sum(axis=0) for f in (np.sin, np.cos))
        return {"distance": np.hypot(across, along)}
