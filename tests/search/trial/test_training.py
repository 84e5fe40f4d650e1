"""The laws of a course, over every family that learns from pairs."""

import io
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from problems import Pairs
from problems.interfaces.types import Predict
from search.trial import training as training_module
from search.trial.training import DivergedError, RollOutPairs, StateDict, Trainer, WeightAverage
from spaces.candidate import Training
from spaces.deployment_check import example_inputs, example_network, lowered_shape
from spaces.registered import ARCHITECTURES
from spaces.training_targets import Learner, OptimisationTarget, SupervisedLearner

TRAINING = Training(learning_rate=1e-2, batch_size=16, weight_decay=1e-4)
WITH_ALL = TRAINING.model_copy(update={"averaging": 0.1, "input_noise": 0.01})

PAIRS = 52
"""Of a family: not a multiple of a batch, and enough steps that each player of a game has some."""

LAW = pytest.mark.parametrize(
    "family", [name for name in ARCHITECTURES if not ARCHITECTURES[name].trains_policy]
)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks so small are only kept waiting by a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pairs() -> Pairs:
    inputs = np.random.default_rng(0).normal(size=(512, 4)).astype(np.float32)
    return Pairs(inputs, np.sin(inputs[:, :2]) + inputs[:, 2:])


def network() -> Learner:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2))
    return SupervisedLearner(plain, nn.SmoothL1Loss())


def normalised() -> Learner:
    """A learner whose network keeps running statistics."""
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(4, 32), nn.BatchNorm1d(32), nn.Tanh(), nn.Linear(32, 2))
    return SupervisedLearner(plain, nn.SmoothL1Loss())


def of_family(family: str) -> tuple[Learner, Pairs]:
    """A family's learner with fresh weights, always the same, and pairs for it."""
    shape = lowered_shape(ARCHITECTURES[family])
    tried = example_network(family, shape)
    settings = tried.candidate.architecture_settings
    learner = ARCHITECTURES[family].learner(tried.network, shape, settings)
    targets = np.random.default_rng(1).random((PAIRS, shape.outputs), dtype=np.float32)
    return learner, Pairs(example_inputs(shape, PAIRS).numpy(), targets)


def error(trained: Learner) -> float:
    with torch.inference_mode():
        gap = trained.network(torch.from_numpy(pairs().inputs)).numpy() - pairs().targets
    return float(np.sqrt(np.mean(gap**2)))


def kept(learner: Learner) -> dict[str, Tensor]:
    return {name: each.clone() for name, each in learner.state_dict().items()}


