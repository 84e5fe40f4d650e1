"""A problem: what is replaced, the ways to replace it, and how the result is judged."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np

from problems.data.recorded import Recorded
from problems.errors import UserError, user_code_errors
from problems.interfaces.pictures import OutputPictures, Picture
from problems.interfaces.types import (
    Array,
    Batch,
    Encoding,
    Field,
    Run,
    Simulation,
    Split,
    n_samples,
)


@dataclass(frozen=True)
class Metric:
    """A figure that `Problem.score` returns; lower is better unless said otherwise."""

    name: str
    unit: str = "1"
    description: str = ""
    higher_is_better: bool = False


@dataclass(frozen=True)
class Deployment:
    """How the host calls a surrogate: samples per call and threads."""

    batch: int = 64
    threads: int = 1


@dataclass(frozen=True)
class Calibration:
    """A shorter run of the reference, timed in turn with every trial.

    Args:
        simulation: The reference with less to do.
        share: Its cost as a fraction of the reference's.
        samples: How many samples one block runs.
    """

    simulation: Simulation
    share: float
    samples: int


@dataclass(frozen=True)
class Samples:
    """How many samples each split holds."""

    train: int = 512
    validation: int = 128
    test: int = 128
    shifted: int = 128


@dataclass(frozen=True)
class BaselineMargin:
    """An error in terms of the most accurate baseline's: 0.01 is one per cent worse than it.

    Args:
        worse_by: Share by which the error may exceed the baseline's; negative asks for better.
    """

    worse_by: float


@dataclass(frozen=True)
class Goals:
    """What would satisfy the user: largest error and smallest speed-up, both optional.

    The error is a figure in the objective's unit, or stands in terms of the best baseline's.
    """

    error: float | BaselineMargin | None = None
    speedup: float | None = None


@dataclass(frozen=True)
class Profile:
    """Where a host spends its time, measured elsewhere: seconds or shares of each part.

    Args:
        parts: Time of each part, in any one unit.
        kernel: The part that the surrogate replaces.
    """

    parts: Mapping[str, float]
    kernel: str


@dataclass(frozen=True)
class Symmetry:
    """A transformation that the reference may or may not commute with.

    Args:
        name: As the field calls it, with its axis or group.
        inputs: What it does to a batch of inputs.
        outputs: What it does to a batch of outputs.
    """

    name: str
    inputs: Callable[[Batch], Batch]
    outputs: Callable[[Batch], Batch]


class Score(Protocol):
    """How a prediction is judged; a score may bring `metrics` of its own."""

    def __call__(self, predicted: Batch, reference: Batch, inputs: Batch, /) -> Mapping[str, float]:
        """Return the metrics over these samples."""
        ...


@runtime_checkable
class FittedBaseline(Protocol):
    """A classical model that is fitted to the training split before it runs."""

    def fit(self, train: Split) -> Run:
        """Return what the training split makes of it, with the reference's signature."""
        ...


Cost = Callable[[Batch], Array]
"""cost(outputs): what the reference's run of each sample (b,) costs beside that of others."""
Pictures = Callable[[Batch, Batch, Batch], Sequence[Picture]]
"""pictures(predicted, reference, inputs) -> what the case study wants drawn."""
Host = Callable[[Run, np.random.Generator], Batch]
"""host(kernel, rng): run the host code with `kernel` where it would call the simulation."""
HostScore = Callable[[Batch, Batch], Mapping[str, float]]
"""host_score(predicted, reference): how far what a host returned is from what it should return."""

