"""Types of fields, batches, simulations, data and encodings.

Shapes are given in letters: b samples, t frames of time, p planets (or bodies), l window length,
c channels, o outputs. A trailing ``...`` stands for the shape of a field.
"""

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from typing import Any, ClassVar, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

from problems.errors import UserError

Array = npt.NDArray[Any]
Batch = Mapping[str, Array]
"""Arrays in physical units by name of field; the first axis of each array is the sample."""

SPLITS = ("train", "validation", "test", "shifted")

CONFIRMATION = "confirmation"
"""The sealed split, on which what is finally recommended is scored: no search reads it."""

Clock = Callable[[], float]
"""A clock that returns seconds."""

Scalar = str | int | float | bool
Settings = Mapping[str, Scalar]
Run = Callable[[Batch, np.random.Generator], Batch]
"""The common signature of reference, surrogates and baselines."""
Predict = Callable[[Array], Array]
"""A network as encodings call it: (b, ...) float32 -> (b, o) float32."""
Option = TypeVar("Option", bound=Scalar)


class Size(StrEnum):
    """The extent of a case study; all sizes run the same simulation code."""

    TINY = "tiny"
    STANDARD = "standard"
    FULL = "full"


class Layout(StrEnum):
    """The form in which a network reads an input."""

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
    Layout.GRAPH: "(p, 1 + p, c): features of each node, then its edges to all nodes",
    Layout.SET: "(p, c): unordered elements; the first channel is 1 for an element, 0 for padding",
    Layout.VECTORS: "(p, 3 + c): the Cartesian vector of each element, then its scalars",
    Layout.TENSOR: "(3, 3): a tensor of second order; outputs (6,): xx, yy, zz, xy, xz, yz",
}
"""The shape of one sample in each layout; channels are last."""


class Target(StrEnum):
    """What a network predicts."""

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
        unit: Physical unit, "1" for a dimensionless quantity.
        axes: A name for each axis of `shape`; fields with a common axis give it the same name. The
            axis of the Cartesian components of a vector is called "component".
        valid: Smallest and largest valid value.
        description: The quantity in one phrase.
        may_be_missing: Whether a value may be missing, which is NaN. Ready-made encodings put the
            median of the training samples in its place, and tell the network where they did.

    Raises:
        UserError: `shape`, `axes` or `valid` isn't a tuple, or an axis has no name.
    """

    name: str
    shape: tuple[int, ...] = ()
    unit: str = ""
    axes: tuple[str, ...] = ()
    valid: tuple[float, float] = (-np.inf, np.inf)
    description: str = ""
    may_be_missing: bool = False

    def __post_init__(self) -> None:
        for name, value, kind in (("shape", self.shape, int), ("axes", self.axes, str)):
            given: Any = value
            if isinstance(given, kind):
                raise UserError(f"Field {self.name!r}: {name} is {given!r}; write ({given!r},)")
        axes: tuple[Any, ...] = self.axes
        if not all(isinstance(axis, str) for axis in axes):
            raise UserError(
                f"Field {self.name!r}: axes is {axes!r}; axes have names, a range is given as "
                f"valid={axes!r}"
            )
        valid: Any = self.valid
        if not isinstance(valid, tuple | list) or len(valid) != 2:
            raise UserError(f"Field {self.name!r}: valid is {valid!r}; write (smallest, largest)")

    @property
    def size(self) -> int:
        """Number of values in one sample."""
        return math.prod(self.shape)


class Simulation(Protocol):
    """The code that a surrogate replaces.

    A simulation is a frozen dataclass whose fields are its parameters. The parameters and the
    source code identify its data in the cache.
    """

    @property
    def inputs(self) -> tuple[Field, ...]:
        """Input fields."""
        ...

    @property
    def outputs(self) -> tuple[Field, ...]:
        """Output fields."""
        ...

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        """Return n input conditions, drawn from `rng`."""
        ...

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:
        """Return the outputs; all values of a sample that failed are NaN."""
        ...


@runtime_checkable
class Versioned(Protocol):
    """A simulation that depends on libraries; with a new version, data are simulated anew."""

    def versions(self) -> Mapping[str, str]:
        """Return the version of each library by name."""
        ...


class Choose(Protocol):
    """The object by which encodings and architectures let the search choose settings."""

    def categorical(self, name: str, options: Sequence[Option]) -> Option:
        """Return one of the options for the setting `name`."""
        ...

    def integer(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """Return an integer in [low, high].

        Args:
            name: Name of the setting.
            low: Smallest value.
            high: Largest value.
            step: Spacing of the values.
        """
        ...

    def real(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return a real number in [low, high].

        Args:
            name: Name of the setting.
            low: Smallest value.
            high: Largest value.
            log: Whether the logarithm of the number is distributed uniformly.
        """
        ...


