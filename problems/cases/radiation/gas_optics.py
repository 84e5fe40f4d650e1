"""RRTMGP's gas optics with a solver behind it, compiled by XLA: the reference.

What is common to the longwave and the shortwave. What interpolates the k-distribution is
jax-rrtmgp's.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache
from typing import Any, ClassVar

import numpy as np

from problems.cases.radiation.k_distribution import KDistribution, lookup, rrtmgp, single_precision
from problems.cases.radiation.profiles import fixed_gases
from problems.cases.radiation.solver import STANDARD_GRAVITY, layer_pressures
from problems.interfaces.types import Array, Batch, n_samples

AVOGADRO = 6.02214076e23
"""[mol-1], exact in the SI."""

DRY_AIR, WATER = 0.028964, 0.018016
"""Molar masses [kg mol-1], as RRTMGP has them."""

VARIABLE = ("h2o", "o3", "co2", "ch4", "n2o")
"""Gases whose mixing ratio is an input."""

PORTIONS = (32, 8, 1)
"""Columns of a compiled call, since XLA compiles for one shape at a time; 32 are the quickest."""

Pair = tuple[Any, Any]
Answers = tuple[Any, Any, Any]
"""Upward and downward fluxes (b, l + 1) [W m-2], and optical depths of grey layers (b, l)."""
Program = Callable[[Any], tuple[Any, ...]]
Spectral = Callable[[Any], Pair]
"""Of a g-point's number: its optics (b, l) each."""


class Answer(Enum):
    """What a compiled program returns."""

    OPTICS = auto()
    ALL = auto()


@dataclass(frozen=True)
class Radiation(ABC):
    """One part of the spectrum: RRTMGP's gas optics of it, and the solver behind them.

    Args:
        distribution: The k-distribution: how finely the spectrum is resolved.
    """

    distribution: KDistribution

    single: ClassVar[tuple[str, ...]]
    """Inputs that are one number a column."""
    powered: ClassVar[tuple[bool, bool]]
    """Which of both optics are learned by the power-law transform of an amount per air."""

    def optics(self, inputs: Batch) -> tuple[Array, Array]:
        """Return both optics of columns, (b, l, g) each in float32.

        Raises:
            MissingExtraError: jax-rrtmgp is not installed.
        """
        first, second = _in_portions(self, inputs, Answer.OPTICS)
        return first, second

    def answers(self, inputs: Batch) -> tuple[Array, Array, Array]:
        """Return upward and downward fluxes (b, l + 1) [W m-2] and optical depths (b, l).

        A layer's optical depth is that of a grey one which takes as much of black radiation, or of
        unfaded sunlight; all are float32.

        Raises:
            MissingExtraError: jax-rrtmgp is not installed.
        """
        up, down, depth = _in_portions(self, inputs, Answer.ALL)
        return up, down, depth

    def shapes(self, levels: int) -> Mapping[str, tuple[int, ...]]:
        """Return the shape of each input of one column."""
        profile = dict.fromkeys(("temperature", "h2o", "o3"), (levels - 1,))
        return {"pressure": (levels,), **profile, **dict.fromkeys(self.single, ())}

    @abstractmethod
    def table(self) -> Array:
        """Return what the solver has to know of each g-point, (..., g)."""

    @abstractmethod
    def optics_of_one(self, columns: Batch) -> Spectral:
        """Return what gives the optics of any g-point of columns, in JAX."""

    @abstractmethod
    def answers_of(self, columns: Batch) -> Answers:
        """Return fluxes and optical depths of columns, in JAX."""

    def over_g_points(self, spectral: Callable[[Any], tuple[Any, ...]]) -> tuple[Any, ...]:
        """Return what is told of each g-point, one after the other: (g, ...) each."""
        jax = rrtmgp().jax
        return jax.lax.map(spectral, jax.numpy.arange(lookup(self.distribution).n_gpt))

    @abstractmethod
    def solved(self, optics: tuple[Array, Array], columns: Batch, table: Array) -> Answers:
        """Return fluxes and optical depths of optics (b, l, g), in NumPy."""


