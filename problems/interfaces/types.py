"""The types that simulations, data and encodings are made of.

Shapes are written in letters: b samples, t frames of time, p planets (or bodies), l window length,
c channels, o outputs. A trailing ``...`` stands for a field's own shape.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, ClassVar, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

from problems.errors import UserError

Array = npt.NDArray[Any]
Batch = Mapping[str, Array]
"""Named arrays in physical units; the first axis of each is the sample."""

SPLITS = ("train", "validation", "test", "shifted")

Scalar = str | int | float | bool
Settings = Mapping[str, Scalar]
Run = Callable[[Batch, np.random.Generator], Batch]
"""The signature that reference, surrogate and baseline share."""
Predict = Callable[[Array], Array]
"""A network as the encoding sees it: (b, ...) float32 -> (b, o) float32."""
Option = TypeVar("Option", bound=Scalar)


class Size(StrEnum):
    """How much of a case study is run; one physics code serves all sizes."""

    TINY = "tiny"
    STANDARD = "standard"
    FULL = "full"


class Layout(StrEnum):
    """How the numbers that a network reads lie beside each other."""

    FLAT = "flat"
    SEQUENCE = "sequence"
    GRID1D = "grid1d"
    GRID2D = "grid2d"
    GRID3D = "grid3d"
    GRAPH = "graph"
    SET = "set"
    VECTORS = "vectors"
    TENSOR = "tensor"


LAYOUT_SHAPES: Mapping[Layout, str] = {
    Layout.FLAT: "(c,)",
    Layout.SEQUENCE: "(l, c): elements in order",
    Layout.GRID1D: "(x, c)",
    Layout.GRID2D: "(x, y, c)",
    Layout.GRID3D: "(x, y, z, c)",
    Layout.GRAPH: "(p, 1 + p, c): a node's own features, then its edge to every node",
    Layout.SET: "(p, c): elements in no order; the first channel is 1 where there is one",
    Layout.VECTORS: "(p, 3 + c): each element's Cartesian vector, then its scalars",
    Layout.TENSOR: "(3, 3): a tensor of second order; answers (6,): xx, yy, zz, xy, xz, yz",
}
"""What one sample looks like in each layout; channels are last."""


class Target(StrEnum):
    """What a network is asked for."""

    VALUE = "value"
    LABEL = "label"
    DISTRIBUTION = "distribution"
    POLICY = "policy"


@dataclass(frozen=True)
class Field:
    """One named quantity of a simulation.

    Args:
        name: Key in a batch.
        shape: Shape of one sample, () for a single number.
        unit: Physical unit, "1" where there is none.
        axes: A name for each axis of `shape`: fields that share an axis share its name. "component"
            is the axis of a vector's Cartesian components.
        valid: Smallest and largest value that makes sense.
        description: What it is, in one phrase.
    """

    name: str
    shape: tuple[int, ...] = ()
    unit: str = ""
    axes: tuple[str, ...] = ()
    valid: tuple[float, float] = (-np.inf, np.inf)
    description: str = ""

    def __post_init__(self) -> None:
        for what, value, kind in (("shape", self.shape, int), ("axes", self.axes, str)):
            given: Any = value
            if isinstance(given, kind):
                raise UserError(f"Field {self.name!r}: {what} is {given!r}; write ({given!r},)")
        valid: Any = self.valid
        if not isinstance(valid, tuple | list) or len(valid) != 2:
            raise UserError(f"Field {self.name!r}: valid is {valid!r}; write (smallest, largest)")

    @property
    def size(self) -> int:
        """Numbers in one sample."""
        return math.prod(self.shape)


class Simulation(Protocol):
    """The code that a surrogate stands in for.

    A frozen dataclass: its fields are its parameters, and with its source code they name what it
    produced in the cache.
    """

    @property
    def inputs(self) -> tuple[Field, ...]:
        """Fields that `run` reads."""
        ...

    @property
    def outputs(self) -> tuple[Field, ...]:
        """Fields that `run` returns."""
        ...

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        """Draw n input conditions."""
        ...

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:
        """Return the outputs; a sample that failed is NaN throughout."""
        ...


@runtime_checkable
class Versioned(Protocol):
    """A simulation whose numbers come from libraries: a new version of one makes new data."""

    def versions(self) -> Mapping[str, str]:
        """Versions of the libraries that the numbers come from."""
        ...


class Choose(Protocol):
    """How an encoding or an architecture asks the search for a setting."""

    def categorical(self, name: str, options: Sequence[Option]) -> Option:
        """Choose one of the options."""
        ...

    def integer(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """Choose an integer in [low, high]."""
        ...

    def real(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Choose a real number in [low, high]."""
        ...


@dataclass(frozen=True)
class Split:
    """Samples of one simulation: what went in and what came out."""

    inputs: Batch
    outputs: Batch

    def __len__(self) -> int:
        return n_samples(self.inputs)

    def take(self, index: Array) -> Self:
        """Return the samples at `index`."""
        return replace(
            self, inputs=take_samples(self.inputs, index), outputs=take_samples(self.outputs, index)
        )