@dataclass(frozen=True)
class Split:
    """Inputs and outputs of b samples.

    Args:
        inputs: Inputs (b, ...).
        outputs: Outputs of the reference (b, ...).
        groups: Number of the group of each sample (b,), such as a trajectory or a complex; None if
            the samples are independent of each other.
        names: What the files of recorded data call each sample (b,), None if they don't.
    """

    inputs: Batch
    outputs: Batch
    groups: Array | None = None
    names: Array | None = None

    def __len__(self) -> int:
        return n_samples(self.inputs)

    def take(self, index: Array) -> Self:
        """Return the samples with these indices (n,)."""
        return replace(
            self,
            inputs=take_samples(self.inputs, index),
            outputs=take_samples(self.outputs, index),
            groups=None if self.groups is None else self.groups[index],
            names=None if self.names is None else self.names[index],
        )

    def in_memory(self) -> Self:
        """Return the samples as arrays in memory, where they may be mapped from files."""
        inputs, outputs = (
            {name: np.array(batch[name]) for name in batch} for batch in (self.inputs, self.outputs)
        )
        return replace(self, inputs=inputs, outputs=outputs)


@dataclass(frozen=True)
class Dataset:
    """The four splits of a problem, with counts of the samples left out.

    Args:
        train: The samples on which encodings are fitted and networks trained.
        validation: The samples by which the search chooses.
        test: The samples on which final errors are reported.
        shifted: Samples from outside the training range; empty if the problem has none.
        failed: Number of failed samples of each split; they are left out.
        duplicates: Number of repeated samples of each split; they are left out.
        reasons: Number of failed samples by reason.
        unassigned: Number of samples in no split, such as those within the training range that
            belong to a group of the shifted split.
        made: Number of all samples that were simulated or recorded.
        bought: Number of the last training samples that were simulated during a search, with inputs
            that aren't distributed as those of the other samples.
        suspects: Sentence about a value of a recorded field that may stand for a missing one, by
            name of the field.
        missing: Number of recorded samples in which a field is missing, by its name.
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
    bought: int = 0
    suspects: Mapping[str, str] = field(default_factory=dict[str, str])
    missing: Mapping[str, int] = field(default_factory=dict[str, int])

    def splits(self) -> Mapping[str, Split]:
        """Return the splits by name."""
        return {name: getattr(self, name) for name in SPLITS}

    def in_memory(self) -> Self:
        """Return the splits as arrays in memory, which can be sent to another machine."""
        return replace(self, **{name: split.in_memory() for name, split in self.splits().items()})


@dataclass(frozen=True)
class Pairs:
    """Inputs (n, ...) and targets (n, o) of a network, both float32.

    Both arrays are stored in C order, since compiled networks assume it.
    """

    inputs: Array
    targets: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", np.ascontiguousarray(self.inputs))
        object.__setattr__(self, "targets", np.ascontiguousarray(self.targets))


@dataclass(frozen=True, eq=False)
class Encoding(ABC):
    """One way to put a problem to a network: a frozen dataclass whose fields are its settings.

    Its methods are called in this order: `configured` sets what the search chose, `fit` measures
    statistics on the training split, `pairs` returns training data, and `apply` runs the network.
    """

    layout: ClassVar[Layout]
    target: ClassVar[Target]

    statistics: Batch = field(default_factory=dict[str, Array], kw_only=True)

    @property
    def aligned(self) -> bool:
        """Whether the network predicts at every element: targets are (n, elements * channels)."""
        return False

    @property
    def corrected_baseline(self) -> Run | None:
        """The answer without learning to which zero outputs decode, None if there is none.

        Such an answer is an extrapolation or a theory, which the network corrects. The last layer
        of a network then begins at zero, and the untrained network is kept where training doesn't
        improve on it. A contract check compares the answer with that of zero outputs.
        """
        return None

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the channels of a network's input (c,), of nodes where it is a graph.

        They are shown in reports; () where channels have only numbers.
        """
        return ()

    @property
    def floor(self) -> float:
        """The error of a perfect network, at most; the card of a case study gives the reason.

        It is above 0 where decoding can't represent the reference exactly, as where outputs are
        restricted to a symplectic map.
        """
        return 0.0

    @abstractmethod
    def settings(self, choose: Choose) -> Settings:
        """Return the settings of this encoding as chosen by `choose`."""

    @abstractmethod
    def measure(self, train: Split) -> Batch:
        """Return the statistics of the training split by which encoding and decoding scale."""

    @abstractmethod
    def pairs(self, split: Split) -> Pairs:
        """Return the inputs (n, ...) and targets (n, o) of a network."""

    @abstractmethod
    def apply(self, network: Predict, inputs: Batch, rng: np.random.Generator) -> Batch:
        """Return the decoded outputs, from one call of the network or from a roll-out.

        Args:
            network: Called with encoded inputs.
            inputs: Input fields of b samples.
            rng: Generator for stochastic encodings.
        """

    def configured(self, settings: Settings) -> Self:
        """Return this encoding with the given settings."""
        return replace(self, **dict(settings))

    def fit(self, train: Split) -> Self:
        """Return this encoding with the statistics of the training split."""
        return self.restored(self.measure(train))

    def restored(self, statistics: Batch) -> Self:
        """Return this encoding with statistics measured earlier."""
        return replace(self, statistics=statistics)


