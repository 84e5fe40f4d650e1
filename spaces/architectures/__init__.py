"""Families of networks, one file each: every module of this package registers its own."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

from torch import Tensor, nn

from problems import Choose, Encoding, Layout, Pairs, Registry, Settings, Target, UserError
from spaces.training_targets import (
    ClassificationLearner,
    Learner,
    ProbabilityOutput,
    SupervisedLearner,
)


@dataclass(frozen=True)
class Shape:
    """What a network reads and answers, for one sample.

    Args:
        layout: How the inputs lie.
        target: What it is asked for.
        inputs: As `LAYOUTS` says, channels last: (c,) for flat data, (l, c) for a sequence.
        outputs: Number of outputs o.
        aligned: Whether there are so many outputs for each place of the layout, place by place.
    """

    layout: Layout
    target: Target
    inputs: tuple[int, ...]
    outputs: int
    aligned: bool = False

    @classmethod
    def of(cls, encoding: Encoding, pairs: Pairs) -> "Shape":
        """Return the shape of an encoding's pairs."""
        inputs, outputs = tuple(pairs.inputs.shape[1:]), pairs.targets.shape[1]
        return cls(encoding.layout, encoding.target, inputs, outputs, encoding.aligned)

    @property
    def places(self) -> tuple[int, ...]:
        """Extent of the places: elements of a sequence or set, points of a grid, nodes; () flat."""
        return self.inputs[:1] if self.layout is Layout.GRAPH else self.inputs[:-1]

    @property
    def channels(self) -> int:
        """Numbers that stand at one place."""
        return self.inputs[-1]

    @property
    def head_outputs(self) -> int:
        """Numbers to answer at one place where outputs are aligned, else all of them."""
        return self.outputs // math.prod(self.places) if self.aligned else self.outputs


class Architecture(ABC):
    """A family of networks: its settings, what it serves, how a network of it is built."""

    serves: ClassVar[frozenset[tuple[Layout, Target]]]
    unsuited: ClassVar[Mapping[str, str]] = {}
    """What it can't be combined with, each with the reason: a pruning, a runtime or a precision
    ("structured", "onnxruntime", "int8"), or a precision in a runtime ("openvino int8")."""

    needs: ClassVar[str] = ""
    """A module that its training needs, where an extra brings it."""
    trains_policy: ClassVar[bool] = False
    """Whether it learns by acting, with arithmetic of its own, rather than from pairs."""

    @classmethod
    @abstractmethod
    def settings(cls, choose: Choose) -> Settings:
        """Ask the search for the family's settings."""

    @classmethod
    @abstractmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return an untrained network (b, *shape.inputs) -> (b, shape.outputs).

        For labels it answers with logits. For distributions it reads (b, c + noise): the last
        `noise` numbers are independent and normal, and make one sample.
        """

    @classmethod
    def noise(cls, shape: Shape, settings: Settings) -> int:  # noqa: ARG003 - for those that have some
        """Return how many normal numbers a network of a distribution reads to make one sample."""
        return 0

    @classmethod
    def learner(cls, network: nn.Module, shape: Shape, settings: Settings) -> Learner:  # noqa: ARG003
        """Return the network with what teaches it: Huber loss, or cross-entropy for labels.

        Huber because a few unstable samples must not own the gradient.
        """
        if isinstance(network, ProbabilityOutput):
            return ClassificationLearner(network)
        return SupervisedLearner(network, nn.SmoothL1Loss())

    @classmethod
    def untrained(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return the network as it is deployed, with fresh weights; labels are probabilities."""
        network = cls.build(shape, settings)
        return (
            ProbabilityOutput(network, shape.head_outputs)
            if shape.target is Target.LABEL
            else network
        )


ARCHITECTURES: Registry[type[Architecture]] = Registry("architecture")


def register_architecture(name: str) -> Callable[[type[Architecture]], type[Architecture]]:
    """Register a family under a name.

    Raises:
        UserError: It doesn't say what it serves, or lacks a method.
    """

    def registered(family: type[Architecture]) -> type[Architecture]:
        serves = bool(getattr(family, "serves", None))
        lacking = [*sorted(family.__abstractmethods__), *["serves"] * (not serves)]
        if lacking:
            raise UserError(
                f"the family {name!r} ({family.__name__}) has no {' and no '.join(lacking)}: "
                "Architecture says what they are"
            )
        return ARCHITECTURES.register(name)(family)

    return registered


WIDTHS = (64, 128, 256)
"""Searched widths; multiples of the vector width before and after pruning by quarters."""

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "silu": nn.SiLU, "tanh": nn.Tanh}


def serving(
    layouts: Iterable[Layout], targets: Iterable[Target] = (Target.VALUE, Target.LABEL)
) -> frozenset[tuple[Layout, Target]]:
    """Return every pair of a layout and a target."""
    return frozenset(product(layouts, targets))


class LastStep(nn.Module):
    """The last element of a sequence: (b, l, c) -> (b, c)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x[:, -1]."""
        return x[:, -1]


class Head(nn.Module):
    """Features at every place -> aligned answers, one linear image of each place's features.

    Args:
        features: Of one place.
        shape: What is asked for.
    """

    def __init__(self, features: int, shape: Shape) -> None:
        super().__init__()
        self.linear = nn.Linear(features, shape.head_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, o) of features (b, *places, f)."""
        return self.linear(x).flatten(1)
