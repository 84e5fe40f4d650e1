"""One candidate's life, from the untrained network to the measured artefact.

Timed first (latency hardly depends on weights), then trained with a pause at every rung, pruned,
lowered, validated as lowered, measured. Whatever goes wrong ends in its record, with a reason.
"""

import math
import shutil
import time
import traceback
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from problems import Array, Batch, Dataset, Encoding, Pairs, Problem, Split, Surrogate
from problems.policies import PolicyEncoding
from search.measurement import Yardstick, measure
from search.records import Limits, Record, Rung, State, Timing, now
from search.scoring import scored
from search.training import practise, train
from spaces.architectures import Shape
from spaces.artefact import (
    Artefact,
    DisagreementError,
    Trained,
    calibration_inputs,
    write_artefact,
)
from spaces.candidate import Candidate, Pruning, Training
from spaces.learners import Learner, Practising
from spaces.pruning import NothingToPruneError, pruned
from spaces.registered import ARCHITECTURES

RUNG_SHARES = (0.25, 0.5)
"""Where in training a candidate may be stopped."""

FINE_TUNING_SHARE = 0.25
"""Epochs after pruning, as a share of those before."""

PAIRS_SEEN = 500_000
FEWEST_EPOCHS, MOST_EPOCHS = 8, 400
"""Where a problem doesn't say: so many pairs are seen in training, 2,000 batches of 256 or so."""

UNTRAINED_ROUNDS = 2
TRIAL_ROUNDS = 5


class InfeasibleError(Exception):
    """A candidate can't be used; the message is the reason."""


@dataclass(frozen=True)
class AtRung:
    """A pause: the error so far, and the untrained network's time over the reference's."""

    rung: Rung
    relative_time: float


class Lesson(NamedTuple):
    """What a network is taught with: a fitted encoding, its training pairs, how much noise.

    A policy has an environment too, and learns by acting in it.
    """

    encoding: Encoding
    pairs: Pairs
    shape: Shape
    noise: int
    environment: Any

    def taught(self, learner: Learner, training: Training, epochs: int, seed: int) -> Iterator[int]:
        """Teach in place; yield the number of epochs done after each."""
        if isinstance(learner, Practising):
            return practise(learner, self.environment, training, epochs, seed)
        return train(learner, self.pairs, training, epochs, seed)

    def trained(self, network: nn.Module, calibration: Tensor, samples: Batch) -> Trained:
        """Return a network of this lesson with what is needed to deploy it."""
        return Trained(network, self.encoding, self.shape, self.noise, calibration, samples)


@dataclass(frozen=True)
class Setting:
    """What every trial of a search shares."""

    problem: Problem
    data: Dataset
    yardstick: Yardstick
    limits: Limits
    artefacts: Path
    source: str = ""
    """What the user names the problem by."""

    def folder(self, number: int) -> Path:
        """Where a trial's artefact goes."""
        return self.artefacts / f"{number:04d}"


@dataclass
class Draft:
    """A record in the making: where the trial is and what it has found so far."""

    number: int
    candidate: Candidate
    stage: str = "prepare"
    durations_s: dict[str, float] = field(default_factory=dict[str, float])
    rungs: list[Rung] = field(default_factory=list[Rung])
    found: dict[str, object] = field(default_factory=dict[str, object])

    @contextmanager
    def during(self, stage: str) -> Generator[None]:
        """Count the time of a stage."""
        self.stage = stage
        started = time.perf_counter()
        try:
            yield
        finally:
            self.durations_s[stage] = time.perf_counter() - started

    def record(self, state: State, reason: str) -> Record:
        """Return what is known as a record."""
        return Record.model_validate(
            {
                "number": self.number,
                "key": self.candidate.key,
                "candidate": self.candidate,
                "state": state,
                "stage": self.stage,
                "reason": reason,
                "rungs": tuple(self.rungs),
                "durations_s": self.durations_s,
                "ended": now(),
                **self.found,
            }
        )


