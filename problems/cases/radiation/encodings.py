"""Encodings of gas optics, whose predictions the solver converts to fluxes."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.cases.radiation.gas_optics import (
    AVOGADRO,
    RadiationModel,
    dry_air_molecules,
    output_batch,
)
from problems.cases.radiation.solver import layer_pressures
from problems.encodings.transforms import CLIP_LIMIT, nonzero
from problems.interfaces.types import (
    Array,
    Batch,
    Choose,
    Encoding,
    Layout,
    Pairs,
    Predict,
    Settings,
    Split,
    Target,
)

TROPOPAUSE_PA = 9948.4316
"""Pressure [Pa] at which RRTMGP changes from one set of tables to another."""

ROOTS = (16, 8, 4)
"""Exponents 1/16 (Ukkonen & Hogan 2023) to 1/4 of the power-law transform."""

SOLVER_BATCH = 16
"""Columns that are solved at once; their arrays fit into the cache of the processor."""


@dataclass(frozen=True, eq=False)
class GasOpticsEncoding(Encoding):
    """States of layers -> both optical properties at every g-point (see `RadiationModel`).

    Targets are computed by the reference. Optical depths are learned per amount of air, transformed
    to (x^(1/root) - 1) root; Planck fractions are learned without a transform. The solver runs in
    NumPy, and its table is part of the statistics, so a surrogate doesn't call the reference.

    Args:
        radiation: Gas optics and solver of one part of the spectrum.
        root: Searched: root of the power-law transform.
        split: Searched: whether layers above and below the tropopause have separate statistics and
            first weights; their states are then in different channels.
    """

    radiation: RadiationModel
    root: int = ROOTS[0]
    split: bool = False

    target: ClassVar[Target] = Target.VALUE

    def settings(self, choose: Choose) -> Settings:
        """Return the chosen transform, and whether layers are split at the tropopause."""
        return {
            "root": choose.categorical("root", ROOTS),
            "split": choose.categorical("split", (False, True)),
        }

    def measure(self, train: Split) -> Batch:
        """Return centres and scales of states and optics, and the table of the solver."""
        state, optics = _states(train.inputs), self._transformed_optics(train.inputs)
        above = layer_pressures(train.inputs["pressure"]) < TROPOPAUSE_PA
        parts = [state[above], state[~above]] if self.split else [state.reshape(-1, STATE_CHANNELS)]
        return {
            "state_centre": np.stack([part.mean(axis=0) for part in parts]),
            "state_scale": nonzero(np.stack([part.std(axis=0) for part in parts])),
            "centre": optics.mean(axis=(0, 1), dtype=float),
            "scale": nonzero(optics.std(axis=(0, 1), dtype=float)),
            "table": self.radiation.table(),
        }

    def pairs(self, split: Split) -> Pairs:
        """Return the states of a split (n, c) and the scaled optics of the reference (n, o)."""
        statistics = self.statistics
        targets = self._transformed_optics(split.inputs)
        targets -= statistics["centre"].astype(np.float32)
        targets /= statistics["scale"].astype(np.float32)
        return Pairs(self._network_input(split.inputs), self._targets(targets))

    def apply(self, network: Predict, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return fluxes and optical depths by one network call and the solver.

        The solver runs on `SOLVER_BATCH` columns at a time.

        Args:
            network: Network: states (n, c) or columns (b, l, c) -> scaled optics.
            inputs: Columns.
            rng: Not used.
        """
        n, layers = inputs["temperature"].shape
        predicted = network(self._network_input(inputs)).reshape(n, layers, -1)
        up = np.empty((n, layers + 1), np.float32)
        down, depth = np.empty_like(up), np.empty((n, layers), np.float32)
        table = self.statistics["table"].astype(np.float32)
        for begin in range(0, n, SOLVER_BATCH):
            part = slice(begin, begin + SOLVER_BATCH)
            columns = {name: np.asarray(array[part], np.float32) for name, array in inputs.items()}
            optics = self._optics(predicted[part], columns)
            up[part], down[part], depth[part] = self.radiation.solve(optics, columns, table)
        return output_batch((up, down, depth))

    def _targets(self, targets: Array) -> Array:
        """Return targets (n, o) of scaled optics (b, l, o)."""
        return targets.reshape(-1, targets.shape[-1])

    def _network_input(self, inputs: Batch) -> Array:
        return self._scaled_states(inputs).reshape(-1, self._channels)

    @property
    def _channels(self) -> int:
        return 2 * STATE_CHANNELS + 1 if self.split else STATE_CHANNELS

    def _scaled_states(self, inputs: Batch) -> Array:
        """Return scaled states (b, l, c); if split, channels above, channels below and a flag."""
        state, statistics = _states(inputs), self.statistics
        scaled = (state[..., None, :] - statistics["state_centre"]) / statistics["state_scale"]
        if not self.split:
            return scaled[..., 0, :].astype(np.float32)
        above = (layer_pressures(inputs["pressure"]) < TROPOPAUSE_PA)[..., None]
        parts = [np.where(above, scaled[..., 0, :], 0.0), np.where(above, 0.0, scaled[..., 1, :])]
        return np.concatenate([*parts, above], axis=-1).astype(np.float32)

    def _amount(self, columns: Batch) -> Array:
        """Return the amount of air (b, l) by which optical depths are divided."""
        return np.diff(columns["pressure"], axis=1)

    def _transformed_optics(self, inputs: Batch) -> Array:
        """Return the transformed optics of the reference (b, l, 2 g)."""
        amount = self._amount(inputs).astype(np.float32)[..., None]
        parts: list[Array] = []
        for values, power_transformed in zip(
            self.radiation.optics(inputs), self.radiation.power_transformed, strict=True
        ):
            root = np.float32(1.0 / self.root)
            if power_transformed:
                parts.append(((values / amount) ** root - 1.0) * self.root)
            else:
                parts.append(values)
        return np.concatenate(parts, axis=-1)

    def _optics(self, predicted: Array, columns: Batch) -> tuple[Array, Array]:
        """Return both optics, (b, l, g) each, of the predictions of a network."""
        statistics, points = self.statistics, predicted.shape[-1] // 2
        clipped = np.clip(predicted, -CLIP_LIMIT, CLIP_LIMIT)
        scale = statistics["scale"].astype(np.float32)
        centre = statistics["centre"].astype(np.float32)
        amount = self._amount(columns).astype(np.float32)[..., None]
        first, second = (
            self._depth(clipped[..., part], scale[part], centre[part], amount)
            if power_transformed
            else np.maximum(clipped[..., part] * scale[part] + centre[part], 0.0)
            for part, power_transformed in zip(
                (slice(points), slice(points, None)), self.radiation.power_transformed, strict=True
            )
        )
        return first, second

    def _depth(self, scaled: Array, scale: Array, centre: Array, amount: Array) -> Array:
        """Return the optical depths (b, l, g) of scaled transforms (b, l, g)."""
        base = scaled * (scale / self.root)
        base += 1.0 + centre / self.root
        depth = np.maximum(base, 0.0, out=base)
        for _ in range(self.root.bit_length() - 1):
            np.square(depth, out=depth)
        depth *= amount
        return depth


