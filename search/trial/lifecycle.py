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
from search.timing.memory import memory_of
from search.timing.reference import ReferenceTiming, measure
from search.timing.stopwatch import LEAST_ROUNDS, MOST_ROUNDS
from search.trial.preparation import (
    BestWeights,
    Checkpointer,
    TaskCache,
    TrainingTask,
    epochs_of,
    fine_tune,
    initialise_learner,
)
from search.trial.scoring import scored
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

PATIENCE = 0.5
"""For so much of its epochs a training goes on although nothing gets better. With one cycle of the
learning rate errors fall until the end, where they fall at all. On data that networks learn by
heart, half saves a quarter of the time; a quarter would save half, but finds worse weights."""


class InfeasibleError(Exception):
    """A candidate can't be used; the message is the reason."""


class AtRung(NamedTuple):
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

    def told(self) -> dict[str, Any]:
        """Return it as a worker tells it; as text, because Tune takes values apart."""
        told = {"rung": self.rung.model_dump_json(), "durations_s": json.dumps(self.durations_s)}
        return self._asdict() | told


@dataclass(frozen=True)
class Setting:
    """What every trial of a search shares."""

    problem: Problem
    data: Dataset
    yardstick: ReferenceTiming
    limits: Limits
    run: Run
    source: str = ""
    """What the user names the problem by."""
    extra_objectives: tuple[ExtraObjective, ...] = ()
    """Objectives besides error and time."""
    task_cache: TaskCache = field(default_factory=TaskCache, compare=False, repr=False)
    """Of this process."""


@dataclass
class Draft:
    """A record in the making: where the trial is and what it has found so far."""

    number: int
    candidate: Candidate
    training: int | None = None
    stage: str = "prepare"
    began: float = 0.0
    durations_s: dict[str, float] = field(default_factory=dict[str, float])
    rungs: list[Rung] = field(default_factory=list[Rung])
    results: dict[str, object] = field(default_factory=dict[str, object])

    @contextmanager
    def during(self, stage: str) -> Generator[None]:
        """Count the time of a stage."""
        self.stage, self.began = stage, time.perf_counter()
        try:
            yield
        finally:
            self.durations_s = self.so_far()

    def so_far(self) -> dict[str, float]:
        """Return the seconds of each stage, those of the one that it is in up to now."""
        return self.durations_s | {self.stage: time.perf_counter() - self.began}

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


def live(
    setting: Setting, candidate: Candidate, number: int, training: int | None = None
) -> Generator[AtRung | Record, None, None]:
    """Yield the rungs of a trial, then its record; close the generator to stop it at a rung.

    Args:
        setting: The search's.
        candidate: What is tried.
        number: The trial's.
        training: The trial that trained the network, where this is a further deployment of it.
    """
    draft = Draft(number, candidate, training)
    state, reason, traced = State.COMPLETE, "", ""
    try:
        yield from _stages(setting, draft)
    except InfeasibleError as error:
        state, reason = State.INFEASIBLE, str(error)
    except Exception as error:  # noqa: BLE001 - the boundary: a trial always ends told, with a reason
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        state, reason = State.INFEASIBLE, f"{type(error).__name__} at {where}: {error}"
        traced = "".join(traceback.format_exception(error))
    if state is State.INFEASIBLE:
        shutil.rmtree(setting.run.artefact(number), ignore_errors=True)
        draft.results.pop("artefact", None)
    yield draft.record(state, reason, traced)


