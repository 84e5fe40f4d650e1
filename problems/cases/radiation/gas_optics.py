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

from problems.cases.radiation.k_distribution import (
    KDistribution,
    ignore_dtype_warnings,
    import_rrtmgp,
    load_tables,
)
from problems.cases.radiation.profiles import fixed_gases
from problems.cases.radiation.solver import STANDARD_GRAVITY, layer_pressures
from problems.interfaces.types import Array, Batch, n_samples

AVOGADRO = 6.02214076e23
"""[mol-1], exact in the SI."""

DRY_AIR, WATER = 0.028964, 0.018016
"""Molar masses [kg mol-1], as RRTMGP has them."""

VARIABLE_GASES = ("h2o", "o3", "co2", "ch4", "n2o")
"""Gases whose mixing ratio is an input."""

COMPILED_BATCHES = (32, 8, 1)
"""Columns of a compiled call, since XLA compiles for one shape at a time; 32 are the quickest."""

OpticsPair = tuple[Any, Any]
RadiationOutputs = tuple[Any, Any, Any]
"""Upward and downward fluxes (b, l + 1) [W m-2], and optical depths of grey layers (b, l)."""
CompiledProgram = Callable[[Any], tuple[Any, ...]]
SpectralOptics = Callable[[Any], OpticsPair]
"""Of a g-point's number: its optics (b, l) each."""


class ProgramKind(Enum):
    """What a compiled program returns."""

    OPTICS = auto()
    ALL = auto()


@dataclass(frozen=True)
class RadiationModel(ABC):
    """One part of the spectrum: RRTMGP's gas optics of it, and the solver behind them.

    Args:
        distribution: The k-distribution: how finely the spectrum is resolved.
    """

    distribution: KDistribution

    scalar_inputs: ClassVar[tuple[str, ...]]
    """Inputs that are one number a column."""
    power_transformed: ClassVar[tuple[bool, bool]]
    """Which of both optics are learned by the power-law transform of an amount per air."""

    def optics(self, inputs: Batch) -> tuple[Array, Array]:
        """Return both optics of columns, (b, l, g) each in float32.

        Raises:
            MissingExtraError: jax-rrtmgp is not installed.
        """
        first, second = _in_portions(self, inputs, ProgramKind.OPTICS)
        return first, second

    def fluxes_and_depths(self, inputs: Batch) -> tuple[Array, Array, Array]:
        """Return upward and downward fluxes (b, l + 1) [W m-2] and optical depths (b, l).

        A layer's optical depth is that of a grey one which takes as much of black radiation, or of
        unfaded sunlight; all are float32.

        Raises:
            MissingExtraError: jax-rrtmgp is not installed.
        """
        up, down, depth = _in_portions(self, inputs, ProgramKind.ALL)
        return up, down, depth

    def shapes(self, levels: int) -> Mapping[str, tuple[int, ...]]:
        """Return the shape of each input of one column."""
        profile = dict.fromkeys(("temperature", "h2o", "o3"), (levels - 1,))
        return {"pressure": (levels,), **profile, **dict.fromkeys(self.scalar_inputs, ())}

    @abstractmethod
    def table(self) -> Array:
        """Return what the solver has to know of each g-point, (..., g)."""

    @abstractmethod
    def spectral_optics(self, columns: Batch) -> SpectralOptics:
        """Return what gives the optics of any g-point of columns, in JAX."""

    @abstractmethod
    def traced_fluxes_and_depths(self, columns: Batch) -> RadiationOutputs:
        """Return fluxes and optical depths of columns, in JAX."""

    def map_g_points(self, spectral: Callable[[Any], tuple[Any, ...]]) -> tuple[Any, ...]:
        """Return what is told of each g-point, one after the other: (g, ...) each."""
        jax = import_rrtmgp().jax
        return jax.lax.map(spectral, jax.numpy.arange(load_tables(self.distribution).n_gpt))

    @abstractmethod
    def solve(self, optics: tuple[Array, Array], columns: Batch, table: Array) -> RadiationOutputs:
        """Return fluxes and optical depths of optics (b, l, g), in NumPy."""


def output_batch(fluxes_and_depths: RadiationOutputs) -> Batch:
    """Return answers by the names of a run's outputs."""
    up, down, depth = fluxes_and_depths
    return {"flux_up": up, "flux_down": down, "optical_depth": depth}


def dry_air_molecules(xp: Any, pressure: Any, h2o: Any) -> Any:
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
        xp, tables = import_rrtmgp().jax.numpy, load_tables(distribution)
        ratios = import_rrtmgp().mixing_ratios.LookupVolumeMixingRatio(
            global_means={"dry_air": 1.0, **dict(fixed_gases())}
        )
        level, shape = columns["pressure"], columns["temperature"].shape
        gases = {
            tables.idx_gases[name]: xp.broadcast_to(
                columns[name].reshape(shape[0], -1), shape
            ).ravel()
            for name in VARIABLE_GASES
        }
        return cls(
            tables,
            ratios,
            dry_air_molecules(xp, level, columns["h2o"]).ravel(),
            columns["temperature"].ravel(),
            layer_pressures(level).ravel(),
            gases,
        )

    def absorption(self, g: Any) -> Any:
        """Return the optical depth (n,) that major and minor gases absorb by."""
        optics = import_rrtmgp().gas_optics
        arguments = (
            self.tables, self.ratios, self.amount, self.temperature, self.pressure, g, self.gases
        )  # fmt: skip
        depth = optics.compute_major_optical_depth(*arguments)
        return depth + optics.compute_minor_optical_depth(*arguments)


def _in_portions(radiation: RadiationModel, inputs: Batch, what: ProgramKind) -> tuple[Array, ...]:
    columns = {name: np.asarray(array, np.float32) for name, array in inputs.items()}
    n, begin = n_samples(columns), 0
    parts: list[tuple[Array, ...]] = []
    many, few, one = COMPILED_BATCHES
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
def _compiled(
    radiation: RadiationModel, what: ProgramKind, columns: int, levels: int
) -> CompiledProgram:
    """Return the program for so many columns; the first call compiles for a few seconds."""
    jax = import_rrtmgp().jax
    shapes = {
        name: jax.ShapeDtypeStruct((columns, *shape), np.float32)
        for name, shape in radiation.shapes(levels).items()
    }
    load_tables(radiation.distribution)  # read once, and not as a part of the first program

    def optics(columns: Any) -> OpticsPair:
        first, second = radiation.map_g_points(radiation.spectral_optics(columns))
        return jax.numpy.moveaxis(first, 0, -1), jax.numpy.moveaxis(second, 0, -1)

    program = optics if what is ProgramKind.OPTICS else radiation.traced_fluxes_and_depths
    with ignore_dtype_warnings():
        return jax.jit(program).lower(shapes).compile()
