"""Three ways to put gas optics to a network, whose answers the solver turns into fluxes."""

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
"""Pressure [Pa] at which RRTMGP goes from one set of tables to another."""

ROOTS = (16, 8, 4)
"""Exponents 1/16 (Ukkonen & Hogan 2023) to 1/4 of the power-law transform."""

SOLVER_BATCH = 16
"""Columns that are solved at once: their arrays stay in the processor's cache."""


@dataclass(frozen=True, eq=False)
class GasOpticsEncoding(Encoding):
    """States of layers -> both optics at every g-point of each: see `Radiation`.

    An optical depth is learned per amount of air, as (x^(1/root) - 1) root, a Planck fraction as it
    is. The solver is NumPy's; the table it needs is among the statistics, so a surrogate asks
    nothing of the reference. What networks learn from, the reference's kernel is asked for.

    Args:
        radiation: The reference's part of the spectrum.
        root: Of the power-law transform.
        split: Whether layers above and below the tropopause have statistics and first weights of
            their own: their states then stand in different channels.
    """

    radiation: RadiationModel
    root: int = ROOTS[0]
    split: bool = False

    target: ClassVar[Target] = Target.VALUE

    def settings(self, choose: Choose) -> Settings:
        """Choose the transform, and one set of weights or two."""
        return {
            "root": choose.categorical("root", ROOTS),
            "split": choose.categorical("split", (False, True)),
        }

    def measure(self, train: Split) -> Batch:
        """Return centres and scales of states and of optics, and the solver's table."""
        state, answers = _states(train.inputs), self._answers(train.inputs)
        above = layer_pressures(train.inputs["pressure"]) < TROPOPAUSE_PA
        known = [state[above], state[~above]] if self.split else [state.reshape(-1, STATE_CHANNELS)]
        return {
            "state_centre": np.stack([each.mean(axis=0) for each in known]),
            "state_scale": nonzero(np.stack([each.std(axis=0) for each in known])),
            "centre": answers.mean(axis=(0, 1), dtype=float),
            "scale": nonzero(answers.std(axis=(0, 1), dtype=float)),
            "table": self.radiation.table(),
        }

    def pairs(self, split: Split) -> Pairs:
        """Return what the reference's kernel answers to the states of a split."""
        known = self.statistics
        targets = self._answers(split.inputs)
        targets -= known["centre"].astype(np.float32)
        targets /= known["scale"].astype(np.float32)
        return Pairs(self._network_input(split.inputs), self._targets(targets))

    def apply(self, network: Predict, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Ask for the optics of all columns at once, and solve a few columns at a time."""
        n, layers = inputs["temperature"].shape
        answers = network(self._network_input(inputs)).reshape(n, layers, -1)
        up = np.empty((n, layers + 1), np.float32)
        down, depth = np.empty_like(up), np.empty((n, layers), np.float32)
        table = self.statistics["table"].astype(np.float32)
        for begin in range(0, n, SOLVER_BATCH):
            some = slice(begin, begin + SOLVER_BATCH)
            columns = {name: np.asarray(array[some], np.float32) for name, array in inputs.items()}
            optics = self._optics(answers[some], columns)
            up[some], down[some], depth[some] = self.radiation.solve(optics, columns, table)
        return output_batch((up, down, depth))

    def _targets(self, targets: Array) -> Array:
        """Return targets (n, o) of scaled answers (b, l, o)."""
        return targets.reshape(-1, targets.shape[-1])

    def _network_input(self, inputs: Batch) -> Array:
        return self._scaled_states(inputs).reshape(-1, self._channels)

    @property
    def _channels(self) -> int:
        return 2 * STATE_CHANNELS + 1 if self.split else STATE_CHANNELS

    def _scaled_states(self, inputs: Batch) -> Array:
        """Return states (b, l, c); where split, those below stand behind those above, then 1."""
        state, known = _states(inputs), self.statistics
        scaled = (state[..., None, :] - known["state_centre"]) / known["state_scale"]
        if not self.split:
            return scaled[..., 0, :].astype(np.float32)
        above = (layer_pressures(inputs["pressure"]) < TROPOPAUSE_PA)[..., None]
        parts = [np.where(above, scaled[..., 0, :], 0.0), np.where(above, 0.0, scaled[..., 1, :])]
        return np.concatenate([*parts, above], axis=-1).astype(np.float32)

    def _amount(self, columns: Batch) -> Array:
        """Return the amount of air in layers (b, l) that an optical depth is divided by."""
        return np.diff(columns["pressure"], axis=1)

    def _answers(self, inputs: Batch) -> Array:
        """Return transformed optics (b, l, 2 g) by the reference."""
        amount = self._amount(inputs).astype(np.float32)[..., None]
        parts: list[Array] = []
        for own, power_transformed in zip(
            self.radiation.optics(inputs), self.radiation.power_transformed, strict=True
        ):
            root = np.float32(1.0 / self.root)
            parts.append(((own / amount) ** root - 1.0) * self.root if power_transformed else own)
        return np.concatenate(parts, axis=-1)

    def _optics(self, answers: Array, columns: Batch) -> tuple[Array, Array]:
        """Return both optics, (b, l, g) each, of a network's answers."""
        known, points = self.statistics, answers.shape[-1] // 2
        held = np.clip(answers, -CLIP_LIMIT, CLIP_LIMIT)
        scale = known["scale"].astype(np.float32)
        centre = known["centre"].astype(np.float32)
        amount = self._amount(columns).astype(np.float32)[..., None]
        first, second = (
            self._depth(held[..., own], scale[own], centre[own], amount)
            if power_transformed
            else np.maximum(held[..., own] * scale[own] + centre[own], 0.0)
            for own, power_transformed in zip(
                (slice(points), slice(points, None)), self.radiation.power_transformed, strict=True
            )
        )
        return first, second

    def _depth(self, held: Array, scale: Array, centre: Array, amount: Array) -> Array:
        """Return optical depths of layers by their scaled transforms (b, l, g)."""
        base = held * (scale / self.root)
        base += 1.0 + centre / self.root
        depth = np.maximum(base, 0.0, out=base)
        for _ in range(self.root.bit_length() - 1):
            np.square(depth, out=depth)
        depth *= amount
        return depth


@dataclass(frozen=True, eq=False)
class LayerEncoding(GasOpticsEncoding):
    """One layer's state -> its optics: optical depth per pressure thickness."""

    IDENTITY: ClassVar[str] = "radiation/layer"

    layout: ClassVar[Layout] = Layout.FLAT


@dataclass(frozen=True, eq=False)
class MoleculeEncoding(LayerEncoding):
    """One layer's state -> its optics: absorption per kilomole of dry air, whatever the grid."""

    IDENTITY: ClassVar[str] = "radiation/molecule"

    def _amount(self, columns: Batch) -> Array:
        return dry_air_molecules(np, columns["pressure"], columns["h2o"]) / (1e3 * AVOGADRO)


@dataclass(frozen=True, eq=False)
class ColumnEncoding(GasOpticsEncoding):
    """The layers' states in order, from the top down -> the optics of all of them."""

    IDENTITY: ClassVar[str] = "radiation/column"

    layout: ClassVar[Layout] = Layout.SEQUENCE

    @property
    def aligned(self) -> bool:
        """Optics lie on the layers that they belong to."""
        return True

    def _network_input(self, inputs: Batch) -> Array:
        return self._scaled_states(inputs)

    def _targets(self, targets: Array) -> Array:
        return targets.reshape(len(targets), -1)


STATE_CHANNELS = 7


def _states(inputs: Batch) -> Array:
    """Return what a layer's optics depend on (b, l, c), humidity and ozone by a quarter power."""
    temperature = inputs["temperature"]
    gases = [np.log(inputs[name])[:, None] for name in ("co2", "ch4", "n2o")]
    profiles = [inputs["h2o"] ** 0.25, inputs["o3"] ** 0.25, *gases]
    parts = [np.log(layer_pressures(inputs["pressure"])), temperature, *profiles]
    return np.stack([np.broadcast_to(part, temperature.shape) for part in parts], axis=-1)
