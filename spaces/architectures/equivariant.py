"""Equivariant graph network: outputs are rotated, shifted and mirrored with the inputs.

Source: Satorras, Hoogeboom & Welling, E(n) equivariant graph neural networks, ICML 2021.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from problems import Choose, Layout, Settings, Target, UserError
from spaces.architectures import Architecture, Shape, register_architecture, serving
from spaces.architectures.deep_sets import MEAN, POOLINGS

WIDTHS = (32, 64)

SQUARED_DISTANCE_FLOOR = 1e-2
"""Squared distance, in scaled units, below which elements hardly differ in position."""


def log_squared_distance(vectors: Tensor) -> Tensor:
    """Return the logarithms (...) of the squared lengths of vectors (..., 3).

    The paper uses the squared distance itself. The logarithm reduced the error of the accelerations
    of gravitating bodies from 0.36 to 0.08 of their standard deviation.
    """
    return (vectors.square().sum(-1) + SQUARED_DISTANCE_FLOOR).log()


class ScalarUpdate(nn.Module):
    """The residual update of the scalars of elements by the messages that they receive."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.own = nn.Linear(width, width)
        self.heard = nn.Linear(width, width, bias=False)
        self.activation = nn.SiLU()
        self.change = nn.Linear(width, width)

    def forward(self, scalars: Tensor, messages: Tensor) -> Tensor:
        """Return updated scalars (b, p, w) of scalars and pooled messages, both (b, p, w)."""
        return scalars + self.change(self.activation(self.own(scalars) + self.heard(messages)))


class EquivariantConvolution(nn.Module):
    """A round of messages between all elements, which updates their vectors and scalars.

    Args:
        width: Number of scalars w of an element.
        vectors: Number of vectors k of an element.
        moves: Whether vectors are updated.
        changes: Whether scalars are updated.
    """

    def __init__(self, width: int, vectors: int, *, moves: bool, changes: bool) -> None:
        super().__init__()
        self.receiver = nn.Linear(width, width)
        self.sender = nn.Linear(width, width, bias=False)
        self.distance = nn.Linear(vectors, width, bias=False)
        self.message = nn.Linear(width, width)
        self.activation = nn.SiLU()
        self.move = nn.Linear(width, vectors, bias=False) if moves else None
        self.change = ScalarUpdate(width) if changes else None

    def forward(self, scalars: Tensor, moved: Tensor, apart: Tensor) -> tuple[Tensor, Tensor]:
        """Return updated scalars (b, p, w) and displacements (b, p, k, 3).

        Args:
            scalars: Scalars (b, p, w).
            moved: Displacements (b, p, k, 3) of the vectors from the positions so far.
            apart: Differences of positions (b, p, p, 1, 3).
        """
        apart = apart + moved.unsqueeze(2) - moved.unsqueeze(1)
        pair = self.receiver(scalars).unsqueeze(2) + self.sender(scalars).unsqueeze(1)
        pair = self.activation(pair + self.distance(log_squared_distance(apart)))
        message = self.activation(self.message(pair))
        if self.move is not None:
            moved = moved + (apart * self.move(message).unsqueeze(-1)).mean(2)
        if self.change is not None:
            scalars = self.change(scalars, message.mean(2))
        return scalars, moved


class EGNN(nn.Module):
    """Elements (b, p, 3 + c) -> vectors of each element or of all, or logits.

    Every element has k vectors, initially at its position, and scalars, initially computed from its
    c inputs and its distance from the mean position. Aligned outputs are the displacements of its
    vectors. Outputs of all elements are sums of vectors with weights that add up to zero, as a
    dipole is a sum over charges.

    Args:
        shape: Shape of the network.
        width: Number of scalars of an element.
        rounds: Number of rounds of messages.
        pooling: Pooling of vectors or scalars if outputs aren't aligned.
    """

    def __init__(self, shape: Shape, width: int, rounds: int, pooling: str) -> None:
        super().__init__()
        self.labels, self.aligned = shape.target is Target.LABEL, shape.aligned
        self.vectors = 1 if self.labels else shape.head_outputs // 3
        self.mean = pooling == MEAN
        self.embed = nn.Linear(shape.channels - 2, width)
        # The last round computes only what the outputs depend on.
        self.rounds = nn.ModuleList(
            EquivariantConvolution(
                width,
                self.vectors,
                moves=remaining > 0 or not self.labels,
                changes=remaining > 0 or self.labels or not self.aligned,
            )
            for remaining in reversed(range(rounds))
        )
        self.kept = [
            layer.move
            for layer in self.rounds
            if isinstance(layer, EquivariantConvolution) and layer.move
        ]
        self.answer = None
        if self.labels:
            self.answer = nn.Linear(width, shape.head_outputs)
        elif not self.aligned:
            self.answer = nn.Linear(width, self.vectors, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs (b, o) of elements (b, p, 3 + c)."""
        position, features = x[..., :3], x[..., 3:]
        outward = position - position.mean(1, keepdim=True)
        distance = log_squared_distance(outward).unsqueeze(-1)
        scalars = self.embed(torch.cat([features, distance], dim=-1))
        apart = (position.unsqueeze(2) - position.unsqueeze(1)).unsqueeze(3)
        moved = torch.zeros_like(position).unsqueeze(2).expand(-1, -1, self.vectors, -1)
        for layer in self.rounds:
            scalars, moved = layer(scalars, moved, apart)
        if self.answer is None:
            return moved.flatten(1)
        outputs = self.answer(scalars)
        if not self.labels:
            weights = (outputs - outputs.mean(1, keepdim=True)).unsqueeze(-1)
            outputs = (weights * (outward.unsqueeze(2) + moved)).flatten(2)
        if self.aligned:
            return outputs.flatten(1)
        return outputs.mean(1) if self.mean else outputs.sum(1)


@register_architecture("egnn")
class EquivariantGraphNetwork(Architecture):
    """Equivariant graph networks with `rounds` rounds of messages between all elements."""

    serves = serving((Layout.VECTORS,))
    unsuited: ClassVar = {
        "openvino int8": "nncf also quantises squared distances, which makes those of all near "
        "elements equal: outputs differ by up to 0.4"
    }

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Return chosen width, number of rounds and pooling."""
        return {
            "width": choose.categorical("width", WIDTHS),
            "rounds": choose.integer("rounds", 1, 3),
            "pooling": choose.categorical("pooling", POOLINGS),
        }

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return the network.

        Raises:
            UserError: The outputs aren't vectors.
        """
        if shape.target is Target.VALUE and shape.head_outputs % 3:
            where = "at each element" if shape.aligned else "of all elements"
            raise UserError(
                f"egnn: outputs of vectors come in threes, not {shape.head_outputs} {where}; "
                "predict vectors alone, or encode as a set or graph to predict scalars"
            )
        width, rounds = int(settings["width"]), int(settings["rounds"])
        return EGNN(shape, width, rounds, str(settings["pooling"]))