def live(
    setting: Setting, candidate: Candidate, number: int
) -> Generator[AtRung | Record, None, None]:
    """Yield the rungs of a trial, then its record; close the generator to stop it at a rung."""
    draft = Draft(number, candidate)
    state, reason = State.COMPLETE, ""
    try:
        yield from _stages(setting, draft)
    except InfeasibleError as error:
        state, reason = State.INFEASIBLE, str(error)
    except Exception as error:  # noqa: BLE001 - the boundary: a trial always ends told, with a reason
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        state, reason = State.INFEASIBLE, f"{type(error).__name__} at {where}: {error}"
    if state is State.INFEASIBLE:
        shutil.rmtree(setting.folder(number), ignore_errors=True)
        draft.found.pop("artefact", None)
    yield draft.record(state, reason)


def _stages(setting: Setting, draft: Draft) -> Iterator[AtRung]:
    problem, data, candidate = setting.problem, setting.data, draft.candidate
    folder = setting.folder(draft.number)
    with draft.during("prepare"):
        lesson = prepared(problem, candidate, data)
        calibration = calibration_inputs(lesson.pairs, problem.deployment.batch, lesson.noise)
        learner = untrained(candidate, lesson.shape)
    with draft.during("time first"):
        sketch = _pruned(learner.network, candidate, calibration)
        trained = lesson.trained(sketch, calibration, data.validation.inputs)
        _, surrogate = _lower(setting, draft, trained, sketch=True)
        timing = measure(problem, data, setting.yardstick, surrogate, UNTRAINED_ROUNDS)
        draft.found["untrained_relative_time"] = timing.relative_time
        shutil.rmtree(folder)  # a sketch with random weights is no artefact
        _within_budget(setting.limits, timing)
    with draft.during("train"):
        epochs = _epochs(problem, lesson.pairs)
        pauses = {max(1, round(share * epochs)): share for share in RUNG_SHARES}
        best = Best(problem, lesson, data.validation)
        for epoch in lesson.taught(learner, candidate.training, epochs, candidate.seed):
            best.offer(learner.network)
            if epoch in pauses and epoch < epochs:
                draft.rungs.append(Rung(epoch=epoch, share=pauses[epoch], error=best.error))
                yield AtRung(draft.rungs[-1], timing.relative_time)
        best.restore(learner.network)
    with draft.during("prune"):
        if candidate.pruning is not Pruning.NONE:
            draft.found["unpruned_error"] = best.error
            learner.network = _pruned(learner.network, candidate, calibration)
            best = _fine_tuned(setting, candidate, learner, lesson)
        draft.found["exact_error"] = best.error
    with draft.during("deploy"):
        trained = lesson.trained(learner.network, calibration, data.validation.inputs)
        manifest, surrogate = _lower(setting, draft, trained)
        draft.found["disagreement"] = manifest.disagreement
        draft.found["parameters"] = manifest.parameters
        draft.found["zeros"] = manifest.zeros
        draft.found["artefact"] = f"artefacts/{folder.name}"
        draft.found["artefact_hash"] = manifest.hash
    with draft.during("validate"):
        result = scored(problem, surrogate.run, data.validation)
        if result.failed:
            raise InfeasibleError(
                f"{result.failed} of {len(data.validation)} predictions failed: {result.reason}"
            )
        odd = [name for name, value in result.metrics.items() if not math.isfinite(value)]
        if odd:
            raise InfeasibleError(f"{', '.join(odd)} of its predictions is not a finite number")
        draft.found["metrics"] = result.metrics
    with draft.during("measure"):
        draft.found["timing"] = measure(problem, data, setting.yardstick, surrogate, TRIAL_ROUNDS)


def _epochs(problem: Problem, pairs: Pairs) -> int:
    """Return the problem's epochs, or as many as give a network of any encoding enough steps."""
    if problem.epochs is not None:
        return problem.epochs
    wanted = round(PAIRS_SEEN / len(pairs.inputs))
    return min(max(wanted, FEWEST_EPOCHS), MOST_EPOCHS)


