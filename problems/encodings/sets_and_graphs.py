"""Ready-made encodings of things that come in no order: sets of elements, graphs of nodes."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.encodings.aligned import AlignedEncoding, align_field, axis_length
from problems.encodings.transforms import NORMALISATIONS, nonzero
from problems.errors import UnknownNameError
from problems.interfaces.types import Array, Batch, Field, Layout, Split, n_samples


@dataclass(frozen=True, eq=False)
class SetEncoding(AlignedEncoding):
    """Elements in no order along one axis, as particles or planets.

    Args:
        present: An input field along the axis that is positive where there is an element; every
            place holds one if not given.
    """

    IDENTITY: ClassVar[str] = "set"

    present: str = ""

    layout: ClassVar[Layout] = Layout.SET
    n_axes: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_present(type(self).__name__, self.inputs, self.axes[0], self.present)

    def _seen(self, inputs: Batch) -> Array:
        return self._aligned(inputs)[_there(inputs, self.inputs, self.axes[0], self.present)]

    def _network_input(self, inputs: Batch) -> Array:
        there = _there(inputs, self.inputs, self.axes[0], self.present)
        scaled = super()._network_input(inputs)
        mask = there[..., None].astype(np.float32)
        return np.concatenate([mask, scaled * mask], axis=-1)


@dataclass(frozen=True, eq=False)
class GraphEncoding(AlignedEncoding):
    """Nodes along one axis; a field with that axis twice says what joins them.

    Without such a field every node is joined to every other.

    Args:
        present: An input field along the axis that is positive where there is a node.
        edge: An input field with the axis twice that is positive where two nodes are joined.
    """

    IDENTITY: ClassVar[str] = "graph"

    present: str = ""
    edge: str = ""

    layout: ClassVar[Layout] = Layout.GRAPH
    n_axes: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_present(type(self).__name__, self.inputs, self.axes[0], self.present)
        known = [f.name for f in self._edge_fields]
        if self.edge and self.edge not in known:
            raise UnknownNameError("field with the nodes' axis twice", self.edge, known)

    @property
    def _edge_fields(self) -> list[Field]:
        return [f for f in self.inputs if f.axes.count(self.axes[0]) > 1]

    def measure(self, train: Split) -> Batch:
        """Return centres and scales; an edge's are the same whichever nodes it joins."""
        known = dict(super().measure(train))
        there = _there(train.inputs, self.inputs, self.axes[0], self.present)
        nodes, ends = there.shape[1], self._edge_channels
        if ends:
            normalisation = NORMALISATIONS[self.normalisation]
            first = len(known["input_centre"]) - nodes * ends
            edges = self._aligned(train.inputs)[..., first:].reshape(-1, ends)
            known["input_centre"][first:] = np.tile(normalisation.centre(edges), nodes)
            known["input_scale"][first:] = np.tile(nonzero(normalisation.scale(edges)), nodes)
        return known

    def _seen(self, inputs: Batch) -> Array:
        return self._aligned(inputs)[_there(inputs, self.inputs, self.axes[0], self.present)]

    def _network_input(self, inputs: Batch) -> Array:
        """Return (b, p, 1 + p, c): in row i, node i itself and then its edge to every node."""
        there = _there(inputs, self.inputs, self.axes[0], self.present)
        scaled = super()._network_input(inputs)
        b, p = there.shape
        ends = self._edge_channels
        joined = there[:, :, None] & there[:, None, :] & ~np.eye(p, dtype=bool)
        if self.edge:
            edge_field = next(f for f in self._edge_fields if f.name == self.edge)
            joined &= self._between(edge_field, inputs[self.edge])[..., 0] > 0.0
        node = np.concatenate([there[..., None], scaled[..., : scaled.shape[-1] - ends * p]], -1)
        edge = scaled[..., scaled.shape[-1] - ends * p :].reshape(b, p, p, ends)
        edge = np.concatenate([joined[..., None], edge], axis=-1)
        width = max(node.shape[-1], edge.shape[-1])
        graph = np.zeros((b, p, 1 + p, width), dtype=np.float32)
        graph[:, :, 0, : node.shape[-1]] = node * there[..., None]
        graph[:, :, 1:, : edge.shape[-1]] = edge * joined[..., None]
        return graph

    @property
    def _edge_channels(self) -> int:
        nodes = next(axis_length(f, self.axes[0]) for f in self.inputs if self.axes[0] in f.axes)
        return sum(f.size // nodes**2 for f in self._edge_fields)

    def _between(self, f: Field, values: Array) -> Array:
        """Return (b, p, p, c) of a field that has the nodes' axis twice, wherever it has it."""
        shaped = values.reshape(-1, *f.shape)
        ends = [i for i, name in enumerate(f.axes, start=1) if name == self.axes[0]]
        first = np.moveaxis(shaped, ends, (1, 2))
        return first.reshape(*first.shape[:3], -1)

    def _aligned(self, inputs: Batch) -> Array:
        """Return (b, p, c): the fields of nodes, then those of edges, node by node."""
        edges = self._edge_fields
        nodes = [f for f in self.inputs if f not in edges]
        axis = self.axes[0]
        size = next(axis_length(f, axis) for f in self.inputs if axis in f.axes)
        parts = [
            align_field(f, self._transformed(f, inputs, self.input_transform), self.axes, (size,))
            for f in nodes
        ]
        joins = [
            self._between(f, self._transformed(f, inputs, self.input_transform)) for f in edges
        ]
        if joins:
            between = np.concatenate(joins, axis=-1)
            parts.append(between.reshape(*between.shape[:2], -1))
        return np.concatenate(parts, axis=-1)


def _there(inputs: Batch, fields: tuple[Field, ...], axis: str, present: str) -> Array:
    """Return where there is an element (b, p)."""
    if present:
        return inputs[present] > 0.0
    size = next(axis_length(f, axis) for f in fields if axis in f.axes)
    return np.ones((n_samples(inputs), size), dtype=bool)


def _refuse_present(kind: str, fields: tuple[Field, ...], axis: str, present: str) -> None:
    alone = [f.name for f in fields if f.axes == (axis,)]
    if present and present not in alone:
        raise UnknownNameError(f"field of {kind} with the axis {axis!r} alone", present, alone)
