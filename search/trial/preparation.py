"""What a candidate's network is taught with, and how good it has become."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from problems import Array, Batch, Dataset, Encoding, Pairs, Problem, Split, Surrogate
from problems.encodings.augmentation import augmented
from problems.interfaces.policies import PolicyEncoding
from problems.interfaces.types import Remembers, RollsForward
from search.run.checkpoints import CorruptCheckpointError, load_checkpoint, save_checkpoint
from search.run.records import Rung
from search.trial.scoring import score_split
from search.trial.training import RollOutPairs, Trainer, train_policy
from spaces.architectures import Shape
from spaces.artefact import TrainedNetwork
from spaces.candidate import Candidate, Precision, Pruning, Training
from spaces.registered import ARCHITECTURES
from spaces.training_targets import Learner, ReinforcementLearner

FINE_TUNING_SHARE = 0.25
"""Epochs after pruning, as a share of those before."""

PAIRS_SEEN = 500_000
MIN_EPOCHS, MAX_EPOCHS = 8, 400
"""Where a problem doesn't say: so many pairs are seen in training, 2,000 batches of 256 or so."""

DEPLOYMENT_DEFAULTS = {
    "pruning": Pruning.NONE,
    "pruning_settings": {},
    "precision": Precision.FP32,
    "runtime": "",
}
"""What of a candidate has no part in how its network is taught."""

CHECKPOINT_INTERVAL_S = 20.0
"""How often a course is put aside: what an interruption costs at most, for some milliseconds."""


class TrainingTask(NamedTuple):
    """What a network is taught with: a fitted encoding, its training pairs, how much noise.

    A policy has an environment too, and learns by acting in it.
    """

    encoding: Encoding
    split: Split
    pairs: Pairs
    shape: Shape
    noise: int
    environment: Any

    def trainer(
        self, learner: Learner, training: Training, epochs: int, seed: int
    ) -> Trainer | Iterator[int]:
        """Return what teaches in place and yields the number of epochs done after each."""
        if isinstance(learner, ReinforcementLearner):
            return train_policy(learner, self.environment, training, epochs, seed)
        pairs, encoding = self.pairs, self.encoding
        if isinstance(encoding, RollsForward):
            later_pairs = partial(encoding.unrolled, self.split)
            pairs = RollOutPairs(pairs.inputs, pairs.targets, later_pairs)
        return Trainer(learner, pairs, training, epochs, seed)

    def trained(self, network: nn.Module, calibration: Tensor, samples: Batch) -> TrainedNetwork:
        """Return a network of this lesson with what is needed to deploy it."""
        return TrainedNetwork(network, self.encoding, self.shape, self.noise, calibration, samples)


def prepare_training(problem: Problem, candidate: Candidate, data: Dataset) -> TrainingTask:
    """Return what a candidate's network is taught with."""
    recipe = problem.encodings[candidate.encoding].configured(candidate.encoding_settings)
    encoding = recipe.fit(data.train)
    split, copies = data.train, candidate.training.augmented
    if copies:
        rng = np.random.default_rng(candidate.seed)
        split = augmented(split, problem.symmetries, copies, rng)
    pairs = encoding.pairs(split)
    shape = Shape.of(encoding, pairs)
    family = ARCHITECTURES[candidate.architecture]
    noise = family.noise(shape, candidate.architecture_settings)
    acting = isinstance(encoding, PolicyEncoding)
    environment = encoding.environment(data.train) if acting else None
    return TrainingTask(encoding, split, pairs, shape, noise, environment)


class TaskCache:
    """The lesson that was prepared last: a network's further deployments need no other.

    A lesson with an environment is not kept: what acts in it changes it.
    """

    def __init__(self) -> None:
        self._kept: tuple[Candidate, Dataset, TrainingTask] | None = None

    def prepare_training(
        self, problem: Problem, candidate: Candidate, data: Dataset
    ) -> TrainingTask:
        """Return what a candidate's network is taught with."""
        network = candidate.model_copy(update=DEPLOYMENT_DEFAULTS)
        if self._kept and self._kept[0] == network and self._kept[1] is data:
            return self._kept[2]
        self._kept = None  # there should be room for one, not for two
        task = prepare_training(problem, candidate, data)
        if task.environment is None:
            self._kept = network, data, task
        return task

    def __getstate__(self) -> dict[str, None]:
        """Leave it out: every process prepares its own."""
        return {"_kept": None}


def initialise_learner(candidate: Candidate, shape: Shape) -> Learner:
    """Return the candidate's learner with its seed's weights, on the CPU."""
    torch.manual_seed(candidate.seed)
    family, settings = ARCHITECTURES[candidate.architecture], candidate.architecture_settings
    return family.learner(family.initialise_learner(shape, settings), shape, settings).eval()


