"""Training tasks of candidates, the best weights of a training, and fine-tuning."""

import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from problems import Array, Batch, Dataset, Encoding, Pairs, Problem, Run, Split
from problems.encodings.augmentation import augment
from problems.encodings.finiteness import explain_not_finite, is_finite
from problems.entrance.process_state import preserved_process_state
from problems.interfaces.policies import PolicyEncoding
from problems.interfaces.types import EncodedNetwork, Remembers, RollsForward
from search.trial.distillation import with_labelled
from search.trial.scoring import score_split
from search.trial.temperature import scale_by_temperature
from search.trial.training import RollOutPairs, Trainer, train_policy
from spaces.architectures import Shape
from spaces.artefact import TrainedNetwork
from spaces.candidate import Candidate, Precision, Pruning, Training
from spaces.input_flags import training_ranges
from spaces.registered import ARCHITECTURES
from spaces.training_targets import (
    Learner,
    ProbabilityOutput,
    ReinforcementLearner,
    SolvedLearner,
)

FINE_TUNING_SHARE = 0.25
"""Epochs after pruning, as a share of the epochs before."""

TRAINING_PAIRS = 500_000
MIN_EPOCHS, MAX_EPOCHS = 8, 400
"""Pairs in all epochs together, where a problem gives no epochs: about 2,000 batches of 256."""

STEPS_WITH_TEACHER = 4
"""Training with samples of a teacher takes so many times as many steps as without. On the
oscillator the error fell from 0.033 to 0.015; with the reference's samples alone it didn't fall.
Roll-outs have many pairs a sample, and gain in the same number of steps."""

MAX_LABELLED_PAIRS = 65_536
"""Pairs that samples of a teacher make at most, unless these are as many as those of the reference.
In an encoding of `planets` with 50 pairs a sample, 8,192 samples and their copies took 10 GB."""

DEPLOYMENT_DEFAULTS = {
    "pruning": Pruning.NONE,
    "pruning_settings": {},
    "precision": Precision.FP32,
    "runtime": "",
}
"""Values for the fields of a candidate that don't affect the training of its network."""


class NotFiniteError(Exception):
    """Encoded inputs or targets aren't finite numbers of float32."""


class TrainingTask(NamedTuple):
    """Everything that a network is trained with.

    Args:
        encoding: The fitted encoding.
        split: The training split, augmented if the candidate says so.
        pairs: Inputs and targets of the training split.
        shape: Sizes of the inputs and outputs of the network.
        noise: Number of random inputs of the network, per sample.
        environment: The environment of RL training; None otherwise.
        reference_share: Share of the samples whose outputs are those of the reference.
    """

    encoding: Encoding
    split: Split
    pairs: Pairs
    shape: Shape
    noise: int
    environment: Any
    reference_share: float = 1.0

    def trainer(
        self, learner: Learner, training: Training, epochs: int, seed: int
    ) -> Trainer | Iterator[int]:
        """Return a trainer, which trains in place and yields the number of epochs done after each.

        Args:
            learner: The learner, on the CPU.
            training: Settings of the training.
            epochs: Number of epochs.
            seed: Seed of batches and noise.
        """
        if isinstance(learner, ReinforcementLearner):
            return train_policy(learner, self.environment, training, epochs, seed)
        pairs, encoding = self.pairs, self.encoding
        if isinstance(encoding, RollsForward):
            later_pairs = partial(encoding.unrolled, self.split)
            pairs = RollOutPairs(pairs.inputs, pairs.targets, later_pairs)
        return Trainer(learner, pairs, training, epochs, seed)

    def trained(self, network: nn.Module, calibration: Tensor, samples: Batch) -> TrainedNetwork:
        """Return a network with everything that is needed to deploy it.

        Args:
            network: A network trained, or to be trained, on this task.
            calibration: Inputs of the network (b, ...) for quantisation and pruning.
            samples: Inputs of the simulation, with which the artefact is checked.
        """
        return TrainedNetwork(
            network,
            self.encoding,
            self.shape,
            self.noise,
            calibration,
            samples,
            ranges=training_ranges(self.split.inputs),
        )