def _stages(setting: Setting, draft: Draft) -> Iterator[AtRung]:
    problem, data, candidate = setting.problem, setting.data, draft.candidate
    with draft.during("prepare"):
        task = setting.task_cache.prepare_training(problem, candidate, data)
        calibration = calibration_inputs(task.pairs, problem.deployment.batch, task.noise)
        learner = initialise_learner(candidate, task.shape)
    if draft.training is None:
        with draft.during(TIME_UNTRAINED):
            timing = _time_first(setting, draft, task, learner.network, calibration)
        with draft.during("train"):
            yield from _train(setting, draft, task, learner, timing)
    else:
        with draft.during("load"):
            trained = load_checkpoint(setting.run.trained(draft.training))
            learner.load_state_dict(trained["learner"])
            draft.results["unpruned_error"] = trained["error"]
    with draft.during("prune"):
        draft.results["exact_error"] = draft.results["unpruned_error"]
        if candidate.pruning is not Pruning.NONE:
            learner.network = _pruned(learner.network, candidate, calibration)
            draft.results["exact_error"] = fine_tune(
                problem, task, data.validation, learner, candidate
            )
    with draft.during("deploy"):
        trained = task.trained(learner.network, calibration, data.validation.inputs)
        manifest, surrogate = _lower(setting, draft, trained)
        draft.results["disagreement"] = manifest.disagreement
        draft.results["parameters"] = manifest.parameters
        draft.results["zeros"] = manifest.zero_parameters
        draft.results["artefact"] = f"artefacts/{setting.run.artefact(draft.number).name}"
        draft.results["artefact_hash"] = manifest.hash
    with draft.during("validate"):
        result = scored(problem, surrogate.run, data.validation)
        if result.failed:
            raise InfeasibleError(
                f"{result.failed} of {len(data.validation)} predictions failed: {result.reason}"
            )
        odd = [name for name, value in result.metrics.items() if not math.isfinite(value)]
        if odd:
            raise InfeasibleError(f"{', '.join(odd)} of its predictions is not a finite number")
        draft.results["metrics"] = result.metrics
    with draft.during("measure"):
        draft.results["timing"] = measure(problem, data, setting.yardstick, surrogate, MOST_ROUNDS)
        if ExtraObjective.MEMORY in setting.extra_objectives:
            draft.results["memory_bytes"] = memory_of(setting.run.artefact(draft.number))


def _time_first(
    setting: Setting, draft: Draft, task: TrainingTask, network: nn.Module, calibration: Tensor
) -> Timing:
    """Time the untrained network as it would be deployed.

    Raises:
        InfeasibleError: It misses the goal, or the reference is faster than it can become.
    """
    problem, data = setting.problem, setting.data
    timing_only = _pruned(network, draft.candidate, calibration)
    trained = task.trained(timing_only, calibration, data.validation.inputs)
    _, surrogate = _lower(setting, draft, trained, timing_only=True)
    timing = measure(problem, data, setting.yardstick, surrogate, LEAST_ROUNDS)
    draft.results["untrained_relative_time"] = timing.relative_time
    if ExtraObjective.MEMORY in setting.extra_objectives:
        memory = memory_of(setting.run.artefact(draft.number))
        draft.results["untrained_memory_bytes"] = memory
    shutil.rmtree(setting.run.artefact(draft.number))  # with random weights it is no artefact
    _refuse_slow(setting.limits, timing, RUNTIMES[draft.candidate.runtime].max_speedup)
    return timing


def _train(
    setting: Setting, draft: Draft, task: TrainingTask, learner: Learner, timing: Timing
) -> Iterator[AtRung]:
    """Train to the end, or on from where it was cut off; pause at every rung.

    It ends early where nothing gets better any more.

    What is kept of the course is tried again rung by rung: others may have come there meanwhile. It
    is put aside at every rung, where it can be: who is stopped there may be gone on with.
    """
    candidate, run = draft.candidate, setting.run
    epochs = epochs_of(setting.problem, task.pairs)
    pauses = {max(1, round(share * epochs)): share for share in RUNG_SHARES}
    best = BestWeights(setting.problem, task, setting.data.validation)
    trainer = task.trainer(learner, candidate.training, epochs, candidate.seed)
    aside = Checkpointer(run.checkpoint_path(draft.number), trainer, best, candidate.key)
    memory = cast("int | None", draft.results.get("untrained_memory_bytes"))
    for rung in aside.restore():
        draft.rungs.append(rung)
        yield AtRung(rung, timing.relative_time, draft.so_far(), memory)
    for epoch in _while_it_helps(trainer, best, epochs):
        best.update(learner.network)
        if epoch in pauses and epoch < epochs:
            draft.rungs.append(Rung(epoch=epoch, share=pauses[epoch], error=best.error))
            aside.save(draft.rungs)
            yield AtRung(draft.rungs[-1], timing.relative_time, draft.so_far(), memory)
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
    while best.waited < PATIENCE * epochs and (epoch := next(passes, 0)):
        yield epoch


def _pruned(network: nn.Module, candidate: Candidate, calibration: Tensor) -> nn.Module:
    if candidate.pruning is Pruning.NONE:
        return network
    try:
        return prune(network, candidate.pruning, candidate.pruning_settings, calibration[:2])
    except NothingToPruneError as error:
        raise InfeasibleError(str(error)) from error


def _lower(
    setting: Setting, draft: Draft, trained: TrainedNetwork, *, timing_only: bool = False
) -> Artefact:
    problem, folder = setting.problem, setting.run.artefact(draft.number)
    try:
        return write_artefact(
            trained, draft.candidate, problem, folder, setting.source, timing_only=timing_only
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
