"""A trial, from the untrained network to the measured artefact.

The untrained network is timed first, because latency hardly depends on weights. Then the network is
trained with a pause at every rung, pruned, lowered, scored as lowered, and measured. A further
deployment starts with the trained network. Every failure ends in the record, with a reason.
"""

import json
import os
import shutil
import time
import traceback
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Self, cast

from torch import Tensor, nn

from problems import Dataset, Problem, Run
from problems.errors import printable
from problems.interfaces.types import RollsForward
from search.run.checkpoints import load_checkpoint, save_checkpoint
from search.run.directory import RunDirectory
from search.run.environment import machine_kind
from search.run.lease import batch_job
from search.run.records import (
    MAX_TRACEBACK_CHARS,
    TIME_UNTRAINED,
    Limits,
    Record,
    Rung,
    State,
    Timing,
    timestamp,
)
from search.run.spec import ExtraObjective
from search.timing.memory import measure_memory_bytes
from search.timing.reference import ReferenceTiming, measure
from search.timing.stopwatch import MAX_ROUNDS, MIN_ROUNDS
from search.trial.checkpointing import Checkpointer
from search.trial.distillation import NoTeacherError
from search.trial.preparation import (
    BestWeights,
    NotFiniteError,
    TaskCache,
    TrainingTask,
    calibrate_probabilities,
    fine_tune,
    initialise_learner,
    training_epochs,
)
from search.trial.scoring import score_split
from spaces.artefact import (
    Artefact,
    DisagreementError,
    TrainedNetwork,
    calibration_inputs,
    write_artefact,
)
from spaces.candidate import Candidate, Pruning
from spaces.ensemble import NetworkMean
from spaces.members import EnsembleMembers
from spaces.output_layer import zero_outputs
from spaces.pruning import NothingToPruneError, prune
from spaces.registered import RUNTIMES
from spaces.training_targets import Learner

RUNG_SHARES = (0.25, 0.5)
"""Shares of the training after which a trial may be stopped early."""

PATIENCE_SHARE = 0.5
"""A training ends after this share of its epochs without improvement. With one cycle of the
learning rate, errors usually fall until the end. On data that networks overfit, one half saves a
quarter of the time; one quarter would save half of it, but finds worse weights."""


class InfeasibleError(Exception):
    """A candidate can't be used, for the reason in the message."""


class RungReport(NamedTuple):
    """Report of a trial at a rung.

    Args:
        rung: The rung with the error there.
        relative_time: Time of the untrained network over that of the reference.
        durations_s: Seconds of each stage so far.
        memory_bytes: Memory of the untrained network, where memory is an objective.
    """

    rung: Rung
    relative_time: float
    durations_s: dict[str, float]
    memory_bytes: int | None = None

    def as_result(self) -> dict[str, Any]:
        """Return the result that a worker reports; with JSON text, because Tune flattens values."""
        texts = {
            "rung": self.rung.model_dump_json(),
            "durations_s": json.dumps(self.durations_s),
        }
        return self._asdict() | texts


@dataclass(frozen=True)
class SearchContext:
    """Everything that the trials of a search share.

    Args:
        problem: The problem, with fitted baselines.
        data: The data.
        reference_timing: How the reference is timed.
        limits: The goals.
        run: The run directory.
        source: How the user names the problem.
        extra_objectives: Objectives besides error and time.
        baseline_errors: Validation errors of the baselines that fail on no sample, by name.
        teacher: Predicts the outputs of further training samples; None if there is no teacher.
        step_teacher: Predicts them for encodings that are rolled out.
        task_cache: Cache of the last training task in this process.
    """

    problem: Problem
    data: Dataset
    reference_timing: ReferenceTiming
    limits: Limits
    run: RunDirectory
    source: str = ""
    extra_objectives: tuple[ExtraObjective, ...] = ()
    baseline_errors: Mapping[str, float] = field(default_factory=dict[str, float])
    teacher: Run | None = None
    step_teacher: Run | None = None
    task_cache: TaskCache = field(default_factory=TaskCache, compare=False, repr=False)

    def teacher_of(self, encoding: str) -> Run | None:
        """Return the teacher of networks in an encoding, None if there is none."""
        rolls = isinstance(self.problem.encodings[encoding], RollsForward)
        return self.step_teacher if rolls else self.teacher

    def without_baselines(self) -> Self:
        """Return what workers share: no trial calls a baseline, and fitted ones may be large."""
        return replace(self, problem=replace(self.problem, baselines={}))


