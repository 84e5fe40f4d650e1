"""Equivariant graph network: vectors that turn, shift and are mirrored with their elements.

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
"""Squared distances, in scaled units, below which elements count as being in one place."""


def log_squared_distance(between: Tensor) -> Tensor:
    """Return the logarithm of squared lengths (...) of vectors (..., 3).

    The paper takes the squared distance itself. With its logarithm the error of gravitating bodies'
    accelerations fell from 0.36 of their deviation to 0.08.
    """
    return (between.square().sum(-1) + SQUARED_DISTANCE_FLOOR).log()


class ScalarUpdate(nn.Module):
    """What an element's scalars become by what it hears: both (b, p, w)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.own = nn.Linear(width, width)
        self.heard = nn.Linear(width, width, bias=False)
        self.activation = nn.SiLU()
        self.change = nn.Linear(width, width)

    def forward(self, scalars: Tensor, heard: Tensor) -> Tensor:
        """Return scalars (b, p, w)."""
        return scalars + self.change(self.activation(self.own(scalars) + self.heard(heard)))


class EquivariantConvolution(nn.Module):
    """One round of messages among all elements, which move their vectors and change their scalars.

    Args:
        width: Scalars of an element.
        vectors: Vectors k of an element.
        moves: Whether vectors are moved.
        changes: Whether scalars are changed.
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
        """Return scalars (b, p, w) and how far the vectors (b, p, k, 3) have moved.

        Args:
            scalars: As they are.
            moved: How far the vectors had moved.
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
    """Elements (b, p, 3 + c) -> vectors of each or of all, or logits.

    Every element has k vectors, which begin at its position, and scalars, which begin with its own
    and its distance from the mean position. How far its vectors move is an element's answer. One
    answer of all weighs vectors with scalars that add up to zero, as charges make a dipole.

    Args:
        shape: What is read and answered.
        width: Scalars of an element.
        rounds: Of messages.
        pooling: Of vectors or scalars where one answer is asked of all elements.
    """

    def __init__(self, shape: Shape, width: int, rounds: int, pooling: str) -> None:
        super().__init__()
        self.labels, self.aligned = shape.target is Target.LABEL, shape.aligned
        self.vectors = 1 if self.labels else shape.head_outputs // 3
        self.mean = pooling == MEAN
        self.embed = nn.Linear(shape.channels - 2, width)
        # The last round leaves out what no answer would be read from.
        self.rounds = nn.ModuleList(
            EquivariantConvolution(
                width,
                self.vectors,
                moves=left > 0 or not self.labels,
                changes=left > 0 or self.labels or not self.aligned,
            )
            for left in reversed(range(rounds))
        )
        self.kept = [
            each.move
            for each in self.rounds
            if isinstance(each, EquivariantConvolution) and each.move
        ]
        self.answer = None
        if self.labels:
            self.answer = nn.Linear(width, shape.head_outputs)
        elif not self.aligned:
            self.answer = nn.Linear(width, self.vectors, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, o)."""
        position, own = x[..., :3], x[..., 3:]
        outward = position - position.mean(1, keepdim=True)
        scalars = self.embed(torch.cat([own, log_squared_distance(outward).unsqueeze(-1)], dim=-1))
        apart = (position.unsqueeze(2) - position.unsqueeze(1)).unsqueeze(3)
        moved = torch.zeros_like(position).unsqueeze(2).expand(-1, -1, self.vectors, -1)
        for exchange in self.rounds:
            scalars, moved = exchange(scalars, moved, apart)
        if self.answer is None:
            return moved.flatten(1)
        answer = self.answer(scalars)
        if not self.labels:
            weights = (answer - answer.mean(1, keepdim=True)).unsqueeze(-1)
            answer = (weights * (outward.unsqueeze(2) + moved)).flatten(2)
        if self.aligned:
            return answer.flatten(1)
        return answer.mean(1) if self.mean else answer.sum(1)


@register_architecture("egnn")
class EquivariantGraphNetwork(Architecture):
    """`rounds` of messages between elements of equal width."""

    serves = serving((Layout.VECTORS,))
    unsuited: ClassVar = {
        "openvino int8": "nncf puts squared distances into int8 too, whose first step takes in all "
        "near elements: answers are off by up to 0.4"
    }

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Choose width, rounds and pooling."""
        return {
            "width": choose.categorical("width", WIDTHS),
            "rounds": choose.integer("rounds", 1, 3),
            "pooling": choose.categorical("pooling", POOLINGS),
        }

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return rounds of messages.

        Raises:
            UserError: The answers asked for aren't vectors.
        """
        if shape.target is Target.VALUE and shape.head_outputs % 3:
            where = "at each element" if shape.aligned else "of all elements"
            raise UserError(
                f"egnn: answers of vectors come in threes, not {shape.head_outputs} {where}; give "
                "vectors alone, or encode as a set or graph to answer with scalars"
            )
        width, rounds = int(settings["width"]), int(settings["rounds"])
        return EGNN(shape, width, rounds, str(settings["pooling"]))
