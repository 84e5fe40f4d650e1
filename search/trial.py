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
from typing import NamedTuple

import torch
from torch import Tensor, nn

from problems import Array, Dataset, Encoding, Pairs, Problem, Split, Surrogate
from search.measurement import Yardstick, measure
from search.records import Limits, Record, Rung, State, Timing, now
from search.scoring import scored
from search.training import train
from spaces.architectures import Shape
from spaces.artefact import (
    DisagreementError,
    Manifest,
    Trained,
    calibration_inputs,
    load_surrogate,
    write_artefact,
)
from spaces.candidate import Candidate, Pruning
from spaces.pruning import prune_structured
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


class Learner(NamedTuple):
    """A network with what it learns from."""

    network: nn.Module
    encoding: Encoding
    pairs: Pairs


@dataclass(frozen=True)
class Setting:
    """What every trial of a search shares."""

    problem: Problem
    data: Dataset
    yardstick: Yardstick
    limits: Limits
    artefacts: Path

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
        recipe = problem.encodings[candidate.encoding].configured(candidate.encoding_settings)
        encoding = recipe.fit(data.train)
        pairs = encoding.pairs(data.train)
        calibration = calibration_inputs(pairs, problem.deployment.batch)
        network = untrained(candidate, pairs)
    with draft.during("time first"):
        sketch = Trained(_pruned(network, candidate, calibration), encoding, calibration)
        _lower(setting, draft, sketch)
        timing = measure(problem, data, setting.yardstick, folder, UNTRAINED_ROUNDS)
        draft.found["untrained_relative_time"] = timing.relative_time
        shutil.rmtree(folder)  # a sketch with random weights is no artefact
        _within_budget(setting.limits, timing)
    with draft.during("train"):
        epochs = _epochs(problem, pairs)
        pauses = {max(1, round(share * epochs)): share for share in RUNG_SHARES}
        best = Best(problem, encoding, data.validation)
        for epoch in train(network, pairs, candidate.training, epochs, candidate.seed):
            best.offer(network)
            if epoch in pauses and epoch < epochs:
                draft.rungs.append(Rung(epoch=epoch, share=pauses[epoch], error=best.error))
                yield AtRung(draft.rungs[-1], timing.relative_time)
        best.restore(network)
    with draft.during("prune"):
        if candidate.pruning is not Pruning.NONE:
            network = _pruned(network, candidate, calibration)
            _fine_tune(setting, candidate, Learner(network, encoding, pairs))
    with draft.during("deploy"):
        manifest = _lower(setting, draft, Trained(network, encoding, calibration))
        draft.found["disagreement"] = manifest.disagreement
        draft.found["parameters"] = manifest.parameters
        draft.found["artefact"] = f"artefacts/{folder.name}"
        draft.found["artefact_hash"] = manifest.hash
    with draft.during("validate"):
        result = scored(problem, load_surrogate(folder, problem).run, data.validation)
        if result.failed:
            raise InfeasibleError(
                f"{result.failed} of {len(data.validation)} predictions failed: {result.reason}"
            )
        odd = [name for name, value in result.metrics.items() if not math.isfinite(value)]
        if odd:
            raise InfeasibleError(f"{', '.join(odd)} of its predictions is not a finite number")
        draft.found["metrics"] = result.metrics
    with draft.during("measure"):
        draft.found["timing"] = measure(problem, data, setting.yardstick, folder, TRIAL_ROUNDS)


def _epochs(problem: Problem, pairs: Pairs) -> int:
    """Return the problem's epochs, or as many as give a network of any encoding enough steps."""
    if problem.epochs is not None:
        return problem.epochs
    wanted = round(PAIRS_SEEN / len(pairs.inputs))
    return min(max(wanted, FEWEST_EPOCHS), MOST_EPOCHS)


def untrained(candidate: Candidate, pairs: Pairs) -> nn.Module:
    """Return the candidate's network with its seed's weights, on the CPU."""
    torch.manual_seed(candidate.seed)
    shape = Shape(tuple(pairs.inputs.shape[1:]), pairs.targets.shape[1])
    family = ARCHITECTURES[candidate.architecture]
    return family.build(shape, candidate.architecture_settings).eval()


def _pruned(network: nn.Module, candidate: Candidate, calibration: Tensor) -> nn.Module:
    if candidate.pruning is Pruning.NONE:
        return network
    return prune_structured(network, candidate.pruning_ratio, calibration[:2])


def _fine_tune(setting: Setting, candidate: Candidate, learner: Learner) -> None:
    """Train a pruned network a little more, in place."""
    network, encoding, pairs = learner
    best = Best(setting.problem, encoding, setting.data.validation)
    best.offer(network)
    epochs = max(1, round(FINE_TUNING_SHARE * _epochs(setting.problem, pairs)))
    for _ in train(network, pairs, candidate.training, epochs, candidate.seed):
        best.offer(network)
    best.restore(network)


def _lower(setting: Setting, draft: Draft, trained: Trained) -> Manifest:
    folder = setting.folder(draft.number)
    try:
        return write_artefact(trained, draft.candidate, setting.problem, folder)
    except DisagreementError as error:
        raise InfeasibleError(str(error)) from error


class Best:
    """Keeps the weights with the smallest objective on a split, rolled out and decoded.

    The training loss may rank epochs the wrong way round: a roll-out feeds on its own errors.
    """

    def __init__(self, problem: Problem, encoding: Encoding, split: Split) -> None:
        self._problem, self._encoding, self._split = problem, encoding, split
        self._weights: dict[str, torch.Tensor] = {}
        self.error = math.inf

    def offer(self, network: nn.Module) -> None:
        """Score a network, run eagerly on the CPU, and keep its weights where they are the best."""

        def predict(inputs: Array) -> Array:
            with torch.inference_mode():
                return network(torch.from_numpy(inputs)).numpy()

        result = scored(self._problem, Surrogate(self._encoding, predict).run, self._split)
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