@dataclass
class RecordBuilder:
    """The stage of a running trial, and its results so far, from which its record is made.

    Args:
        number: Number of the trial.
        candidate: The candidate.
        training: The trial that trained the network, for a further deployment.
        stage: The present stage.
        started: Start of the stage, by `time.perf_counter`.
        durations_s: Seconds of each finished stage.
        rungs: Rungs so far.
        results: Further fields of the record.
    """

    number: int
    candidate: Candidate
    training: int | None = None
    stage: str = "prepare"
    started: float = 0.0
    durations_s: dict[str, float] = field(default_factory=dict[str, float])
    rungs: list[Rung] = field(default_factory=list[Rung])
    results: dict[str, object] = field(default_factory=dict[str, object])

    @contextmanager
    def timed_stage(self, stage: str) -> Generator[None]:
        """Start a stage, and add its duration at the end."""
        self.stage, self.started = stage, time.perf_counter()
        try:
            yield
        finally:
            self.durations_s = self.durations_so_far()

    def durations_so_far(self) -> dict[str, float]:
        """Return the seconds of each stage, including the present stage up to now."""
        return self.durations_s | {self.stage: time.perf_counter() - self.started}

    def record(self, state: State, reason: str, traceback_text: str = "") -> Record:
        """Return the record of the trial.

        Args:
            state: How the trial ended.
            reason: Why it ended so; empty if it is complete.
            traceback_text: Traceback of an unexpected exception.
        """
        return Record.model_validate(
            {
                "number": self.number,
                "key": self.candidate.key,
                "candidate": self.candidate,
                "training": self.training,
                "state": state,
                "stage": self.stage,
                "reason": printable(reason),
                "traceback": printable(traceback_text)[-MAX_TRACEBACK_CHARS:],
                "rungs": tuple(self.rungs),
                "durations_s": self.durations_s,
                "kind": machine_kind(),
                "job": batch_job(),
                "load": os.getloadavg()[0],
                "ended": timestamp(),
                **self.results,
            }
        )


def run_trial(
    context: SearchContext, candidate: Candidate, number: int, training: int | None = None
) -> Generator[RungReport | Record, None, None]:
    """Yield the rungs of a trial, then its record; close the generator to stop the trial at a rung.

    Args:
        context: What the trials of the search share.
        candidate: The candidate.
        number: Number of the trial.
        training: The trial that trained the network, for a further deployment.
    """
    builder = RecordBuilder(number, candidate, training)
    state, reason, traceback_text = State.COMPLETE, "", ""
    try:
        yield from _stages(context, builder)
    except (InfeasibleError, NotFiniteError, NoTeacherError) as error:
        state, reason = State.INFEASIBLE, str(error)
    except Exception as error:  # noqa: BLE001 - the boundary: every failure becomes a reason
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(frame.filename).name}:{frame.lineno}"
        state, reason = State.INFEASIBLE, f"{type(error).__name__} at {where}: {error}"
        traceback_text = "".join(traceback.format_exception(error))
    if state is State.INFEASIBLE:
        shutil.rmtree(context.run.artefact_path(number), ignore_errors=True)
        builder.results.pop("artefact", None)
    yield builder.record(state, reason, traceback_text)


