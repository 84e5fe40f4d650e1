"""One candidate's life, from the untrained network to the measured artefact.

Timed first (latency hardly depends on weights), then trained with a pause at every rung, pruned,
lowered, validated as lowered, measured. A further deployment begins with the trained network.
Whatever goes wrong ends in its record, with a reason.
"""

import json
import math
import shutil
import time
import traceback
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

from torch import Tensor, nn

from problems import Dataset, Problem
from search.run.checkpoints import load_checkpoint, save_checkpoint
from search.run.directory import Run
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
from search.trial.preparation import (
    BestWeights,
    Checkpointer,
    TaskCache,
    TrainingTask,
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
from spaces.pruning import NothingToPruneError, prune
from spaces.registered import RUNTIMES
from spaces.training_targets import Learner

RUNG_SHARES = (0.25, 0.5)
"""Where in training a candidate may be stopped."""

PATIENCE_SHARE = 0.5
"""For so much of its epochs a training goes on although nothing gets better. With one cycle of the
learning rate errors fall until the end, where they fall at all. On data that networks learn by
heart, half saves a quarter of the time; a quarter would save half, but finds worse weights."""


class InfeasibleError(Exception):
    """A candidate can't be used; the message is the reason."""


class RungReport(NamedTuple):
    """A pause: the error so far, and what the untrained network costs.

    Args:
        rung: Where, and the error.
        relative_time: Time over the reference's.
        durations_s: Seconds of each stage so far.
        memory_bytes: Its memory, where that is an objective.
    """

    rung: Rung
    relative_time: float
    durations_s: dict[str, float]
    memory_bytes: int | None = None

    def as_result(self) -> dict[str, Any]:
        """Return it as a worker tells it; as text, because Tune takes values apart."""
        as_result = {
            "rung": self.rung.model_dump_json(),
            "durations_s": json.dumps(self.durations_s),
        }
        return self._asdict() | as_result


@dataclass(frozen=True)
class SearchContext:
    """What every trial of a search shares."""

    problem: Problem
    data: Dataset
    reference_timing: ReferenceTiming
    limits: Limits
    run: Run
    source: str = ""
    """What the user names the problem by."""
    extra_objectives: tuple[ExtraObjective, ...] = ()
    """Objectives besides error and time."""
    task_cache: TaskCache = field(default_factory=TaskCache, compare=False, repr=False)
    """Of this process."""


@dataclass
class RecordBuilder:
    """A record in the making: where the trial is and what it has found so far."""

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
        """Count the time of a stage."""
        self.stage, self.started = stage, time.perf_counter()
        try:
            yield
        finally:
            self.durations_s = self.durations_so_far()

    def durations_so_far(self) -> dict[str, float]:
        """Return the seconds of each stage, those of the one that it is in up to now."""
        return self.durations_s | {self.stage: time.perf_counter() - self.started}

    def record(self, state: State, reason: str, traced: str = "") -> Record:
        """Return what is known as a record."""
        return Record.model_validate(
            {
                "number": self.number,
                "key": self.candidate.key,
                "candidate": self.candidate,
                "training": self.training,
                "state": state,
                "stage": self.stage,
                "reason": reason,
                "traceback": traced[-MAX_TRACEBACK_CHARS:],
                "rungs": tuple(self.rungs),
                "durations_s": self.durations_s,
                "ended": timestamp(),
                **self.results,
            }
        )


def run_trial(
    context: SearchContext, candidate: Candidate, number: int, training: int | None = None
) -> Generator[RungReport | Record, None, None]:
    """Yield the rungs of a trial, then its record; close the generator to stop it at a rung.

    Args:
        setting: The search's.
        candidate: What is tried.
        number: The trial's.
        training: The trial that trained the network, where this is a further deployment of it.
    """
    draft = RecordBuilder(number, candidate, training)
    state, reason, traced = State.COMPLETE, "", ""
    try:
        yield from _stages(context, draft)
    except InfeasibleError as error:
        state, reason = State.INFEASIBLE, str(error)
    except Exception as error:  # noqa: BLE001 - the boundary: a trial always ends told, with a reason
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        state, reason = State.INFEASIBLE, f"{type(error).__name__} at {where}: {error}"
        traced = "".join(traceback.format_exception(error))
    if state is State.INFEASIBLE:
        shutil.rmtree(context.run.artefact(number), ignore_errors=True)
        draft.results.pop("artefact", None)
    yield draft.record(state, reason, traced)


def _stages(context: SearchContext, draft: RecordBuilder) -> Iterator[RungReport]:
    problem, data, candidate = context.problem, context.data, draft.candidate
    with draft.timed_stage("prepare"):
        task = context.task_cache.prepare_training(problem, candidate, data)
        calibration = calibration_inputs(task.pairs, problem.deployment.batch, task.noise)
        learner = initialise_learner(candidate, task.shape)
    if draft.training is None:
        with draft.timed_stage(TIME_UNTRAINED):
            timing = _time_first(context, draft, task, learner.network, calibration)
        with draft.timed_stage("train"):
            yield from _train(context, draft, task, learner, timing)
    else:
        with draft.timed_stage("load"):
            trained = load_checkpoint(context.run.trained(draft.training))
            learner.load_state_dict(trained["learner"])
            draft.results["unpruned_error"] = trained["error"]
    with draft.timed_stage("prune"):
        draft.results["exact_error"] = draft.results["unpruned_error"]
        if candidate.pruning is not Pruning.NONE:
            learner.network = _pruned(learner.network, candidate, calibration)
            draft.results["exact_error"] = fine_tune(
                problem, task, data.validation, learner, candidate
            )
    with draft.timed_stage("deploy"):
        trained = task.trained(learner.network, calibration, data.validation.inputs)
        manifest, surrogate = _lower(context, draft, trained)
        draft.results["disagreement"] = manifest.disagreement
        draft.results["parameters"] = manifest.parameters
        draft.results["zeros"] = manifest.zero_parameters
        draft.results["artefact"] = f"artefacts/{context.run.artefact(draft.number).name}"
        draft.results["artefact_hash"] = manifest.hash
    with draft.timed_stage("validate"):
        result = score_split(problem, surrogate.run, data.validation)
        if result.failed:
            raise InfeasibleError(
                f"{result.failed} of {len(data.validation)} predictions failed: {result.reason}"
            )
        odd = [name for name, value in result.metrics.items() if not math.isfinite(value)]
        if odd:
            raise InfeasibleError(f"{', '.join(odd)} of its predictions is not a finite number")
        draft.results["metrics"] = result.metrics
    with draft.timed_stage("measure"):
        draft.results["timing"] = measure(
            problem, data, context.reference_timing, surrogate, MAX_ROUNDS
        )
        if ExtraObjective.MEMORY in context.extra_objectives:
            draft.results["memory_bytes"] = measure_memory_bytes(context.run.artefact(draft.number))


def _time_first(
    context: SearchContext,
    draft: RecordBuilder,
    task: TrainingTask,
    network: nn.Module,
    calibration: Tensor,
) -> Timing:
    """Time the untrained network as it would be deployed.

    Raises:
        InfeasibleError: It misses the goal, or the reference is faster than it can become.
    """
    problem, data = context.problem, context.data
    timing_only = _pruned(network, draft.candidate, calibration)
    trained = task.trained(timing_only, calibration, data.validation.inputs)
    _, surrogate = _lower(context, draft, trained, timing_only=True)
    timing = measure(problem, data, context.reference_timing, surrogate, MIN_ROUNDS)
    draft.results["untrained_relative_time"] = timing.relative_time
    if ExtraObjective.MEMORY in context.extra_objectives:
        memory = measure_memory_bytes(context.run.artefact(draft.number))
        draft.results["untrained_memory_bytes"] = memory
    shutil.rmtree(context.run.artefact(draft.number))  # with random weights it is no artefact
    _refuse_slow(context.limits, timing, RUNTIMES[draft.candidate.runtime].max_speedup)
    return timing


def _train(
    context: SearchContext,
    draft: RecordBuilder,
    task: TrainingTask,
    learner: Learner,
    timing: Timing,
) -> Iterator[RungReport]:
    """Train to the end, or on from where it was cut off; pause at every rung.

    It ends early where nothing gets better any more.

    What is kept of the course is tried again rung by rung: others may have come there meanwhile. It
    is put aside at every rung, where it can be: who is stopped there may be gone on with.
    """
    candidate, run = draft.candidate, context.run
    epochs = training_epochs(context.problem, task.pairs)
    pauses = {max(1, round(share * epochs)): share for share in RUNG_SHARES}
    best = BestWeights(context.problem, task, context.data.validation)
    trainer = task.trainer(learner, candidate.training, epochs, candidate.seed)
    aside = Checkpointer(run.checkpoint_path(draft.number), trainer, best, candidate.key)
    memory = cast("int | None", draft.results.get("untrained_memory_bytes"))
    for rung in aside.restore():
        draft.rungs.append(rung)
        yield RungReport(rung, timing.relative_time, draft.durations_so_far(), memory)
    for epoch in _while_it_helps(trainer, best, epochs):
        best.update(learner.network)
        if epoch in pauses and epoch < epochs:
            draft.rungs.append(Rung(epoch=epoch, share=pauses[epoch], error=best.error))
            aside.save(draft.rungs)
            yield RungReport(
                draft.rungs[-1], timing.relative_time, draft.durations_so_far(), memory
            )
        aside.save_if_due(draft.rungs)
    aside.save(draft.rungs)  # whatever cuts off its deployment, nothing is taught twice
    best.restore(learner.network)
    draft.results["unpruned_error"] = best.error
    save_checkpoint(
        run.trained(draft.number), {"learner": learner.state_dict(), "error": best.error}
    )


def _while_it_helps(trainer: Iterable[int], best: BestWeights, epochs: int) -> Iterator[int]:
    """Go through a course until nothing has got better for too long (early stopping).

    Source: Prechelt, Neural Networks: Tricks of the Trade (1998) 55.
    """
    passes = iter(trainer)
    while best.evaluations_without_improvement < PATIENCE_SHARE * epochs and (
        epoch := next(passes, 0)
    ):
        yield epoch


def _pruned(network: nn.Module, candidate: Candidate, calibration: Tensor) -> nn.Module:
    if candidate.pruning is Pruning.NONE:
        return network
    try:
        return prune(network, candidate.pruning, candidate.pruning_settings, calibration[:2])
    except NothingToPruneError as error:
        raise InfeasibleError(str(error)) from error


def _lower(
    context: SearchContext,
    draft: RecordBuilder,
    trained: TrainedNetwork,
    *,
    timing_only: bool = False,
) -> Artefact:
    problem, folder = context.problem, context.run.artefact(draft.number)
    try:
        return write_artefact(
            trained, draft.candidate, problem, folder, context.source, timing_only=timing_only
        )
    except DisagreementError as error:
        raise InfeasibleError(str(error)) from error


def _refuse_slow(limits: Limits, timing: Timing, max_speedup: float) -> None:
    """Refuse what is too slow whatever its weights: even its best rounds miss the goal.

    The reference has no error, and so dominates what isn't faster, in another deployment at least.
    """
    if limits.speedup is not None and timing.speedup_high < limits.speedup:
        raise InfeasibleError(f"{timing.speedup:.3g}x as fast; the goal is {limits.speedup:g}x")
    if timing.speedup_high * max_speedup < 1.0:
        raise InfeasibleError(
            f"it takes {timing.relative_time:.3g} times as long as the reference, which no other "
            "deployment makes up for"
        )