def prepare_training(
    problem: Problem, candidate: Candidate, data: Dataset, teacher: Run | None = None
) -> TrainingTask:
    """Return the training task of a candidate.

    Args:
        problem: The problem.
        candidate: The candidate.
        data: The data, on whose training split the encoding is fitted.
        teacher: Predicts the outputs of further training samples, if the candidate wants any.

    Raises:
        NotFiniteError: A field isn't finite once it is encoded.
        NoTeacherError: The candidate wants samples of a teacher, and there is none.
        UserError: `draw` raises, or the teacher lacks a field of the outputs.
    """
    configured = problem.encodings[candidate.encoding].configured(candidate.encoding_settings)
    with np.errstate(all="ignore"):  # what isn't finite is refused below
        encoding = configured.fit(data.train)
    split, copies = data.train, candidate.training.augmented
    labelled = _affordable(encoding, split, candidate.training.further_samples)
    if labelled:
        split = with_labelled(problem, split, teacher, labelled, candidate.seed)
    reference_share = len(data.train) / len(split)
    if copies:
        rng = np.random.default_rng(candidate.seed)
        split = augment(split, problem.symmetries, copies, rng)
    with np.errstate(all="ignore"):
        pairs = encoding.pairs(split)
    if not is_finite(pairs):
        raise NotFiniteError(explain_not_finite(encoding, split, problem.inputs, problem.outputs))
    shape = Shape.of(encoding, pairs)
    family = ARCHITECTURES[candidate.architecture]
    noise = family.noise(shape, candidate.architecture_settings)
    is_policy = isinstance(encoding, PolicyEncoding)
    environment = encoding.environment(data.train) if is_policy else None
    return TrainingTask(encoding, split, pairs, shape, noise, environment, reference_share)


