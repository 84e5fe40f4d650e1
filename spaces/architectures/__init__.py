"""Architecture families: a family per module, registered by that module."""

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
    """The shape of a network's inputs and outputs for one sample.

    Args:
        layout: Layout of the inputs.
        target: What the network predicts.
        inputs: Shape of the inputs as in `LAYOUT_SHAPES`, channels last: (c,) for flat data, (l, c)
            for a sequence.
        outputs: Number of outputs o.
        aligned: Whether the outputs lie on the places of the inputs, place by place.
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
        """Extents of the places: elements of a sequence or set, grid points, nodes; () if flat."""
        return self.inputs[:1] if self.layout is Layout.GRAPH else self.inputs[:-1]

    @property
    def channels(self) -> int:
        """Number of input channels at each place."""
        return self.inputs[-1]

    @property
    def head_outputs(self) -> int:
        """Number of outputs of the last layer: those of one place if aligned, else all of them."""
        return self.outputs // math.prod(self.places) if self.aligned else self.outputs


class Architecture(ABC):
    """A family of networks: its settings, what it serves, and how a network is built."""

    serves: ClassVar[frozenset[tuple[Layout, Target]]]
    """The pairs of layout and target for which it builds networks; see `serving`."""

    unsuited: ClassVar[Mapping[str, str]] = {}
    """The reason why it can't be combined with an option, by option: a pruning, a runtime or a
    precision ("structured", "onnxruntime", "int8"), or both of these ("openvino int8")."""

    needs: ClassVar[str] = ""
    """A module of an extra that its training needs; empty if none."""

    trains_policy: ClassVar[bool] = False
    """Whether it is trained by reinforcement learning rather than from pairs."""

    solved: ClassVar[bool] = False
    """Whether its learner is a `SolvedLearner`, so that of the settings of a training only those of
    further pairs mean anything: augmentation, and samples that a teacher labels."""

    learns_from_teacher: ClassVar[bool] = True
    """Whether it may learn from samples that a teacher labels."""

    first_settings: ClassVar[Settings] = {}
    """Settings that the first candidate of the family has in a search, as far as they are among the
    options: what a user would try first. All others are chosen at random."""

    first_training: ClassVar[Settings] = {}
    """The same for settings of its training; without first settings it has no effect."""

    @classmethod
    @abstractmethod
    def settings(cls, choose: Choose) -> Settings:
        """Return chosen settings of the family."""

    @classmethod
    @abstractmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return an untrained network, (b, *shape.inputs) -> (b, shape.outputs).

        For labels its outputs are logits. For distributions it reads (b, c + noise): the last
        `noise` numbers are independent and normal, and determine one sample.
        """

    @classmethod
    def noise(cls, shape: Shape, settings: Settings) -> int:  # noqa: ARG003 - for families with noise
        """Return the number of normal random numbers from which a network draws one sample."""
        return 0

    @classmethod
    def learner(cls, network: nn.Module, shape: Shape, settings: Settings) -> Learner:  # noqa: ARG003
        """Return the learner: with the Huber loss, or the cross-entropy for labels.

        The Huber loss keeps a few unstable samples from dominating the gradient.

        Args:
            network: The network, from `untrained`.
            shape: Its shape.
            settings: The settings of the family.
        """
        if isinstance(network, ProbabilityOutput):
            return ClassificationLearner(network)
        return SupervisedLearner(network, nn.SmoothL1Loss())

    @classmethod
    def untrained(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return the untrained network as it is deployed: for labels it returns probabilities."""
        network = cls.build(shape, settings)
        return (
            ProbabilityOutput(network, shape.head_outputs)
            if shape.target is Target.LABEL
            else network
        )


ARCHITECTURES: Registry[type[Architecture]] = Registry("architecture")


RENAMED_ATTRIBUTES = {"practises": "trains_policy"}
"""The present name of each attribute of families that had another name in an earlier version."""


def register_architecture(name: str) -> Callable[[type[Architecture]], type[Architecture]]:
    """Return a class decorator that registers a family under a name.

    Raises:
        UserError: The family lacks a method or `serves`, or has an attribute by an earlier name.
    """

    def register(family: type[Architecture]) -> type[Architecture]:
        for earlier, present in RENAMED_ATTRIBUTES.items():
            if hasattr(family, earlier):
                raise UserError(
                    f"the family {name!r} ({family.__name__}) has the attribute {earlier!r}, which "
                    f"is called {present!r} now: rename it"
                )
        serves = bool(getattr(family, "serves", None))
        missing = [*sorted(family.__abstractmethods__), *["serves"] * (not serves)]
        if missing:
            raise UserError(
                f"the family {name!r} ({family.__name__}) has no {' and no '.join(missing)}: "
                "see spaces.architectures.Architecture"
            )
        return ARCHITECTURES.register(name)(family)

    return register


WIDTHS = (64, 128, 256)
"""Searched widths: multiples of the vector width before and after pruning by quarters."""

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "silu": nn.SiLU, "tanh": nn.Tanh}


def serving(
    layouts: Iterable[Layout], targets: Iterable[Target] = (Target.VALUE, Target.LABEL)
) -> frozenset[tuple[Layout, Target]]:
    """Return all pairs of a layout and a target."""
    return frozenset(product(layouts, targets))


class LastStep(nn.Module):
    """The last element of a sequence: (b, l, c) -> (b, c)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x[:, -1], (b, c)."""
        return x[:, -1]


class Head(nn.Module):
    """A linear layer applied at every place, for aligned outputs: (b, *places, f) -> (b, o).

    Args:
        features: Number of features f at one place.
        shape: Shape of the network.
    """

    def __init__(self, features: int, shape: Shape) -> None:
        super().__init__()
        self.linear = nn.Linear(features, shape.head_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs (b, o) of features (b, *places, f)."""
        return self.linear(x).flatten(1)