@dataclass(frozen=True)
class Dataset:
    """The four splits; `shifted` is empty where a problem has none.

    Args:
        train: What encodings and networks learn from.
        validation: What the search chooses by.
        test: What is quoted.
        shifted: Outside the training range.
        failed: Samples of each split on which the reference failed; they are left out.
        duplicates: Samples of each split that stand earlier too; they are left out.
        reasons: How many samples failed for which reason.
        unplaced: Samples that no split may hold, as those within the training range of a group that
            lies beyond it.
        made: Samples that the reference was run for in all.
    """

    train: Split
    validation: Split
    test: Split
    shifted: Split
    failed: Mapping[str, int] = field(default_factory=dict[str, int])
    duplicates: Mapping[str, int] = field(default_factory=dict[str, int])
    reasons: Mapping[str, int] = field(default_factory=dict[str, int])
    unassigned: int = 0
    made: int = 0

    def splits(self) -> Mapping[str, Split]:
        """Return the splits by name."""
        return {name: getattr(self, name) for name in SPLITS}


@dataclass(frozen=True)
class Pairs:
    """What a network learns from: inputs (n, ...) and targets (n, o), both float32.

    They are laid out in C's order, since compiled networks read memory as it lies.
    """

    inputs: Array
    targets: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", np.ascontiguousarray(self.inputs))
        object.__setattr__(self, "targets", np.ascontiguousarray(self.targets))


@dataclass(frozen=True, eq=False)
class Encoding(ABC):
    """One way to put a problem to a network: a frozen dataclass whose fields are its settings.

    The life of an encoding is `configured` (settings from the search), `fit` (statistics from the
    training split, the only one it is given), `pairs` (to train) and `apply` (to run).
    """

    layout: ClassVar[Layout]
    target: ClassVar[Target]

    statistics: Batch = field(default_factory=dict[str, Array], kw_only=True)

    @property
    def aligned(self) -> bool:
        """Whether a network answers place by place: targets are (n, places * channels)."""
        return False

    @property
    def floor(self) -> float:
        """Largest objective that a network which knows every answer may leave, as its card says.

        Above 0 where decoding can't follow everything that the reference does: a structure that is
        kept for its own sake, as of a symplectic map, has its price.
        """
        return 0.0

    @abstractmethod
    def settings(self, choose: Choose) -> Settings:
        """Ask the search for this encoding's own settings."""

    @abstractmethod
    def measure(self, train: Split) -> Batch:
        """Return the statistics that encoding and decoding need."""

    @abstractmethod
    def pairs(self, split: Split) -> Pairs:
        """Return what a network learns from."""

    @abstractmethod
    def apply(self, network: Predict, inputs: Batch, rng: np.random.Generator) -> Batch:
        """Encode, call the network (once, or rolled forward), decode."""

    def configured(self, settings: Settings) -> Self:
        """Return this encoding with the given settings."""
        return replace(self, **dict(settings))

    def fit(self, train: Split) -> Self:
        """Return this encoding with the statistics of the training split."""
        return self.restored(self.measure(train))

    def restored(self, statistics: Batch) -> Self:
        """Return this encoding with statistics that were measured before."""
        return replace(self, statistics=statistics)


@runtime_checkable
class RollsForward(Protocol):
    """An encoding whose network reads its own answers: it can be taught on those as well."""

    def unrolled(self, split: Split, network: Predict, stages: int) -> Pairs:
        """Return what a network meets in its last of `stages` calls, and what it should answer.

        Every window of the split is rolled forward by `stages - 1` answers of the network; targets
        lead from there to where the reference is.
        """
        ...


@runtime_checkable
class Remembers(Protocol):
    """An encoding whose own work is expensive: while it is trained it need not do it twice."""

    def remembering(self) -> "Encoding":
        """Return it so that it encodes the same inputs once only; it must not be timed so."""
        ...


@dataclass(frozen=True)
class Surrogate:
    """A fitted encoding around a network, called as `Simulation.run` is.

    Args:
        encoding: With its statistics.
        network: Of encoded inputs, each followed by `noise` normal numbers.
        noise: How many numbers make a sample of a distribution; none elsewhere.
    """

    encoding: Encoding
    network: Predict
    noise: int = 0

    def run(self, inputs: Batch, rng: np.random.Generator | None = None) -> Batch:
        """Return what the reference would have returned; samples differ unless `rng` is given."""
        rng = np.random.default_rng() if rng is None else rng
        if not self.noise:
            return self.encoding.apply(self.network, inputs, rng)

        def drawing(conditions: Array) -> Array:
            noise = rng.standard_normal((len(conditions), self.noise), dtype=np.float32)
            return self.network(np.concatenate([conditions, noise], axis=1))

        return self.encoding.apply(drawing, inputs, rng)


def n_samples(batch: Batch) -> int:
    """Return how many samples a batch holds."""
    return len(next(iter(batch.values())))


def take_samples(batch: Batch, index: Array | slice) -> Batch:
    """Return the samples of a batch at `index`."""
    return {name: array[index] for name, array in batch.items()}


def tile_samples(batch: Batch, n: int) -> Batch:
    """Return exactly n samples, the batch's own in turn."""
    return take_samples(batch, np.arange(n) % n_samples(batch))