def written(state_dict: StateDict) -> StateDict:
    """A state that was on a disk."""
    file = io.BytesIO()
    torch.save(state_dict, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def assert_equal(some: dict[str, Tensor], others: dict[str, Tensor]) -> None:
    assert some.keys() == others.keys()
    for name, each in some.items():
        assert torch.equal(each, others[name]), name


def test_it_learns() -> None:
    trained = network()
    before = error(trained)
    assert list(Trainer(trained, pairs(), TRAINING, 20, 0)) == list(range(1, 21))
    assert error(trained) < 0.2 * before


@pytest.mark.parametrize("training", [TRAINING, WITH_ALL])
def test_the_same_seed_gives_the_same_weights(training: Training) -> None:
    both = [network(), network()]
    for trained in both:
        list(Trainer(trained, pairs(), training, 3, 7))
    assert_equal(kept(both[0]), kept(both[1]))


@pytest.mark.parametrize("training", [TRAINING, WITH_ALL])
def test_between_epochs_the_network_is_ready_to_use(training: Training) -> None:
    trained = network()
    for _ in Trainer(trained, pairs(), training, 2, 0):
        assert not trained.training
        assert next(trained.parameters()).device.type == "cpu"


class CountedSteps(SupervisedLearner):
    """A learner that counts the pairs of each step."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(2, 1), nn.SmoothL1Loss())
        self.sizes: list[int] = []

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        self.sizes.append(len(inputs))
        return super().loss(inputs.flatten(1, -2).mean(dim=1), targets[:, :1])


def test_a_step_reads_fewer_pairs_where_each_has_many_places() -> None:
    grids = np.zeros((12, 32, 32, 16, 2), np.float32)
    learner = CountedSteps()
    list(Trainer(learner, Pairs(grids, grids[..., 0].reshape(12, -1)), TRAINING, 1, 0))
    assert learner.sizes == [4, 4, 4]


def test_a_loss_that_is_no_number_is_told() -> None:
    broken = Pairs(pairs().inputs, pairs().targets * np.nan)
    with pytest.raises(DivergedError, match="training loss is nan in epoch 1"):
        list(Trainer(network(), broken, TRAINING, 3, 0))


def test_a_saved_training_continues() -> None:
    trainer = Trainer(network(), pairs(), TRAINING, 4, 0)
    assert next(iter(trainer)) == 1
    assert list(trainer) == [2, 3, 4]
    assert list(trainer) == []


def resumed(first: Learner, again: Learner, task: Pairs, training: Training) -> None:
    """Assert that a course taken up again after any epoch ends as the one that wasn't left."""
    whole = Trainer(first, task, training, 3, 3)
    states, ends = {}, {}
    for epoch in whole:
        states[epoch], ends[epoch] = whole.state_dict(), kept(first)
    for begun in (1, 2):
        trainer = Trainer(again, task, training, 3, 3)
        trainer.load_state_dict(written(states[begun]))
        assert_equal(kept(again), ends[begun])
        epoch = 0
        for epoch in trainer:
            assert_equal(kept(again), ends[epoch])
            torch.manual_seed(epoch)  # what others draw between epochs is no part of a course
        assert epoch == 3


@LAW
def test_a_restored_trainer_equals_one_that_was_never_interrupted(family: str) -> None:
    first, task = of_family(family)
    again, _ = of_family(family)
    resumed(first, again, task, WITH_ALL)


@pytest.mark.parametrize("training", [TRAINING, WITH_ALL])
def test_running_statistics_are_taken_up_again(training: Training) -> None:
    resumed(normalised(), normalised(), pairs(), training)


class Rolling:
    """Pairs of a roll-out of two numbers in four, which notes the calls it is asked for."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def later(self, network: Predict, call: int) -> Pairs:
        self.calls.append(call)
        seen = pairs().inputs[:200]
        for _ in range(call - 1):
            seen = np.concatenate([network(seen), seen[:, 2:]], axis=1)
        return Pairs(seen, np.sin(seen[:, :2]) + seen[:, 2:])

    @property
    def pairs(self) -> RollOutPairs:
        return RollOutPairs(pairs().inputs, pairs().targets, self.later)


UNROLLED = WITH_ALL.model_copy(update={"unrolled": 3})


def test_epochs_take_the_calls_of_a_roll_out_in_turn() -> None:
    rolling, trained = Rolling(), network()
    assert list(Trainer(trained, rolling.pairs, UNROLLED, 7, 0)) == [*range(1, 8)]
    assert rolling.calls == [2, 3, 2, 3]
    assert error(trained) < 0.5


def test_without_unrolling_a_roll_out_is_trained_on_pairs() -> None:
    rolling, both = Rolling(), [network(), network()]
    list(Trainer(both[0], rolling.pairs, TRAINING, 3, 0))
    list(Trainer(both[1], pairs(), TRAINING, 3, 0))
    assert_equal(kept(both[0]), kept(both[1]))
    assert not rolling.calls


def test_an_unrolled_training_is_restored() -> None:
    resumed(network(), network(), Rolling().pairs, UNROLLED)


def test_a_state_shares_nothing_with_its_trainer() -> None:
    trainer = Trainer(network(), pairs(), WITH_ALL, 3, 0)
    next(iter(trainer))
    state_dict = trainer.state_dict()
    before = written(state_dict)
    list(trainer)
    trainer.load_state_dict(state_dict)
    list(trainer)
    assert_same(state_dict, before)


def assert_same(some: object, other: object) -> None:
    if isinstance(some, Tensor):
        assert isinstance(other, Tensor)
        assert torch.equal(some, other)
    elif isinstance(some, dict | list | tuple):
        assert isinstance(other, type(some))
        assert len(some) == len(other)
        keys = some if isinstance(some, dict) else range(len(some))
        for key in keys:
            assert_same(some[key], other[key])
    else:
        assert some == other


def train_plainly(learner: Learner, task: Pairs, training: Training, epochs: int) -> None:
    """Train as anybody would write it, with seed 3."""
    torch.manual_seed(3)
    order = torch.Generator().manual_seed(3)
    inputs, targets = torch.from_numpy(task.inputs), torch.from_numpy(task.targets)
    steps = len(inputs) // training.batch_size
    turns = []
    for player in learner.optimisation_targets():
        optimiser = torch.optim.AdamW(
            player.parameters,
            betas=player.betas or (0.9, 0.999),
            weight_decay=training.weight_decay,
        )
        schedule = OneCycleLR(
            optimiser,
            training.learning_rate,
            total_steps=max(epochs * steps // player.every, 10),
            pct_start=0.2,
            cycle_momentum=player.betas is None,
        )
        turns.append((player, optimiser, schedule))
    learner.train()
    for epoch in range(epochs):
        places = torch.randperm(len(inputs), generator=order)
        for step in range(steps):
            chosen = places[step * training.batch_size : (step + 1) * training.batch_size]
            for player, optimiser, schedule in turns:
                if (epoch * steps + step + 1) % player.every == 0:
                    optimiser.zero_grad()
                    player.loss(inputs[chosen], targets[chosen]).backward()
                    nn.utils.clip_grad_norm_(player.parameters, 1.0)
                    optimiser.step()
                    schedule.step()
    learner.eval()
    with torch.no_grad():
        learner.on_epoch_end(inputs, targets)


AMPLIFIES_ROUNDING = {"unet3d"}
"""Adam makes a step of full length of a gradient that is nothing but rounding. On processors with
AVX2 alone, unet3d then departs by 0.0125 of what training changed; the others by 0.0001 at most."""


@LAW
def test_a_trainer_equals_the_plain_loop_but_for_rounding(family: str) -> None:
    learner, task = of_family(family)
    plain, _ = of_family(family)
    training = Training(learning_rate=1e-3, batch_size=8, weight_decay=1e-4)
    list(Trainer(learner, task, training, 2, 3))
    train_plainly(plain, task, training, 2)
    inputs = example_network(family, lowered_shape(ARCHITECTURES[family])).calibration
    untrained, _ = of_family(family)
    with torch.inference_mode():
        outputs, expected, before = (each.network(inputs) for each in (learner, plain, untrained))
    if family in AMPLIFIES_ROUNDING:
        assert torch.dist(outputs, expected) <= 0.02 * torch.dist(before, expected)
    else:
        torch.testing.assert_close(outputs, expected, rtol=1e-2, atol=2e-3)


@LAW
def test_averaging_changes_nothing_in_what_is_learned(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    averaged, task = of_family(family)
    plain, _ = of_family(family)
    made: list[WeightAverage] = []

    def noted(*arguments: Any) -> WeightAverage:
        made.append(WeightAverage(*arguments))
        return made[-1]

    monkeypatch.setattr(training_module, "WeightAverage", noted)
    trainer = Trainer(averaged, task, TRAINING.model_copy(update={"averaging": 0.1}), 2, 0)
    (mean,) = made
    for _, _ in zip(trainer, Trainer(plain, task, TRAINING, 2, 0), strict=True):
        means = dict(averaged.named_parameters())
        shown = {name: each.detach().clone() for name, each in means.items()}
        mean.swap_weights()
        for name, weight in plain.named_parameters():
            assert torch.equal(means[name], weight), name
        mean.swap_weights()
        for name, weight in means.items():
            assert torch.equal(weight, shown[name]), name


def test_a_mean_spans_its_share_of_the_steps() -> None:
    for share in (0.05, 0.2):
        weight = torch.tensor([1e6])
        mean = WeightAverage(lambda w=weight: [w], share, torch.device("cpu"))
        for step in range(1, 1001):
            weight.fill_(step)
            mean.update()
        mean.swap_weights()
        # Of what grows steadily, the mean of the last steps is half of their span behind.
        assert weight.item() == pytest.approx(1000 * (1 - share / (1 + share)), rel=0.01)
        mean.swap_weights()
        assert weight.item() == 1000


@pytest.mark.parametrize("build", [network, normalised])
def test_a_mean_is_nearer_while_steps_are_large(build: Callable[[], Learner]) -> None:
    noisy = Pairs(
        pairs().inputs,
        pairs().targets + np.random.default_rng(1).normal(size=(512, 2)).astype(np.float32),
    )
    errors = []
    for averaging in (0.0, 0.2):
        trained = build()
        training = TRAINING.model_copy(update={"averaging": averaging})
        halfway = iter(Trainer(trained, noisy, training, 40, 0))
        for _ in range(20):
            next(halfway)
        errors.append(error(trained))
    assert errors[1] < errors[0]


class Reading(SupervisedLearner):
    """Keeps what it is given to read."""

    def optimisation_targets(self) -> Sequence[OptimisationTarget]:
        self.read: list[Tensor] = []
        self.asked: list[Tensor] = []
        return super().optimisation_targets()

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        self.read.append(inputs.clone())
        self.asked.append(targets.clone())
        return super().loss(inputs, targets)


def read(input_noise: float, seed: int = 0, masked: int = 0) -> tuple[Tensor, Tensor]:
    """What an epoch gives to read and asks for, batch by batch."""
    inputs = pairs().inputs
    if masked:
        inputs[:, 0] = np.arange(len(inputs)) % 2
        inputs[:100] = 0.0
    learner = Reading(nn.Linear(4, 2), nn.SmoothL1Loss())
    training = TRAINING.model_copy(update={"input_noise": input_noise})
    list(Trainer(learner, Pairs(inputs, pairs().targets), training, 1, seed))
    return torch.cat(learner.read), torch.cat(learner.asked)


def test_noise_is_of_the_size_asked_for_and_targets_stay() -> None:
    (clean, asked), (noisy, asked_too) = read(0.0), read(0.03)
    assert torch.equal(asked, asked_too)
    noise = noisy - clean
    assert noise.std().item() == pytest.approx(0.03, rel=0.05)
    assert abs(noise.mean().item()) < 0.005
    for one, next_one in pairwise(noise.split(16)):
        assert not torch.equal(one, next_one)


def test_noise_is_the_seeds() -> None:
    assert torch.equal(read(0.03)[0], read(0.03)[0])
    (clean, _), (noisy, _) = read(0.0, seed=1), read(0.03, seed=1)
    other = read(0.03)[0] - read(0.0)[0]
    assert not torch.equal(noisy - clean, other)


def test_a_mask_and_what_is_not_there_have_no_noise() -> None:
    clean, noisy = read(0.0, masked=1)[0], read(0.03, masked=1)[0]
    assert torch.equal(clean[:, 0], noisy[:, 0])
    empty = (clean == 0.0).all(dim=1)
    assert torch.equal(noisy[empty], clean[empty])
    assert not torch.equal(noisy[~empty, 1:], clean[~empty, 1:])


def test_a_candidate_of_before_is_trained_as_it_was() -> None:
    old = '{"learning_rate": 1e-3, "batch_size": 128, "weight_decay": 0.0}'
    training = Training.model_validate_json(old)
    assert (training.averaging, training.input_noise) == (0.0, 0.0)


@pytest.mark.gpu
@pytest.mark.parametrize("build", [network, normalised])
def test_it_learns_on_a_gpu_and_is_taken_up_again(build: Callable[[], Learner]) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    left, trained = build(), build()
    trainer = Trainer(left, pairs(), WITH_ALL, 20, 0)
    for _ in zip(range(10), trainer, strict=False):
        assert next(left.parameters()).device.type == "cpu"
    again = Trainer(trained, pairs(), WITH_ALL, 20, 0)
    again.load_state_dict(written(trainer.state_dict()))
    assert_equal(kept(left), kept(trained))
    assert list(again) == list(range(11, 21))
    assert error(trained) < 0.3