@runtime_checkable
class RollsForward(Protocol):
    """An encoding for roll-outs, whose network can be trained on its own outputs."""

    def unrolled(self, split: Split, network: Predict, stages: int) -> Pairs:
        """Return inputs (n, ...) and targets (n, o) of the last of several successive calls.

        Every window of the split is advanced by `stages - 1` calls of the network. The targets lead
        from the states reached there to the reference.

        Args:
            split: Samples with the reference.
            network: The network in its present state.
            stages: Number of successive calls.
        """
        ...


@runtime_checkable
class Remembers(Protocol):
    """An encoding with expensive computations that can be cached during training."""

    def remembering(self) -> "Encoding":
        """Return this encoding with a cache of encoded inputs; a cached one is never timed."""
        ...


@cache
def _unseeded_generator(process: int) -> np.random.Generator:  # noqa: ARG001 - the key
    """Return a generator of a process: making one takes as long as encoding a sample.

    A process that is forked must not repeat the samples of its parent, so it has its own.
    """
    return np.random.default_rng()


@dataclass(frozen=True)
class EncodedNetwork:
    """A fitted encoding around a network, called as `Simulation.run` is.

    Args:
        encoding: A fitted encoding.
        network: Called with encoded inputs (b, ...), or (b, c + noise) if `noise` is above 0.
        noise: Normal random numbers that the network of a distribution reads after its inputs.
    """

    encoding: Encoding
    network: Predict
    noise: int = 0

    def run(self, inputs: Batch, rng: np.random.Generator | None = None) -> Batch:
        """Return the predicted outputs; pass `rng` to make samples of a distribution repeatable."""
        rng = _unseeded_generator(os.getpid()) if rng is None else rng
        if not self.noise:
            return self.encoding.apply(self.network, inputs, rng)

        def sampling_network(conditions: Array) -> Array:
            noise = rng.standard_normal((len(conditions), self.noise), dtype=np.float32)
            return self.network(np.concatenate([conditions, noise], axis=1))

        return self.encoding.apply(sampling_network, inputs, rng)


def n_samples(batch: Batch) -> int:
    """Return the number of samples in a batch."""
    return len(next(iter(batch.values())))


def take_samples(batch: Batch, index: Array | slice) -> Batch:
    """Return the samples of a batch with these indices (n,)."""
    return {name: array[index] for name, array in batch.items()}


def tile_samples(batch: Batch, n: int) -> Batch:
    """Return n samples: those of the batch, repeated in order."""
    return take_samples(batch, np.arange(n) % n_samples(batch))