def _affordable(encoding: Encoding, train: Split, labelled: int) -> int:
    """Return the number of further samples, fewer where each makes many pairs of one call."""
    if not labelled or isinstance(encoding, RollsForward):
        return labelled
    with np.errstate(all="ignore"):
        per_sample = len(encoding.pairs(train.take(np.arange(1))).inputs)
    return min(labelled, max(len(train), MAX_LABELLED_PAIRS // max(per_sample, 1)))


class TaskCache:
    """Cache of the last training task, for the further deployments of a network.

    A task with an environment isn't cached, since RL training changes the environment.
    """

    def __init__(self) -> None:
        self._cached: tuple[Candidate, Dataset, TrainingTask] | None = None

    def prepare_training(
        self, problem: Problem, candidate: Candidate, data: Dataset, teacher: Run | None
    ) -> TrainingTask:
        """Return the training task of a candidate, from the cache if possible.

        Args:
            problem: The problem.
            candidate: The candidate.
            data: The data.
            teacher: Predicts the outputs of further training samples.
        """
        network = candidate.model_copy(update=DEPLOYMENT_DEFAULTS)
        if self._cached and self._cached[0] == network and self._cached[1] is data:
            return self._cached[2]
        self._cached = None  # so that memory holds one task, not two
        with preserved_process_state():
            task = prepare_training(problem, candidate, data, teacher)
        if task.environment is None:
            self._cached = network, data, task
        return task

    def __getstate__(self) -> dict[str, None]:
        """Return an empty state: each process has its own cache."""
        return {"_cached": None}


def initialise_learner(candidate: Candidate, shape: Shape) -> Learner:
    """Return the candidate's learner with initial weights by its seed, on the CPU."""
    torch.manual_seed(candidate.seed)
    family, settings = ARCHITECTURES[candidate.architecture], candidate.architecture_settings
    return family.learner(family.untrained(shape, settings), shape, settings).eval()


def training_epochs(problem: Problem, task: TrainingTask, learner: Learner) -> int:
    """Return the epochs of the problem or, if it gives none, a number by the number of pairs.

    A learner that solves for its weights needs one epoch. It thus reports at no rung, where its
    final error would be compared with errors of trainings that have just begun.

    Args:
        problem: The problem.
        task: The training task.
        learner: The learner.
    """
    if isinstance(learner, SolvedLearner):
        return 1
    more_steps = task.reference_share < 1.0 and not isinstance(task.encoding, RollsForward)
    steps = STEPS_WITH_TEACHER if more_steps else 1
    if problem.epochs is not None:
        return max(round(steps * task.reference_share * problem.epochs), 1)
    epochs = round(steps * TRAINING_PAIRS / len(task.pairs.inputs))
    return min(max(epochs, MIN_EPOCHS), MAX_EPOCHS)


class BestWeights:
    """The weights of a training with the smallest error on a split.

    The error is that of decoded outputs, after roll-out. The training loss may rank epochs
    differently, because the network of a roll-out reads its own outputs.

    Args:
        problem: The problem with the score.
        task: The training task.
        split: The split, usually the validation split.
    """

    def __init__(self, problem: Problem, task: TrainingTask, split: Split) -> None:
        self.evaluations_without_improvement = 0
        """Number of updates since the last improvement."""
        self._problem, self._split, self._noise = problem, split, task.noise
        encoding = task.encoding
        self._encoding = encoding.remembering() if isinstance(encoding, Remembers) else encoding
        self._weights: dict[str, torch.Tensor] = {}
        self.error = math.inf

    def update(self, network: nn.Module) -> None:
        """Score a network, run eagerly on the CPU; keep its weights if they are the best so far."""

        def predict(inputs: Array) -> Array:
            with torch.inference_mode():
                return network(torch.from_numpy(inputs)).numpy()

        surrogate = EncodedNetwork(self._encoding, predict, self._noise)
        result = score_split(self._problem, surrogate.run, self._split)
        name = self._problem.objective.name
        error = math.inf if result.failed else result.metrics.get(name, math.inf)
        self.evaluations_without_improvement += 1
        if error < self.error or not self._weights:
            self.error, self.evaluations_without_improvement = error, 0
            self._weights = {k: v.detach().clone() for k, v in network.state_dict().items()}

    def restore(self, network: nn.Module) -> None:
        """Load the best weights into a network."""
        network.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        """Return the best weights and the error as tensors and plain values."""
        return {
            "error": self.error,
            "waited": self.evaluations_without_improvement,
            "weights": self._weights,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        self.error, self._weights = state_dict["error"], state_dict["weights"]
        # Checkpoints of older runs have no such entry.
        self.evaluations_without_improvement = state_dict.get("waited", 0)


def fine_tune(
    problem: Problem, task: TrainingTask, split: Split, learner: Learner, candidate: Candidate
) -> float:
    """Fine-tune a pruned network in place; return its error on a split.

    Args:
        problem: The problem.
        task: The training task.
        split: The split on which the best weights are chosen.
        learner: The learner of the pruned network.
        candidate: The candidate, with the settings of the training.
    """
    best = BestWeights(problem, task, split)
    best.update(learner.network)
    epochs = max(1, round(FINE_TUNING_SHARE * training_epochs(problem, task, learner)))
    for _ in task.trainer(learner, candidate.training, epochs, candidate.seed):
        best.update(learner.network)
    best.restore(learner.network)
    if candidate.training.temperature:
        return calibrate_probabilities(problem, task, split, learner)
    return best.error


def calibrate_probabilities(
    problem: Problem, task: TrainingTask, split: Split, learner: Learner
) -> float:
    """Divide the logits of a trained network by a temperature; return its error on the split.

    Args:
        problem: The problem.
        task: The training task.
        split: The split on which the temperature is fitted.
        learner: The learner of a network that returns probabilities.
    """
    scale_by_temperature(cast("ProbabilityOutput", learner.network), task.encoding.pairs(split))
    scored = BestWeights(problem, task, split)
    scored.update(learner.network)
    return scored.error