DEFAULT_METRIC = Metric("error", "1", "as the score of this problem returns it")


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A case study: a simulation or data, encodings and a score; all else has a default.

    Args:
        encodings: The alternatives by name, unfitted.
        score: Metrics of a prediction against the reference.
        simulation: The reference; or
        data: what a reference left in files.
        name: What the user types; the class of the simulation in lower case if not given.
        summary: One line for `simstead problems`.
        shifted: The reference, drawing outside the training range.
        held_out: The reference, for "validation" and "test" each, drawing from what is held out
            whole from training, as sites or systems; else these splits are drawn as training is.
        metrics: What each metric means; the first is the objective (lower is better). If not given,
            those that the score brings, else one called "error".
        baselines: Classical models with the reference's signature, or such as are fitted first.
        ceiling: The reference as far as anybody can know it, as from inputs that differ by
            rounding: how small an error can be. It is scored in the final heat on a few samples,
            never timed, and no contender, since it costs what the reference costs.
        samples: Size of each split; of recorded data, the largest size.
        epochs: Passes over the training pairs that a candidate is given; if not given, as many as
            make a few thousand steps.
        calibration: What the stopwatch runs in turn with a trial; the reference if not given.
        cost: What a sample costs the reference, of its outputs, where samples cost unlike much: the
            stopwatch then runs a few cheap ones in turn with a trial.
        deployment: How the host calls the surrogate.
        pictures: The case's own drawings of a prediction; a few samples' outputs if not given.
        goals: What would satisfy the user.
        host: Runs the host code with any kernel in the simulation's place.
        host_score: Figures, lower is better, of what the host returns with a surrogate; if not
            given, the root mean square departure of each of its arrays in units of their deviation.
        profile: Where the host spends its time, if it was measured elsewhere.
        symmetries: Transformations to try besides those that the fields' axes suggest.
        version: Raised with every change that moves the numbers.

    Raises:
        UserError: Neither or both of `simulation` and `data` are given.
    """

    encodings: Mapping[str, Encoding]
    score: Score
    simulation: Simulation | None = None
    data: Recorded | None = None
    name: str = ""
    summary: str = ""
    shifted: Simulation | None = None
    held_out: Mapping[str, Simulation] = field(default_factory=dict[str, Simulation])
    metrics: tuple[Metric, ...] = ()
    baselines: Mapping[str, Run | FittedBaseline] = field(
        default_factory=dict[str, Run | FittedBaseline]
    )
    ceiling: Run | None = None
    samples: Samples | None = None
    epochs: int | None = None
    calibration: Calibration | None = None
    cost: Cost | None = None
    deployment: Deployment = Deployment()
    pictures: Pictures | None = None
    goals: Goals = Goals()
    host: Host | None = None
    host_score: HostScore | None = None
    profile: Profile | None = None
    symmetries: tuple[Symmetry, ...] = ()
    version: int = 1

    def __post_init__(self) -> None:
        if (self.simulation is None) == (self.data is None):
            raise UserError("a problem needs simulation= or data=, one of the two")
        if not self.name:
            words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", type(self.source).__name__)
            object.__setattr__(self, "name", words.lower())
        if not self.metrics:
            brought = getattr(self.score, "metrics", None)
            metrics = brought if isinstance(brought, tuple) else (DEFAULT_METRIC,)
            object.__setattr__(self, "metrics", metrics)
        if self.pictures is None:
            object.__setattr__(
                self, "pictures", OutputPictures(getattr(self.source, "outputs", ()))
            )

    @property
    def source(self) -> Simulation | Recorded:
        """What the data come from."""
        source = self.simulation if self.data is None else self.data
        if source is None:
            raise UserError("a problem needs simulation= or data=, one of the two")
        return source

    @property
    def split_simulations(self) -> Mapping[str, Simulation]:
        """The splits that are not drawn as training is, with what draws them."""
        return {**self.held_out, **({"shifted": self.shifted} if self.shifted else {})}

    @property
    def inputs(self) -> tuple[Field, ...]:
        """Fields that the reference reads."""
        return self.source.inputs

    @property
    def outputs(self) -> tuple[Field, ...]:
        """Fields that the reference returns."""
        return self.source.outputs

    @property
    def objective(self) -> Metric:
        """The metric that the search makes small."""
        return self.metrics[0]

    def fitted(self, train: Split) -> Self:
        """Return this problem with its baselines fitted.

        Raises:
            UserError: The fit of one fails.
        """
        runs: dict[str, Run | FittedBaseline] = {}
        for name, each in self.baselines.items():
            with user_code_errors(f"the fit of baseline {name!r}"):
                fitted = each.fit(train) if isinstance(each, FittedBaseline) else each
                runs[name] = _called(fitted)
        return replace(self, baselines=runs)

    def costs(self, outputs: Batch) -> Array | None:
        """Return what each sample costs the reference (b,), None where nothing tells.

        Raises:
            UserError: `cost` raises, or returns something else than positive numbers.
        """
        if self.cost is None:
            return None
        with user_code_errors("cost"):
            costs = np.asarray(self.cost(outputs), dtype=float)
        if costs.shape != (n_samples(outputs),) or not (np.isfinite(costs) & (costs > 0.0)).all():
            raise UserError("cost: return one positive number for each sample")
        return costs

    @property
    def baseline_runs(self) -> Mapping[str, Run]:
        """Baselines as they are called.

        Raises:
            UserError: One isn't fitted yet.
        """
        runs: dict[str, Run] = {}
        for name, each in self.baselines.items():
            if isinstance(each, FittedBaseline):
                raise UserError(f"baseline {name!r} isn't fitted; call Problem.fitted(train) first")
            runs[name] = each
        return runs


def _called(fitted: Any) -> Run:
    """Return how what a fit returned is called: what returns itself isn't to be fitted again."""
    return fitted.__call__ if hasattr(fitted, "fit") else fitted