def training_epochs(problem: Problem, pairs: Pairs) -> int:
    """Return the problem's epochs, or as many as give a network of any encoding enough steps."""
    if problem.epochs is not None:
        return problem.epochs
    wanted = round(PAIRS_SEEN / len(pairs.inputs))
    return min(max(wanted, MIN_EPOCHS), MAX_EPOCHS)


class BestWeights:
    """Keeps the weights with the smallest objective on a split, rolled out and decoded.

    The training loss may rank epochs the wrong way round: a roll-out feeds on its own errors.
    """

    def __init__(self, problem: Problem, task: TrainingTask, split: Split) -> None:
        self.evaluations_without_improvement = 0
        """How often in a row what was offered was no better."""
        self._problem, self._split, self._noise = problem, split, task.noise
        encoding = task.encoding
        self._encoding = encoding.remembering() if isinstance(encoding, Remembers) else encoding
        self._weights: dict[str, torch.Tensor] = {}
        self.error = math.inf

    def update(self, network: nn.Module) -> None:
        """Score a network, run eagerly on the CPU, and keep its weights where they are the best."""

        def predict(inputs: Array) -> Array:
            with torch.inference_mode():
                return network(torch.from_numpy(inputs)).numpy()

        surrogate = Surrogate(self._encoding, predict, self._noise)
        result = score_split(self._problem, surrogate.run, self._split)
        error = math.inf if result.failed else result.metrics[self._problem.objective.name]
        error = error if math.isfinite(error) else math.inf
        self.evaluations_without_improvement += 1
        if error < self.error or not self._weights:
            self.error, self.evaluations_without_improvement = error, 0
            self._weights = {k: v.detach().clone() for k, v in network.state_dict().items()}

    def restore(self, network: nn.Module) -> None:
        """Give a network the weights that were best."""
        network.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        """Return what it has kept, as tensors and plain values."""
        return {
            "error": self.error,
            "waited": self.evaluations_without_improvement,
            "weights": self._weights,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take the place of one whose state this is."""
        self.error, self._weights = state_dict["error"], state_dict["weights"]
        self.evaluations_without_improvement = state_dict.get(
            "waited", 0
        )  # courses of older runs don't say


class Checkpointer:
    """Puts a course aside now and then, so that it can be gone on with where it ended.

    A learner that practises begins anew: its environment can't be put aside.

    Args:
        path: Where it lies.
        course: What teaches.
        best: What was kept of it.
        key: Of the candidate that is taught: another one's course isn't taken up.
    """

    def __init__(
        self, path: Path, trainer: "Trainer | Iterator[int]", best: BestWeights, key: str
    ) -> None:
        self._path, self._best, self._key = path, best, key
        self._course = trainer if isinstance(trainer, Trainer) else None
        self._put = time.monotonic()

    def restore(self) -> list[Rung]:
        """Set the course to where it was put aside; return the rungs before that."""
        if self._course is None or not self._path.exists():
            return []
        try:
            state_dict = load_checkpoint(self._path)
        except CorruptCheckpointError:  # what it taught is lost, and nothing else: it begins anew
            return []
        if state_dict.get("key") != self._key:
            return []
        self._course.restore(state_dict["course"])
        self._best.load_state_dict(state_dict["best"])
        return [Rung.model_validate(rung) for rung in state_dict["rungs"]]

    def save_if_due(self, rungs: Sequence[Rung]) -> None:
        """Put the course aside if that was long ago."""
        if time.monotonic() - self._put >= CHECKPOINT_INTERVAL_S:
            self.save(rungs)

    def save(self, rungs: Sequence[Rung]) -> None:
        """Put the course aside."""
        if self._course is None:
            return
        state_dict = {
            "key": self._key,
            "course": self._course.state_dict(),
            "best": self._best.state_dict(),
            "rungs": [rung.model_dump() for rung in rungs],
        }
        save_checkpoint(self._path, state_dict)
        self._put = time.monotonic()


def fine_tune(
    problem: Problem, task: TrainingTask, split: Split, learner: Learner, candidate: Candidate
) -> float:
    """Train a pruned network a little more, in place; return its error then."""
    best = BestWeights(problem, task, split)
    best.update(learner.network)
    epochs = max(1, round(FINE_TUNING_SHARE * training_epochs(problem, task.pairs)))
    for _ in task.trainer(learner, candidate.training, epochs, candidate.seed):
        best.update(learner.network)
    best.restore(learner.network)
    return best.error
