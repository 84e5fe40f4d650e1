"""Ready-made encodings of sets of elements and graphs of nodes, which have no order."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.encodings.aligned import AlignedEncoding, align_field, axis_length
from problems.encodings.transforms import NORMALISATIONS, nonzero_around
from problems.errors import UnknownNameError
from problems.interfaces.types import Array, Batch, Field, Layout, Split, n_samples

PRESENT = "present"
"""Name of the channel that is 1 for an element or node, and 0 for padding."""


@dataclass(frozen=True, eq=False)
class SetEncoding(AlignedEncoding):
    """Unordered elements along one axis, such as particles or planets.

    Args:
        present: An input field along the axis that is positive for an element and 0 for padding;
            by default there is no padding.
    """

    IDENTITY: ClassVar[str] = "set"

    present: str = ""

    layout: ClassVar[Layout] = Layout.SET
    n_axes: ClassVar[int] = 1
    replaces_missing: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_present(type(self).__name__, self.inputs, self.axes[0], self.present)

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the channels (c,), of which the first says whether there is an element."""
        return (PRESENT, *super().channel_names)

    def _input_rows(self, inputs: Batch) -> Array:
        return self._aligned_inputs(inputs)[
            _presence(inputs, self.inputs, self.axes[0], self.present)
        ]

    def _network_input(self, inputs: Batch) -> Array:
        present = _presence(inputs, self.inputs, self.axes[0], self.present)
        scaled = super()._network_input(inputs)
        mask = present[..., None].astype(np.float32)
        return np.concatenate([mask, scaled * mask], axis=-1)


@dataclass(frozen=True, eq=False)
class GraphEncoding(AlignedEncoding):
    """Nodes along one axis, with edges given by fields that have this axis twice.

    Args:
        present: An input field along the axis that is positive for a node and 0 for padding; by
            default there is no padding.
        edge: An input field with the axis twice that is positive if two nodes are connected; by
            default all nodes are connected.
    """

    IDENTITY: ClassVar[str] = "graph"

    present: str = ""
    edge: str = ""

    layout: ClassVar[Layout] = Layout.GRAPH
    n_axes: ClassVar[int] = 1
    replaces_missing: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_present(type(self).__name__, self.inputs, self.axes[0], self.present)
        names = [f.name for f in self._edge_fields]
        if self.edge and self.edge not in names:
            raise UnknownNameError("field with the axis of the nodes twice", self.edge, names)

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the channels of a node, of which the first says whether there is one."""
        edges = self._edge_fields
        return (PRESENT, *(n for f in self.inputs if f not in edges for n in self._names_of(f)))

    @property
    def _edge_fields(self) -> list[Field]:
        return [f for f in self.inputs if f.axes.count(self.axes[0]) > 1]

    def measure(self, train: Split) -> Batch:
        """Return centres and scales (c,); those of edges are the same for all pairs of nodes."""
        statistics = dict(super().measure(train))
        present = _presence(train.inputs, self.inputs, self.axes[0], self.present)
        p, channels = present.shape[1], self._edge_channels
        if channels:
            normalisation = NORMALISATIONS[self.normalisation]
            first = len(statistics["input_centre"]) - p * channels
            edges = self._aligned_inputs(train.inputs)[..., first:].reshape(-1, channels)
            centre = normalisation.centre(edges)
            scale = nonzero_around(centre, normalisation.scale(edges))
            statistics["input_centre"][first:] = np.tile(centre, p)
            statistics["input_scale"][first:] = np.tile(scale, p)
        return statistics

    def _input_rows(self, inputs: Batch) -> Array:
        return self._aligned_inputs(inputs)[
            _presence(inputs, self.inputs, self.axes[0], self.present)
        ]

    def _network_input(self, inputs: Batch) -> Array:
        """Return (b, p, 1 + p, c): in row i the features of node i, then its edges to all nodes."""
        present = _presence(inputs, self.inputs, self.axes[0], self.present)
        scaled = super()._network_input(inputs)
        b, p = present.shape
        channels = self._edge_channels
        first = scaled.shape[-1] - channels * p
        connected = present[:, :, None] & present[:, None, :] & ~np.eye(p, dtype=bool)
        if self.edge:
            edge_field = next(f for f in self._edge_fields if f.name == self.edge)
            connected &= self.between(edge_field, inputs[self.edge])[..., 0] > 0.0
        node = np.concatenate([present[..., None], scaled[..., :first]], axis=-1)
        edge = scaled[..., first:].reshape(b, p, p, channels)
        edge = np.concatenate([connected[..., None], edge], axis=-1)
        width = max(node.shape[-1], edge.shape[-1])
        graph = np.zeros((b, p, 1 + p, width), dtype=np.float32)
        graph[:, :, 0, : node.shape[-1]] = node * present[..., None]
        graph[:, :, 1:, : edge.shape[-1]] = edge * connected[..., None]
        return graph

    @property
    def _edge_channels(self) -> int:
        """Number of values of each edge."""
        (p,) = self._sizes
        return sum(f.size // p**2 for f in self._edge_fields)

    def between(self, f: Field, values: Array) -> Array:
        """Return the values (b, p, p, c) of a field with the axis of the nodes twice."""
        shaped = values.reshape(-1, *f.shape)
        node_axes = [i for i, name in enumerate(f.axes, start=1) if name == self.axes[0]]
        first = np.moveaxis(shaped, node_axes, (1, 2))
        return first.reshape(*first.shape[:3], -1)

    def _aligned_inputs(self, inputs: Batch) -> Array:
        """Return (b, p, c): the fields of each node, then the fields of its edges."""
        edges = self._edge_fields
        nodes = [f for f in self.inputs if f not in edges]
        parts = [
            align_field(
                f, self._transformed(f, inputs, self.input_transform), self.axes, self._sizes
            )
            for f in nodes
        ]
        edge_values = [
            self.between(f, self._transformed(f, inputs, self.input_transform)) for f in edges
        ]
        if edge_values:
            values = np.concatenate(edge_values, axis=-1)
            parts.append(values.reshape(*values.shape[:2], -1))
        return np.concatenate(parts, axis=-1)


def _presence(inputs: Batch, fields: tuple[Field, ...], axis: str, present: str) -> Array:
    """Return whether there is an element, rather than padding (b, p)."""
    if present:
        return inputs[present] > 0.0
    size = next(axis_length(f, axis) for f in fields if axis in f.axes)
    return np.ones((n_samples(inputs), size), dtype=bool)


def _check_present(kind: str, fields: tuple[Field, ...], axis: str, present: str) -> None:
    names = [f.name for f in fields if f.axes == (axis,)]
    if present and present not in names:
        raise UnknownNameError(f"field of {kind} with the only axis {axis!r}", present, names)
