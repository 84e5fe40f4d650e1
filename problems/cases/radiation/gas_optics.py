"""Gas optics of RRTMGP and a solver, compiled by XLA: the common part of longwave and shortwave.

The interpolation of the k-distribution is that of jax-rrtmgp.
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
"""Molar masses [kg mol-1], with the values of RRTMGP."""

VARIABLE_GASES = ("h2o", "o3", "co2", "ch4", "n2o")
"""Gases whose mixing ratios are inputs."""

COMPILED_BATCHES = (32, 8, 1)
"""Columns per compiled call. XLA compiles for a fixed shape; 32 columns are the fastest."""

OpticsPair = tuple[Any, Any]
RadiationOutputs = tuple[Any, Any, Any]
"""Upward and downward fluxes (b, l + 1) [W m-2], and optical depths of grey layers (b, l)."""
CompiledProgram = Callable[[Any], tuple[Any, ...]]
SpectralOptics = Callable[[Any], OpticsPair]
"""The number of a g-point -> its two optical properties, (b, l) each."""


class ProgramKind(Enum):
    """The output of a compiled program: optics alone, or fluxes and optical depths."""

    OPTICS = auto()
    ALL = auto()


@dataclass(frozen=True)
class RadiationModel(ABC):
    """Gas optics of RRTMGP and the solver for one part of the spectrum.

    Args:
        distribution: k-distribution, which sets the spectral resolution.
    """

    distribution: KDistribution

    scalar_inputs: ClassVar[tuple[str, ...]]
    """Inputs with one number per column."""
    power_transformed: ClassVar[tuple[bool, bool]]
    """Whether each of the two optics is learned with the power-law transform per amount of air."""

    def optics(self, inputs: Batch) -> tuple[Array, Array]:
        """Return both optics of columns, (b, l, g) each, in float32.

        Raises:
            MissingExtraError: jax-rrtmgp is not installed.
        """
        first, second = _run_in_batches(self, inputs, ProgramKind.OPTICS)
        return first, second

    def fluxes_and_depths(self, inputs: Batch) -> tuple[Array, Array, Array]:
        """Return upward and downward fluxes (b, l + 1) [W m-2] and optical depths (b, l).

        The optical depth of a layer is that of a grey layer that removes as much of black
        radiation, or of unattenuated sunlight. All arrays are float32.

        Raises:
            MissingExtraError: jax-rrtmgp is not installed.
        """
        up, down, depth = _run_in_batches(self, inputs, ProgramKind.ALL)
        return up, down, depth

    def shapes(self, levels: int) -> Mapping[str, tuple[int, ...]]:
        """Return the shape of each input for one column."""
        profile = dict.fromkeys(("temperature", "h2o", "o3"), (levels - 1,))
        return {"pressure": (levels,), **profile, **dict.fromkeys(self.scalar_inputs, ())}

    @abstractmethod
    def table(self) -> Array:
        """Return the table of the solver with entries for each g-point (..., g)."""

    @abstractmethod
    def spectral_optics(self, columns: Batch) -> SpectralOptics:
        """Return the function from g-points to the optics of columns, in JAX."""

    @abstractmethod
    def traced_fluxes_and_depths(self, columns: Batch) -> RadiationOutputs:
        """Return fluxes and optical depths of columns, in JAX."""

    def map_g_points(self, spectral: Callable[[Any], tuple[Any, ...]]) -> tuple[Any, ...]:
        """Return the results of a function for all g-points in sequence, (g, ...) each."""
        jax = import_rrtmgp().jax
        return jax.lax.map(spectral, jax.numpy.arange(load_tables(self.distribution).n_gpt))

    @abstractmethod
    def solve(self, optics: tuple[Array, Array], columns: Batch, table: Array) -> RadiationOutputs:
        """Return upward and downward fluxes (b, l + 1) [W m-2] and optical depths (b, l).

        Args:
            optics: Both optics (b, l, g), NumPy arrays.
            columns: Inputs of the columns.
            table: Table of the solver (..., g).
        """


def output_batch(fluxes_and_depths: RadiationOutputs) -> Batch:
    """Return fluxes and optical depths by the names of the outputs."""
    up, down, depth = fluxes_and_depths
    return {"flux_up": up, "flux_down": down, "optical_depth": depth}


def dry_air_molecules(xp: Any, pressure: Any, h2o: Any) -> Any:
    """Return the number of molecules of dry air in layers (b, l) [m-2].

    Args:
        xp: `numpy` or `jax.numpy`.
        pressure: Pressure of the levels (b, l + 1) [Pa].
        h2o: Volume mixing ratio of water vapour relative to dry air (b, l).
    """
    mass = xp.diff(pressure, axis=1) / STANDARD_GRAVITY
    return mass * AVOGADRO / (DRY_AIR + WATER * h2o)


@dataclass(frozen=True, eq=False)
class GasState:
    """The layers of all columns in one axis (n,), as arguments of jax-rrtmgp.

    Args:
        tables: Tables of the k-distribution.
        ratios: Mixing ratios of gases that are constant.
        amount: Molecules of dry air (n,) [m-2].
        temperature: Temperature (n,) [K].
        pressure: Pressure (n,) [Pa].
        gases: Mixing ratios of the variable gases (n,), by the number of the gas in RRTMGP.
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
        """Return the optical depth of absorption by major and minor gases (n,)."""
        optics = import_rrtmgp().gas_optics
        arguments = (
            self.tables, self.ratios, self.amount, self.temperature, self.pressure, g, self.gases
        )  # fmt: skip
        depth = optics.compute_major_optical_depth(*arguments)
        return depth + optics.compute_minor_optical_depth(*arguments)


def _run_in_batches(
    radiation: RadiationModel, inputs: Batch, kind: ProgramKind
) -> tuple[Array, ...]:
    """Return the results of a compiled program for all columns, (b, ...) each."""
    columns = {name: np.asarray(array, np.float32) for name, array in inputs.items()}
    n, begin = n_samples(columns), 0
    parts: list[tuple[Array, ...]] = []
    large, small, one = COMPILED_BATCHES
    while begin < n:
        # A single column has its own program; an incomplete batch is filled with the last column.
        size = one if n == 1 else large if n - begin > small else small
        index = np.minimum(np.arange(begin, begin + size), n - 1)
        levels = columns["pressure"].shape[1]
        program = _compiled(radiation, kind, size, levels)
        results = program({name: array[index] for name, array in columns.items()})
        kept = min(size, n - begin)
        parts.append(tuple(np.asarray(result)[:kept] for result in results))
        begin += size
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


@cache
def _compiled(
    radiation: RadiationModel, kind: ProgramKind, columns: int, levels: int
) -> CompiledProgram:
    """Return the compiled program for a number of columns; compiling takes a few seconds."""
    jax = import_rrtmgp().jax
    shapes = {
        name: jax.ShapeDtypeStruct((columns, *shape), np.float32)
        for name, shape in radiation.shapes(levels).items()
    }
    load_tables(radiation.distribution)  # read once, outside the tracing of the first program

    def optics(columns: Any) -> OpticsPair:
        first, second = radiation.map_g_points(radiation.spectral_optics(columns))
        return jax.numpy.moveaxis(first, 0, -1), jax.numpy.moveaxis(second, 0, -1)

    program = optics if kind is ProgramKind.OPTICS else radiation.traced_fluxes_and_depths
    with ignore_dtype_warnings():
        return jax.jit(program).lower(shapes).compile()