def named(answers: Answers) -> Batch:
    """Return answers by the names of a run's outputs."""
    up, down, depth = answers
    return {"flux_up": up, "flux_down": down, "optical_depth": depth}


def molecules(xp: Any, pressure: Any, h2o: Any) -> Any:
    """Return molecules of dry air (b, l) [m-2] between levels (b, l + 1) [Pa].

    Args:
        xp: numpy or jax.numpy.
        pressure: Of the levels.
        h2o: Mixing ratio (b, l) by volume, relative to dry air.
    """
    mass = xp.diff(pressure, axis=1) / STANDARD_GRAVITY
    return mass * AVOGADRO / (DRY_AIR + WATER * h2o)


@dataclass(frozen=True, eq=False)
class GasState:
    """Layers as jax-rrtmgp's functions take them, all columns' in one axis (n,).

    Args:
        tables: Of the k-distribution.
        ratios: Mixing ratios of the gases that are the same everywhere.
        amount: Molecules of dry air [m-2].
        temperature: [K].
        pressure: [Pa].
        gases: Mixing ratios of the others, by RRTMGP's number of the gas.
    """

    tables: Any
    ratios: Any
    amount: Any
    temperature: Any
    pressure: Any
    gases: Mapping[Any, Any]

    @classmethod
    def of(cls, distribution: KDistribution, columns: Batch) -> "GasState":
        """Return the layers of columns."""
        xp, tables = rrtmgp().jax.numpy, lookup(distribution)
        ratios = rrtmgp().mixing_ratios.LookupVolumeMixingRatio(
            global_means={"dry_air": 1.0, **dict(fixed_gases())}
        )
        level, shape = columns["pressure"], columns["temperature"].shape
        gases = {
            tables.idx_gases[name]: xp.broadcast_to(
                columns[name].reshape(shape[0], -1), shape
            ).ravel()
            for name in VARIABLE
        }
        return cls(
            tables,
            ratios,
            molecules(xp, level, columns["h2o"]).ravel(),
            columns["temperature"].ravel(),
            layer_pressures(level).ravel(),
            gases,
        )

    def absorption(self, g: Any) -> Any:
        """Return the optical depth (n,) that major and minor gases absorb by."""
        optics = rrtmgp().gas_optics
        arguments = (
            self.tables, self.ratios, self.amount, self.temperature, self.pressure, g, self.gases
        )  # fmt: skip
        depth = optics.compute_major_optical_depth(*arguments)
        return depth + optics.compute_minor_optical_depth(*arguments)


def _in_portions(radiation: Radiation, inputs: Batch, what: Answer) -> tuple[Array, ...]:
    columns = {name: np.asarray(array, np.float32) for name, array in inputs.items()}
    n, begin = n_samples(columns), 0
    parts: list[tuple[Array, ...]] = []
    many, few, one = PORTIONS
    while begin < n:
        # A column alone is called as such; what is left of more is filled up with its last column.
        portion = one if n == 1 else many if n - begin > few else few
        index = np.minimum(np.arange(begin, begin + portion), n - 1)
        levels = columns["pressure"].shape[1]
        program = _compiled(radiation, what, portion, levels)
        found = program({name: array[index] for name, array in columns.items()})
        kept = min(portion, n - begin)
        parts.append(tuple(np.asarray(each)[:kept] for each in found))
        begin += portion
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


@cache
def _compiled(radiation: Radiation, what: Answer, columns: int, levels: int) -> Program:
    """Return the program for so many columns; the first call compiles for a few seconds."""
    jax = rrtmgp().jax
    shapes = {
        name: jax.ShapeDtypeStruct((columns, *shape), np.float32)
        for name, shape in radiation.shapes(levels).items()
    }
    lookup(radiation.distribution)  # read once, and not as a part of the first program

    def optics(columns: Any) -> Pair:
        first, second = radiation.over_g_points(radiation.optics_of_one(columns))
        return jax.numpy.moveaxis(first, 0, -1), jax.numpy.moveaxis(second, 0, -1)

    program = optics if what is Answer.OPTICS else radiation.answers_of
    with single_precision():
        return jax.jit(program).lower(shapes).compile()