@dataclass(frozen=True, eq=False)
class LayerEncoding(GasOpticsEncoding):
    """The state of one layer -> its optics, with optical depth per pressure thickness."""

    IDENTITY: ClassVar[str] = "radiation/layer"

    layout: ClassVar[Layout] = Layout.FLAT


@dataclass(frozen=True, eq=False)
class MoleculeEncoding(LayerEncoding):
    """The state of one layer -> its optics, with optical depth per kilomole of dry air."""

    IDENTITY: ClassVar[str] = "radiation/molecule"

    def _amount(self, columns: Batch) -> Array:
        return dry_air_molecules(np, columns["pressure"], columns["h2o"]) / (1e3 * AVOGADRO)


@dataclass(frozen=True, eq=False)
class ColumnEncoding(GasOpticsEncoding):
    """The states of all layers, from the top down -> the optics of all layers."""

    IDENTITY: ClassVar[str] = "radiation/column"

    layout: ClassVar[Layout] = Layout.SEQUENCE

    @property
    def aligned(self) -> bool:
        """True: optics are predicted at their layer."""
        return True

    def _network_input(self, inputs: Batch) -> Array:
        return self._scaled_states(inputs)

    def _targets(self, targets: Array) -> Array:
        return targets.reshape(len(targets), -1)


STATE_CHANNELS = 7


def _states(inputs: Batch) -> Array:
    """Return the states of layers (b, l, c), with the fourth roots of humidity and ozone."""
    temperature = inputs["temperature"]
    gases = [np.log(inputs[name])[:, None] for name in ("co2", "ch4", "n2o")]
    profiles = [inputs["h2o"] ** 0.25, inputs["o3"] ** 0.25, *gases]
    parts = [np.log(layer_pressures(inputs["pressure"])), temperature, *profiles]
    return np.stack([np.broadcast_to(part, temperature.shape) for part in parts], axis=-1)
