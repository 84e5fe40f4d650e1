"""A problem: the simulation, its encodings and score, and all other declarations of a user."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np

from problems.data.recorded_declaration import Recorded
from problems.encodings.cheap_run import with_cheap_run
from problems.entrance.calls import user_code_errors
from problems.errors import UserError
from problems.interfaces.class_fields import ClassField
from problems.interfaces.label_pictures import LabelPictures
from problems.interfaces.pictures import OutputPictures, Picture
from problems.interfaces.scores import FittedScore, Score
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
    """A figure that the score of a problem returns; lower is better by default."""

    name: str
    unit: str = "1"
    description: str = ""
    higher_is_better: bool = False


DEFAULT_BATCH = 64


@dataclass(frozen=True)
class Deployment:
    """How the host calls a surrogate.

    Args:
        batch: Samples in the calls whose time the search minimises; by default the largest of
            `batches`, or else 64.
        threads: Threads that a call may use.
        batches: Every number of samples with which the host calls. An artefact is lowered for each,
            and `batch` is one of them whether it is named here or not.
    """

    batch: int = 0
    threads: int = 1
    batches: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        given = tuple(self.batches)
        batch = self.batch or max(given, default=DEFAULT_BATCH)
        object.__setattr__(self, "batch", batch)
        object.__setattr__(self, "batches", tuple(sorted({*given, batch})))


@dataclass(frozen=True)
class Calibration:
    """A shorter run of the reference, timed in turn with each trial.

    Args:
        simulation: The reference with less work per sample.
        share: Its cost as a fraction of the reference's.
        samples: Number of samples in one timed call.
    """

    simulation: Simulation
    share: float
    samples: int


@dataclass(frozen=True)
class Samples:
    """The number of samples in each split."""

    train: int = 512
    validation: int = 128
    test: int = 128
    shifted: int = 128


@dataclass(frozen=True)
class BaselineMargin:
    """An error relative to that of the most accurate baseline of the user.

    Where the user gives none, it is relative to the most accurate of the standard baselines.

    Args:
        worse_by: Share by which the error may exceed that of the baseline: 0.01 allows 1 % more,
            -0.9 requires a tenth of it.
    """

    worse_by: float


@dataclass(frozen=True)
class Goals:
    """The constraints of the user, both optional.

    Args:
        error: Largest error, in the unit of the objective or relative to the best baseline.
        speedup: Smallest speed-up.
    """

    error: float | BaselineMargin | None = None
    speedup: float | None = None


@dataclass(frozen=True)
class Profile:
    """The time that each part of a host takes, as measured elsewhere.

    Args:
        parts: Time of each part, all in one unit or as shares.
        kernel: The part that the surrogate replaces.
    """

    parts: Mapping[str, float]
    kernel: str


@dataclass(frozen=True)
class Symmetry:
    """A transformation under which the outputs may change in a known way.

    Args:
        name: Usual name, with the axis or the group.
        inputs: Transforms a batch of inputs.
        outputs: Transforms a batch of outputs accordingly.
    """

    name: str
    inputs: Callable[[Batch], Batch]
    outputs: Callable[[Batch], Batch]


@runtime_checkable
class FittedBaseline(Protocol):
    """A classical model that is fitted to the training split."""

    def fit(self, train: Split) -> Run:
        """Return the fitted model, with the signature of the reference."""
        ...


Cost = Callable[[Batch], Array]
"""cost(outputs): the relative cost (b,) of the samples for the reference."""
Pictures = Callable[[Batch, Batch, Batch], Sequence[Picture]]
"""pictures(predicted, reference, inputs): the pictures of a prediction for the report."""
Host = Callable[[Run, np.random.Generator], Batch]
"""host(kernel, rng): the results of the host code with `kernel` in place of the simulation."""
HostScore = Callable[[Batch, Batch], Mapping[str, float]]
"""host_score(predicted, reference): errors of the results of a host, by name."""

CHEAP_RUN = "cheap run"
"""Name of the baseline of `Problem.cheap`."""

DEFAULT_METRIC = Metric("error", "1", "as returned by the score of this problem")


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A case study: a simulation or data, encodings and a score. All else has a default.

    Args:
        encodings: Unfitted encodings by name.
        score: Computes the metrics of a prediction against the reference.
        simulation: The reference. Give either `simulation` or `data`.
        data: Recorded samples of a reference.
        name: Name in commands and reports; by default the class of the simulation in lower case.
        summary: One line for `simstead problems`.
        shifted: The simulation with inputs drawn from outside the training range.
        held_out: The simulation for "validation" and "test", each drawing from sites or systems
            that training doesn't use; by default these splits are drawn as training is.
        metrics: Descriptions of the metrics; the first is the objective (lower is better). By
            default those of the score, or else one called "error".
        baselines: Classical models with the signature of the reference, fitted or to be fitted.
        standard_baselines: Whether a search also fits, scores and times models such as a linear
            one, a Gaussian process and a random forest (`problems.baselines`).
        cheap: A run of lower fidelity with the signature of the reference, such as the same code on
            a coarser grid. It is a baseline, and each ready-made encoding NAME gets a companion
            NAME-cheap whose network reads its outputs too.
        ceiling: The reference for inputs that differ by rounding, whose error is the smallest
            possible. The final evaluation scores it on a few samples. It is never timed and never
            recommended, since it costs as much as the reference.
        samples: Size of each split; for recorded data the largest size.
        time_limit_s: Longest time of the simulation for one sample [s]; a call may take a quarter
            of an hour more. A sample that takes longer has failed.
        epochs: Passes over the training data; by default as many as make a few thousand steps.
        timed: Whether the time of the simulation is what a surrogate saves. False where the
            simulation stands for what can't be called in a surrogate's place, such as an
            experiment: surrogates may then be slower, and are compared in speed with the most
            accurate baseline, as beside recorded data without `cost_s`.
        calibration: Timed in turn with each trial; by default the reference.
        cost: Relative cost of samples, by their outputs, where it differs much between samples; the
            stopwatch then times a few cheap samples in turn with each trial.
        deployment: How the host calls the surrogate.
        pictures: Pictures of a prediction; by default of the outputs of a few samples, and ROC,
            calibration and confusion of labels.
        goals: Largest error and smallest speed-up.
        host: Runs the host code with any kernel in place of the simulation.
        host_score: Errors (lower is better) of the results of the host with a surrogate; by default
            the root mean square error of each array in units of its standard deviation.
        profile: Time of the parts of the host, if measured elsewhere.
        symmetries: Transformations to test beside those that the axes of the fields suggest.
        version: To be raised with every change of the results.

    Raises:
        UserError: Not exactly one of `simulation` and `data` is given, or inputs that may be
            missing are declared otherwise in an encoding.
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
    standard_baselines: bool = True
    cheap: Run | None = None
    ceiling: Run | None = None
    samples: Samples | None = None
    time_limit_s: float = 120.0
    epochs: int | None = None
    timed: bool = True
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
        self._refuse_other_inputs()
        if self.cheap is not None:
            object.__setattr__(self, "encodings", with_cheap_run(self.encodings, self.cheap))
            object.__setattr__(self, "baselines", {CHEAP_RUN: self.cheap, **self.baselines})
        if not self.name:
            hyphenated = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", type(self.source).__name__)
            object.__setattr__(self, "name", hyphenated.lower())
        if not self.metrics:
            declared = getattr(self.score, "metrics", None)
            metrics = declared if isinstance(declared, tuple) else (DEFAULT_METRIC,)
            object.__setattr__(self, "metrics", metrics)
        if self.pictures is None:
            outputs = getattr(self.source, "outputs", ())
            of_labels = any(isinstance(f, ClassField) for f in outputs)
            drawn = LabelPictures(outputs) if of_labels else OutputPictures(outputs)
            object.__setattr__(self, "pictures", drawn)

    def _refuse_other_inputs(self) -> None:
        """Refuse encodings that don't know that their inputs may be missing."""
        declared = getattr(self.source, "inputs", ())
        optional = {f.name for f in declared if getattr(f, "may_be_missing", False)}
        for name, encoding in self.encodings.items() if optional else ():
            for f in getattr(encoding, "inputs", ()):
                if f.name in optional and not f.may_be_missing:
                    raise UserError(
                        f"encoding {name!r}: its input {f.name!r} may be missing in the data, but "
                        "the Field doesn't say so; make the encoding from the inputs of the data: "
                        "data = Recorded(...), then data.inputs"
                    )

    @property
    def source(self) -> Simulation | Recorded:
        """The simulation or the recorded data.

        Raises:
            UserError: The problem has neither.
        """
        source = self.simulation if self.data is None else self.data
        if source is None:
            raise UserError("a problem needs simulation= or data=, one of the two")
        return source

    @property
    def reference_has_time(self) -> bool:
        """Whether the reference has a time, over which speed-ups can be quoted."""
        return self.timed and (self.data is None or self.data.cost_s is not None)

    @property
    def split_simulations(self) -> Mapping[str, Simulation]:
        """The simulation of each split that isn't drawn as training is."""
        return {**self.held_out, **({"shifted": self.shifted} if self.shifted else {})}

    @property
    def inputs(self) -> tuple[Field, ...]:
        """Input fields of the reference."""
        return self.source.inputs

    @property
    def outputs(self) -> tuple[Field, ...]:
        """Output fields of the reference."""
        return self.source.outputs

    @property
    def objective(self) -> Metric:
        """The metric that the search minimises."""
        return self.metrics[0]

    def fitted(self, train: Split) -> Self:
        """Return this problem with baselines, and a score if need be, fitted to the training split.

        Raises:
            UserError: The fit of a baseline or of the score fails.
        """
        runs: dict[str, Run | FittedBaseline] = {}
        for name, baseline in self.baselines.items():
            with user_code_errors(f"the fit of baseline {name!r}"):
                fitted = baseline.fit(train) if isinstance(baseline, FittedBaseline) else baseline
                runs[name] = _without_fit(fitted)
        return replace(self, baselines=runs, score=self.fitted_score(train))

    def fitted_score(self, train: Split) -> Score:
        """Return the score, fitted to the training split if it can be.

        Raises:
            UserError: The fit fails.
        """
        if not isinstance(self.score, FittedScore):
            return self.score
        with user_code_errors("the fit of the score"):
            return self.score.fit(train)

    def costs(self, outputs: Batch) -> Array | None:
        """Return the relative cost of each sample (b,), None if the problem has no `cost`.

        Raises:
            UserError: `cost` raises, or doesn't return positive numbers.
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
        """The callable baselines by name.

        Raises:
            UserError: A baseline isn't fitted.
        """
        runs: dict[str, Run] = {}
        for name, baseline in self.baselines.items():
            if isinstance(baseline, FittedBaseline):
                raise UserError(f"baseline {name!r} isn't fitted; call Problem.fitted(train) first")
            runs[name] = baseline
        return runs


def _without_fit(fitted: Any) -> Run:
    """Return a callable without a method `fit`, so that a fitted model isn't fitted again."""
    return fitted.__call__ if hasattr(fitted, "fit") else fitted