def _stages(context: SearchContext, builder: RecordBuilder) -> Iterator[RungReport]:
    problem, data, candidate = context.problem, context.data, builder.candidate
    with builder.timed_stage("prepare"):
        teacher = context.teacher_of(candidate.encoding)
        task = context.task_cache.prepare_training(problem, candidate, data, teacher)
        calibration = calibration_inputs(task.pairs, problem.deployment.batch, task.noise)
        learner = initialise_learner(candidate, task.shape)
    if builder.training is None:
        with builder.timed_stage(TIME_UNTRAINED):
            timing = _time_untrained(context, builder, task, learner.network, calibration)
        with builder.timed_stage("train"):
            yield from _train(context, builder, task, learner, timing)
    else:
        with builder.timed_stage("load"):
            trained = load_checkpoint(context.run.trained_network_path(builder.training))
            learner.load_state_dict(trained["learner"])
            builder.results["unpruned_error"] = trained["error"]
    with builder.timed_stage("prune"):
        builder.results["eager_error"] = builder.results["unpruned_error"]
        if candidate.pruning is not Pruning.NONE:
            builder.results["eager_error"] = _prune(context, candidate, task, learner, calibration)
    trained = task.trained(learner.network, calibration, data.validation.inputs)
    if candidate.ensemble_seeds:
        with builder.timed_stage("average"):
            mean = _network_mean(context, builder, task, learner.network, calibration)
            members = EnsembleMembers(list(mean.networks), data.validation)
            trained = trained._replace(network=mean, members=members)
    with builder.timed_stage("deploy"):
        manifest, surrogate = _lower(context, builder, trained)
        builder.results["disagreement"] = manifest.disagreement
        builder.results["parameters"] = manifest.parameters
        builder.results["zero_parameters"] = manifest.zeros
        builder.results["artefact"] = f"artefacts/{context.run.artefact_path(builder.number).name}"
        builder.results["artefact_hash"] = manifest.hash
    with builder.timed_stage("validate"):
        result = score_split(problem, surrogate.run, data.validation)
        if result.failed:
            raise InfeasibleError(
                f"{result.failed} of {len(data.validation)} predictions failed: {result.reason}"
            )
        if result.not_finite:
            raise InfeasibleError(f"on the validation split {result.not_finite}")
        builder.results["metrics"] = result.metrics
    with builder.timed_stage("measure"):
        builder.results["timing"] = measure(
            problem, data, context.reference_timing, surrogate, MAX_ROUNDS
        )
        if ExtraObjective.MEMORY in context.extra_objectives:
            builder.results["memory_bytes"] = measure_memory_bytes(
                context.run.artefact_path(builder.number)
            )


def _time_untrained(
    context: SearchContext,
    builder: RecordBuilder,
    task: TrainingTask,
    network: nn.Module,
    calibration: Tensor,
) -> Timing:
    """Return the timing of the untrained network as it would be deployed.

    Raises:
        InfeasibleError: It misses the goal, or is slower than the reference in any deployment.
    """
    problem, data = context.problem, context.data
    pruned_network = _pruned(network, builder.candidate, calibration)
    trained = task.trained(pruned_network, calibration, data.validation.inputs)
    _, surrogate = _lower(context, builder, trained, timing_only=True)
    timing = measure(problem, data, context.reference_timing, surrogate, MIN_ROUNDS)
    builder.results["untrained_relative_time"] = timing.relative_time
    if ExtraObjective.MEMORY in context.extra_objectives:
        memory = measure_memory_bytes(context.run.artefact_path(builder.number))
        builder.results["untrained_memory_bytes"] = memory
    shutil.rmtree(context.run.artefact_path(builder.number))  # its weights are random
    if context.reference_timing.has_time:
        _refuse_slow(context.limits, timing, RUNTIMES[builder.candidate.runtime].max_speedup)
    return timing


def _train(
    context: SearchContext,
    builder: RecordBuilder,
    task: TrainingTask,
    learner: Learner,
    timing: Timing,
) -> Iterator[RungReport]:
    """Train the network from the beginning or from a checkpoint; yield a report at every rung.

    The training ends before the last epoch if the error no longer improves.

    Rungs before the checkpoint are reported again, because other networks may have reached them
    since. A checkpoint is saved at every rung, so that a trial stopped there can be resumed.
    """
    candidate, run = builder.candidate, context.run
    epochs = training_epochs(context.problem, task, learner)
    rung_epochs = {max(1, round(share * epochs)): share for share in RUNG_SHARES}
    best = BestWeights(context.problem, task, context.data.validation)
    untrained = _score_untrained(context, task, learner)
    trainer = task.trainer(learner, candidate.training, epochs, candidate.seed)
    checkpointer = Checkpointer(run.checkpoint_path(builder.number), trainer, best, candidate.key)
    memory = cast("int | None", builder.results.get("untrained_memory_bytes"))
    for rung in checkpointer.restore():
        builder.rungs.append(rung)
        yield RungReport(rung, timing.relative_time, builder.durations_so_far(), memory)
    for epoch in _until_no_improvement(trainer, best, epochs):
        best.update(learner.network)
        if epoch in rung_epochs and epoch < epochs:
            builder.rungs.append(Rung(epoch=epoch, share=rung_epochs[epoch], error=best.error))
            checkpointer.save(builder.rungs)
            yield RungReport(
                builder.rungs[-1], timing.relative_time, builder.durations_so_far(), memory
            )
        checkpointer.save_if_due(builder.rungs)
    checkpointer.save(builder.rungs)  # so that an interrupted deployment needs no second training
    if untrained:
        builder.results["untrained_error"] = untrained.error
        best = min(untrained, best, key=lambda weights: weights.error)
    best.restore(learner.network)
    error = best.error
    if candidate.training.temperature:
        error = calibrate_probabilities(context.problem, task, context.data.validation, learner)
    builder.results["unpruned_error"] = error
    save_checkpoint(
        run.trained_network_path(builder.number), {"learner": learner.state_dict(), "error": error}
    )


