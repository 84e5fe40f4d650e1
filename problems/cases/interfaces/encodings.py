"""Encodings of an interface that don't change with its orientation, its place or its first side."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.cases.interfaces.canonical import CanonicalSides, canonical_sides
from problems.cases.interfaces.descriptors import COUNTS, DESCRIPTORS, descriptors_of
from problems.cases.interfaces.residues import (
    CHARACTER_OF_KIND,
    CHARACTERS,
    KINDS,
    PROPERTIES,
    PROPERTY_COLUMNS,
    RESIDUES,
)
from problems.cases.interfaces.simulation import LABEL, kinds_of
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

MIN_DEVIATION = 1e-6
"""Standard deviation below which a channel is constant except for rounding."""

LENGTH_A = 10.0
"""Unit of the lengths that networks read."""

NEIGHBOUR_A = 8.0
"""Largest distance of residues of one side that are joined in a graph."""

LARGEST_DISTANCE_A = 16.0
"""Distance beyond which pairs are left out of histograms."""

KIND_NAMES, PROPERTY_NAMES = "kinds", "properties"


@dataclass(frozen=True, eq=False)
class InterfaceEncoding(Encoding):
    """Channels of an interface -> the probability that it is biological.

    A table names its label as it likes; the probability is put into the only output.

    Args:
        label: Name of the output.
    """

    label: str = LABEL

    target: ClassVar[Target] = Target.LABEL

    def settings(self, choose: Choose) -> Settings:  # noqa: ARG002 - most have none
        """Return no settings."""
        return {}

    def measure(self, train: Split) -> Batch:  # noqa: ARG002 - scales are those of residues
        """Return no statistics: channels are of order one."""
        return {}

    def pairs(self, split: Split) -> Pairs:
        """Return channels (n, ..., c) and labels (n, 1)."""
        labels = np.asarray(split.outputs[self.label], np.float32)[:, None]
        return Pairs(self.network_input(split.inputs), labels)

    def apply(self, network: Predict, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return the probability of being biological (b,)."""
        chance = network(self.network_input(inputs)).astype(float)[:, 0]
        return {self.label: np.clip(chance, 0.0, 1.0)}

    @abstractmethod
    def network_input(self, inputs: Batch) -> Array:
        """Return the channels of interfaces (b, ..., c), float32."""


@dataclass(frozen=True, eq=False)
class ScaledRows(InterfaceEncoding):
    """Rows of counts and densities, counts as square roots, all standardised."""

    layout: ClassVar[Layout] = Layout.FLAT

    def measure(self, train: Split) -> Batch:
        """Return means and standard deviations of the channels (c,)."""
        rows = self.rows(train.inputs)
        deviation = rows.std(axis=0)
        scale = np.where(deviation > MIN_DEVIATION, deviation, 1.0)
        return {"mean": rows.mean(axis=0), "scale": scale}

    def network_input(self, inputs: Batch) -> Array:
        """Return the standardised channels (b, c)."""
        scaled = (self.rows(inputs) - self.statistics["mean"]) / self.statistics["scale"]
        return scaled.astype(np.float32)

    @abstractmethod
    def rows(self, inputs: Batch) -> Array:
        """Return the channels of interfaces before they are standardised (b, c)."""


@dataclass(frozen=True, eq=False)
class DescriptorsEncoding(ScaledRows):
    """The 27 descriptors: contacts by character, link density and counts of residues."""

    IDENTITY: ClassVar[str] = "interfaces/descriptors"

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the descriptors (27,)."""
        return DESCRIPTORS

    def rows(self, inputs: Batch) -> Array:
        """Return the descriptors, counts as square roots (b, 27)."""
        descriptors = descriptor_table(inputs)
        return np.where(COUNTS, np.sqrt(np.maximum(descriptors, 0.0)), descriptors)


def descriptor_table(inputs: Batch) -> Array:
    """Return the descriptors (b, 27) of complexes, or of the columns of a table.

    Args:
        inputs: The fields of complexes, or a field for each descriptor.
    """
    if DESCRIPTORS[0] in inputs:
        return np.stack([np.asarray(inputs[name], float) for name in DESCRIPTORS], axis=1)
    return descriptors_of(inputs["contact"], kinds_of(inputs))


@dataclass(frozen=True, eq=False)
class DistancesEncoding(ScaledRows):
    """Contacts and histograms of the distances across the interface, for each pair of kinds.

    A pair counts in two neighbouring bins, with weights that add up to one, so that a small move
    changes little.

    Args:
        kinds: Searched: whether pairs are those of the 20 kinds, or of the three characters.
        bins: Searched: number of bins.
    """

    IDENTITY: ClassVar[str] = "interfaces/distances"

    kinds: bool = True
    bins: int = 2

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the channels (c,): pairs, in contact or by distance."""
        groups = [each.name for each in RESIDUES] if self.kinds else [*map(str, CHARACTERS)]
        edges = np.linspace(0.0, LARGEST_DISTANCE_A, self.bins + 1)[: self.bins]
        columns = ["in contact", *(f"about {edge:g} A apart" for edge in edges)]
        return tuple(
            f"{groups[low]}-{groups[high]} {column}"
            for high in range(len(groups))
            for low in range(high + 1)
            for column in columns
        )

    def settings(self, choose: Choose) -> Settings:
        """Return whether pairs are those of kinds, and the number of bins."""
        return {
            "kinds": choose.categorical("kinds", (False, True)),
            "bins": choose.categorical("bins", (1, 2, 4)),
        }

    def rows(self, inputs: Batch) -> Array:
        """Return the square roots of the numbers of contacts and pairs (b, (1 + bins) * pairs)."""
        position, kinds = np.asarray(inputs["position"], float), kinds_of(inputs)
        apart = np.linalg.norm(position[:, 0, :, None] - position[:, 1, None], axis=-1)
        present = (kinds[:, 0, :, None] > 0) & (kinds[:, 1, None] > 0)
        near = present & (apart < LARGEST_DISTANCE_A)
        sample, i, j = np.nonzero(near)
        group = np.arange(KINDS) if self.kinds else CHARACTER_OF_KIND
        groups = group[kinds[sample, 0, i] - 1], group[kinds[sample, 1, j] - 1]
        low, high = np.minimum(*groups), np.maximum(*groups)
        pair = high * (high + 1) // 2 + low
        place = apart[near] / LARGEST_DISTANCE_A * self.bins
        first = np.minimum(place.astype(int), self.bins - 1)
        rest = place - first
        # Column 0 counts contacts; the last edge, where pairs cease to count, is left out.
        number, columns = int(group.max()) + 1, self.bins + 2
        pairs = number * (number + 1) // 2
        row, length = (sample * pairs + pair) * columns, len(kinds) * pairs * columns
        counts = np.bincount(row, np.asarray(inputs["contact"], float)[near], length)
        counts += np.bincount(row + 1 + first, 1.0 - rest, length)
        counts += np.bincount(row + 2 + first, rest, length)
        kept = counts.reshape(len(kinds), -1, columns)[..., :-1]
        return np.sqrt(kept).reshape(len(kinds), -1)