def prepared(problem: Problem, candidate: Candidate, data: Dataset) -> Lesson:
    """Return what a candidate's network is taught with."""
    recipe = problem.encodings[candidate.encoding].configured(candidate.encoding_settings)
    encoding = recipe.fit(data.train)
    pairs = encoding.pairs(data.train)
    shape = Shape.of(encoding, pairs)
    family = ARCHITECTURES[candidate.architecture]
    noise = family.noise(shape, candidate.architecture_settings)
    acting = isinstance(encoding, PolicyEncoding)
    environment = encoding.environment(data.train) if acting else None
    return Lesson(encoding, pairs, shape, noise, environment)


def untrained(candidate: Candidate, shape: Shape) -> Learner:
    """Return the candidate's learner with its seed's weights, on the CPU."""
    torch.manual_seed(candidate.seed)
    family, settings = ARCHITECTURES[candidate.architecture], candidate.architecture_settings
    return family.learner(family.untrained(shape, settings), shape, settings).eval()


def _pruned(network: nn.Module, candidate: Candidate, calibration: Tensor) -> nn.Module:
    if candidate.pruning is Pruning.NONE:
        return network
    try:
        return pruned(network, candidate.pruning, candidate.pruning_settings, calibration[:2])
    except NothingToPruneError as error:
        raise InfeasibleError(str(error)) from error


def _fine_tuned(setting: Setting, candidate: Candidate, learner: Learner, lesson: Lesson) -> "Best":
    """Train a pruned network a little more, in place; return how good it became."""
    best = Best(setting.problem, lesson, setting.data.validation)
    best.offer(learner.network)
    epochs = max(1, round(FINE_TUNING_SHARE * _epochs(setting.problem, lesson.pairs)))
    for _ in lesson.taught(learner, candidate.training, epochs, candidate.seed):
        best.offer(learner.network)
    best.restore(learner.network)
    return best


def _lower(setting: Setting, draft: Draft, trained: Trained, *, sketch: bool = False) -> Artefact:
    problem, folder = setting.problem, setting.folder(draft.number)
    try:
        return write_artefact(
            trained, draft.candidate, problem, folder, setting.source, sketch=sketch
        )
    except DisagreementError as error:
        raise InfeasibleError(str(error)) from error


class Best:
    """Keeps the weights with the smallest objective on a split, rolled out and decoded.

    The training loss may rank epochs the wrong way round: a roll-out feeds on its own errors.
    """

    def __init__(self, problem: Problem, lesson: Lesson, split: Split) -> None:
        self._problem, self._lesson, self._split = problem, lesson, split
        self._weights: dict[str, torch.Tensor] = {}
        self.error = math.inf

    def offer(self, network: nn.Module) -> None:
        """Score a network, run eagerly on the CPU, and keep its weights where they are the best."""

        def predict(inputs: Array) -> Array:
            with torch.inference_mode():
                return network(torch.from_numpy(inputs)).numpy()

        surrogate = Surrogate(self._lesson.encoding, predict, self._lesson.noise)
        result = scored(self._problem, surrogate.run, self._split)
        error = math.inf if result.failed else result.metrics[self._problem.objective.name]
        error = error if math.isfinite(error) else math.inf
        if error < self.error or not self._weights:
            self.error = error
            self._weights = {k: v.detach().clone() for k, v in network.state_dict().items()}

    def restore(self, network: nn.Module) -> None:
        """Give a network the weights that were best."""
        network.load_state_dict(self._weights)


def _within_budget(limits: Limits, timing: Timing) -> None:
    """Refuse what is too slow whatever its weights: even its best rounds miss the goal."""
    if limits.speedup is not None and timing.speedup_high < limits.speedup:
        raise InfeasibleError(f"{timing.speedup:.3g}x as fast; the goal is {limits.speedup:g}x")