def _score_untrained(
    context: SearchContext, task: TrainingTask, learner: Learner
) -> BestWeights | None:
    """Return the untrained weights with their error, set to begin as what the encoding corrects.

    None if the network corrects nothing, so that zero outputs mean nothing.
    """
    if task.encoding.corrected_baseline is None:
        return None
    calibration = calibration_inputs(task.pairs, 2, task.noise)
    zero_outputs(learner.network, calibration)
    untrained = BestWeights(context.problem, task, context.data.validation)
    untrained.update(learner.network)
    return untrained


def _until_no_improvement(trainer: Iterable[int], best: BestWeights, epochs: int) -> Iterator[int]:
    """Yield the epochs of a training until the error has not improved for too long.

    Source: Prechelt, Neural Networks: Tricks of the Trade (1998) 55.
    """
    epochs_done = iter(trainer)
    while best.evaluations_without_improvement < PATIENCE_SHARE * epochs and (
        epoch := next(epochs_done, 0)
    ):
        yield epoch


def _network_mean(
    context: SearchContext,
    builder: RecordBuilder,
    task: TrainingTask,
    first: nn.Module,
    calibration: Tensor,
) -> NetworkMean:
    """Return the mean of the networks of an ensemble, each pruned as the first one is."""
    candidate, networks = builder.candidate, [first]
    network_id = builder.number if builder.training is None else builder.training
    for seed in candidate.ensemble_seeds[1:]:
        member = candidate.model_copy(update={"seed": seed})
        learner = initialise_learner(member, task.shape)
        path = context.run.retrained_network_path(network_id, seed)
        learner.load_state_dict(load_checkpoint(path)["learner"])
        if candidate.pruning is not Pruning.NONE:
            _prune(context, member, task, learner, calibration)
        networks.append(learner.network)
    mean = NetworkMean(networks).eval()
    weights = BestWeights(context.problem, task, context.data.validation)
    weights.update(mean)
    builder.results |= {"unpruned_error": None, "eager_error": weights.error}
    return mean


def _prune(
    context: SearchContext,
    candidate: Candidate,
    task: TrainingTask,
    learner: Learner,
    calibration: Tensor,
) -> float:
    """Prune and fine-tune the network of a learner in place; return its validation error."""
    learner.network = _pruned(learner.network, candidate, calibration)
    return fine_tune(context.problem, task, context.data.validation, learner, candidate)


def _pruned(network: nn.Module, candidate: Candidate, calibration: Tensor) -> nn.Module:
    if candidate.pruning is Pruning.NONE:
        return network
    try:
        return prune(network, candidate.pruning, candidate.pruning_settings, calibration[:2])
    except NothingToPruneError as error:
        raise InfeasibleError(str(error)) from error


def _lower(
    context: SearchContext,
    builder: RecordBuilder,
    trained: TrainedNetwork,
    *,
    timing_only: bool = False,
) -> Artefact:
    problem, folder = context.problem, context.run.artefact_path(builder.number)
    try:
        return write_artefact(
            trained, builder.candidate, problem, folder, context.source, timing_only=timing_only
        )
    except DisagreementError as error:
        raise InfeasibleError(str(error)) from error


def _refuse_slow(limits: Limits, timing: Timing, max_speedup: float) -> None:
    """Raise an InfeasibleError if a network is too slow, whatever its weights.

    It is if the upper end of its speed-up misses the goal. It is also too slow if no deployment can
    make it faster than the reference, which has no error and would dominate it.
    """
    if limits.speedup is not None and timing.speedup_high < limits.speedup:
        raise InfeasibleError(f"{timing.speedup:.3g}x as fast; the goal is {limits.speedup:g}x")
    if timing.speedup_high * max_speedup < 1.0:
        raise InfeasibleError(
            f"it takes {timing.relative_time:.3g} times as long as the reference, and no other "
            "deployment would be faster than the reference"
        )
