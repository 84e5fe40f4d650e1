"""Families of networks, one file each: every module of this package registers its own."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor, nn

from problems import Choose, Layout, Registry, Settings, Target


@dataclass(frozen=True)
class Shape:
    """What a network reads and answers, for one sample.

    Args:
        inputs: (c,) for flat data, (l, c) for a sequence or a one-dimensional grid.
        outputs: Number of outputs o.
    """

    inputs: tuple[int, ...]
    outputs: int


class Architecture(Protocol):
    """A family: a class whose instances are networks."""

    serves: ClassVar[frozenset[tuple[Layout, Target]]]
    unsuited: ClassVar[dict[str, str]]
    """What this family can't be combined with ("structured", "int8"), each with the reason."""

    @staticmethod
    def settings(choose: Choose) -> Settings:
        """Ask the search for the family's settings."""
        ...

    @staticmethod
    def build(shape: Shape, settings: Settings) -> nn.Module:
        """Return an untrained network (b, *shape.inputs) -> (b, shape.outputs)."""
        ...


ARCHITECTURES: Registry[type[Architecture]] = Registry("architecture")
register_architecture = ARCHITECTURES.register

WIDTHS = (64, 128, 256)
"""Searched widths; multiples of the vector width before and after pruning by a quarter or half."""

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "silu": nn.SiLU, "tanh": nn.Tanh}


class LastStep(nn.Module):
    """The last element of a sequence: (b, l, c) -> (b, c)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x[:, -1]."""
        return x[:, -1]