@dataclass(frozen=True, eq=False)
class ResidueChannels(InterfaceEncoding):
    """Encodings whose elements are residues, with scalars of each.

    Args:
        residues: Searched: whether the network reads the kind of a residue, or its properties.
    """

    residues: str = KIND_NAMES

    def settings(self, choose: Choose) -> Settings:
        """Return what the network reads of a residue."""
        return {"residues": choose.categorical("residues", (KIND_NAMES, PROPERTY_NAMES))}

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the scalars of a residue (c,)."""
        kinds = [each.name for each in RESIDUES]
        read = kinds if self.residues == KIND_NAMES else PROPERTY_COLUMNS
        return ("present", "first or second side", "number of contacts", *read)

    def scalars(self, sides: CanonicalSides) -> Array:
        """Return presence, side, number of contacts and kind of residues (b, p, c)."""
        kinds = sides.kinds
        table = np.eye(KINDS + 1)[:, 1:] if self.residues == KIND_NAMES else PROPERTIES
        side = np.where(sides.on_second, -1.0, 1.0) * (kinds > 0)
        columns = [(kinds > 0).astype(float), side, sides.degree / 4.0]
        return np.concatenate([np.stack(columns, axis=-1), table[kinds]], axis=-1)


@dataclass(frozen=True, eq=False)
class ResidueGraphEncoding(ResidueChannels):
    """Residues joined by their contacts, and by neighbourhood within a side."""

    IDENTITY: ClassVar[str] = "interfaces/graph"

    layout: ClassVar[Layout] = Layout.GRAPH

    def network_input(self, inputs: Batch) -> Array:
        """Return (b, p, 1 + p, c): in row i the scalars of residue i, then its edges."""
        sides = canonical_sides(inputs)
        scalars = self.scalars(sides)
        b, p, c = scalars.shape
        apart = np.linalg.norm(sides.positions[:, :, None] - sides.positions[:, None], axis=-1)
        present = sides.kinds > 0
        both = present[:, :, None] & present[:, None]
        across = sides.contact > 0.0
        beside = sides.on_second[:, :, None] == sides.on_second[:, None]
        joined = both & (across | (beside & (apart < NEIGHBOUR_A))) & ~np.eye(p, dtype=bool)
        graph = np.zeros((b, p, 1 + p, c), dtype=np.float32)
        graph[:, :, 0] = scalars
        graph[:, :, 1:, 0] = joined
        graph[:, :, 1:, 1] = across
        graph[:, :, 1:, 2] = joined * apart / LENGTH_A
        return graph


@dataclass(frozen=True, eq=False)
class BeadsEncoding(ResidueChannels):
    """Residues as beads with scalars, for networks that turn with their inputs.

    Places without a residue are beads at the middle of the interface, whose scalars are 0.
    """

    IDENTITY: ClassVar[str] = "interfaces/beads"

    layout: ClassVar[Layout] = Layout.VECTORS

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the components of a position, and of the scalars (3 + c,)."""
        return ("x", "y", "z", *super().channel_names)

    def network_input(self, inputs: Batch) -> Array:
        """Return positions about the middle of the contacts, then scalars (b, p, 3 + c)."""
        sides = canonical_sides(inputs)
        parts = [sides.positions / LENGTH_A, self.scalars(sides)]
        return np.concatenate(parts, axis=-1).astype(np.float32)
