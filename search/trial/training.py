"""The training loop: all pairs are on the device, and a step makes as few calls as possible."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from problems import Array, Pairs, Predict
from search.trial.weight_averaging import WeightAverage, deployed_weights
from search.watchdog import reset_watchdog
from spaces.candidate import Arithmetic, Training
from spaces.training_targets import (
    ClassificationLearner,
    Learner,
    OptimisationTarget,
    ReinforcementLearner,
)

MAX_GRADIENT_NORM = 1.0
WARM_UP_SHARE = 0.2
"""Share of the steps during which the learning rate rises."""

ADAMW_BETAS = (0.9, 0.999)
"""PyTorch's defaults for AdamW."""

MIN_CYCLE_STEPS = 10
"""Shortest cycle of the learning rate in steps: a shorter one can't rise and fall."""

INFERENCE_BATCH_SIZE = 4096
"""Inputs of a call, so that the memory of activations doesn't grow with the training pairs."""

PLACES_PER_STEP = 2**16
"""Largest number of places of a batch of two pairs or more: 16 grids of 16^3 points. A set of a
hundred fields would otherwise be one batch, and a pass over it one step."""

BATCHES_GATHERED = 64
"""Batches gathered at once: fewer calls than one by one, less memory than all together."""

AUTOCAST_DTYPES = {Arithmetic.BF16: torch.bfloat16, Arithmetic.FP16: torch.float16}

StateDict = dict[str, Any]
"""Tensors, numbers and text in dictionaries and lists, which `torch.load` reads as mere weights."""


class DivergedError(Exception):
    """The training loss, or a weight, is not finite."""


def default_device() -> torch.device:
    """Return the CUDA device if there is one, otherwise the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class RollOutPairs(Pairs):
    """Pairs of the first call of a roll-out, and of later calls.

    Args:
        later_pairs: Returns the pairs that a network reads in a later call, by the network and the
            number of the call.
    """

    later_pairs: Callable[[Predict, int], Pairs]


def _pairs_per_step(pairs: Pairs, training: Training) -> int:
    """Return the size of batches: that of the training, or less where pairs have many places."""
    places = math.prod(pairs.inputs.shape[1:-1])
    return min(training.batch_size, len(pairs.inputs), max(1, PLACES_PER_STEP // places))


class Trainer:
    """A training in place, whose state can be saved and restored after any epoch.

    AdamW with one cycle of the learning rate (Smith & Topin 2018), clipped gradients and, as an
    option, weight averaging. Iteration yields the number of epochs done, after each epoch. At every
    yield the learner is on the CPU, in evaluation mode, after its `on_epoch_end`, and its network
    has the averaged weights. The learner must not be changed before the training ends.

    Args:
        learner: The learner, on the CPU.
        pairs: Inputs (n, ...) and targets (n, o).
        training: Learning rate, batch size, weight decay, arithmetic, averaging, noise.
        epochs: Number of passes over the pairs.
        seed: Seed of the order of the pairs, of the noise, and of random numbers of the learner.

    Raises:
        DivergedError: The loss is not finite at the end of an epoch.
    """

    def __init__(
        self, learner: Learner, pairs: Pairs, training: Training, epochs: int, seed: int
    ) -> None:
        self._learner, self._epochs, self._done = learner, epochs, 0
        self._later_pairs = pairs.later_pairs if isinstance(pairs, RollOutPairs) else None
        self._calls = training.unrolled
        self._learning_rate = training.learning_rate
        self._device = default_device()
        self._inputs = torch.from_numpy(pairs.inputs).to(self._device)
        self._targets = torch.from_numpy(pairs.targets).to(self._device)
        if isinstance(learner, ClassificationLearner):
            learner.configure(training, self._targets)
        self._noise = training.input_noise
        self._batch = _pairs_per_step(pairs, training)
        self._steps = len(pairs.inputs) // self._batch
        torch.manual_seed(seed)
        self._order = torch.Generator().manual_seed(seed)
        self._random_states = _random_states(self._device)
        optimisation_targets, steps = learner.optimisation_targets(), epochs * self._steps
        self._optimisers = [
            OptimiserStep(target, training, steps, self._device) for target in optimisation_targets
        ]
        find_weights = (
            partial(deployed_weights, learner, optimisation_targets)
            if training.averaging
            else list[Tensor]
        )
        self._average = WeightAverage(find_weights, training.averaging, self._device)

    def __iter__(self) -> Iterator[int]:
        """Yield the number of epochs done after each of the remaining epochs."""
        while self._done < self._epochs:
            self._learner.to(self._device)
            inputs, targets = self._epoch_pairs()
            self._learner.train()
            self._average.swap_weights()
            _set_random_states(self._random_states, self._device)
            loss = self._train_epoch(inputs, targets)
            if not torch.isfinite(loss):
                raise DivergedError(
                    f"training loss is {loss.item()} in epoch {self._done + 1}; "
                    f"{self._why_diverged(inputs, targets)}"
                )
            self._average.swap_weights()
            self._learner.eval()
            with torch.no_grad():
                self._learner.on_epoch_end(self._inputs, self._targets)
            self._random_states = _random_states(self._device)
            self._learner.to("cpu")
            self._done += 1
            yield self._done

    def state_dict(self) -> StateDict:
        """Return the state at this yield, as copies on the CPU."""
        return _copied(
            {
                "done": self._done,
                "learner": self._learner.state_dict(),
                "numbers": _plain_numbers(self._learner),
                "turns": [optimiser.state_dict() for optimiser in self._optimisers],
                "mean": self._average.state_dict(),
                "order": self._order.get_state(),
                "drawn": self._random_states,
            }
        )

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Restore a state before the first epoch; on the CPU training then continues bit for bit.

        Args:
            state_dict: State of a trainer with the same arguments.
        """
        state_dict = _copied(state_dict)
        self._done = state_dict["done"]
        self._learner.to(self._device).load_state_dict(state_dict["learner"])
        vars(self._learner).update(state_dict["numbers"])
        for optimiser, saved in zip(self._optimisers, state_dict["turns"], strict=True):
            optimiser.load_state_dict(saved)
        self._average.load_state_dict(state_dict["mean"])
        self._order.set_state(state_dict["order"])
        self._random_states = state_dict["drawn"]
        self._learner.to("cpu").eval()

    def _epoch_pairs(self) -> tuple[Tensor, Tensor]:
        """Return inputs (n, ...) and targets (n, o) of this epoch.

        Epochs use the pairs of each call of a roll-out in turn.
        This is an unrolled loss without gradients from one call to the call before, whose earlier
        outputs are computed once per epoch. Most of the benefit of unrolling comes from training on
        the inputs that occur in use (List et al., arXiv:2402.12971, and the pushforward trick of
        Brandstetter et al., ICLR 2022).
        """
        call = 1 + self._done % self._calls
        if call == 1 or self._later_pairs is None:
            return self._inputs, self._targets
        pairs = self._later_pairs(self._predict, call)
        return (
            torch.from_numpy(pairs.inputs).to(self._device),
            torch.from_numpy(pairs.targets).to(self._device),
        )

    def _why_diverged(self, inputs: Tensor, targets: Tensor) -> str:
        if torch.isfinite(inputs).all() and torch.isfinite(targets).all():
            return f"inputs and targets are finite, the learning rate is {self._learning_rate:.3g}"
        return "the network's own predictions are not finite in a later call of the roll-out"

    def _predict(self, inputs: Array) -> Array:
        """Return the outputs of the network (n, o) with the averaged weights."""
        self._learner.eval()
        with torch.inference_mode():
            parts = torch.from_numpy(inputs).split(INFERENCE_BATCH_SIZE)
            outputs = [self._learner.network(part.to(self._device)).cpu() for part in parts]
        return torch.cat(outputs).numpy()

    def _train_epoch(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Train for the steps of one pass over the pairs; return the sum of the losses ()."""
        total = torch.zeros((), device=self._device)
        if not self._optimisers:
            return total
        step = self._done * self._steps
        for indices in self._shuffled(len(inputs)).split(BATCHES_GATHERED * self._batch):
            reset_watchdog()
            input_batches = self._with_noise(inputs.index_select(0, indices)).split(self._batch)
            target_batches = targets.index_select(0, indices).split(self._batch)
            for input_batch, target_batch in zip(input_batches, target_batches, strict=True):
                step += 1
                for optimiser in self._optimisers:
                    if step % optimiser.interval == 0:
                        total += optimiser.step(input_batch, target_batch)
                self._average.update()
        return total

    def _shuffled(self, pairs: int) -> Tensor:
        """Return the indices of the pairs of an epoch (n,).

        Later calls of a roll-out have fewer pairs, so that some of them are used twice.
        """
        length = self._steps * self._batch
        orders = [torch.randperm(pairs, generator=self._order) for _ in range(0, length, pairs)]
        return torch.cat(orders)[:length].to(self._device)

    def _with_noise(self, inputs: Tensor) -> Tensor:
        """Return inputs (n, ...) with normal noise, like the errors of inputs in a roll-out.

        Targets are unchanged. A target that is a value should not depend on errors of the inputs. A
        target that is a change stays the true change: the network then keeps an error and doesn't
        enlarge it, as Sanchez-Gonzalez et al. (ICML 2020) require of positions. To correct an error
        the network would have to tell it from the truth, and the units of changes relative to the
        inputs, which only the encoding knows, would be needed here.

        Inputs equal to 0 or 1 are unchanged: they are masks, edges or empty places.
        """
        if not self._noise:
            return inputs
        exact = (inputs == 0.0) | (inputs == 1.0)
        return inputs.add_(torch.randn_like(inputs).masked_fill_(exact, 0.0), alpha=self._noise)


def train_policy(
    learner: ReinforcementLearner, environment: Any, training: Training, epochs: int, seed: int
) -> Iterator[int]:
    """Train a policy in place by RL training; yield the number of epochs done after each.

    Its state can't be saved and restored, because environment and replay memory belong to a
    library. Weights aren't averaged, and observations have no added noise.

    Args:
        learner: The learner, on the CPU.
        environment: A `gymnasium.Env`.
        training: Learning rate, batch size, weight decay.
        epochs: Number of epochs, as the learner defines them.
        seed: Seed of the environment and of exploration.

    Raises:
        DivergedError: A weight is not finite at the end of an epoch.
    """
    rl_training = learner.train_policy(environment, training, epochs, seed)
    for epoch in range(1, epochs + 1):
        reset_watchdog()
        try:
            next(rl_training)
        except ValueError:  # PyTorch's distributions refuse a mean that isn't finite
            if _is_finite(learner):
                raise
        if not _is_finite(learner):
            raise DivergedError(f"a weight is not a finite number in epoch {epoch}")
        learner.to("cpu").eval()
        yield epoch


def _is_finite(learner: Learner) -> bool:
    return all(bool(torch.isfinite(weight).all()) for weight in learner.parameters())


class OptimiserStep:
    """Steps of the optimiser of an optimisation target, with its schedule and arithmetic.

    Args:
        target: The optimisation target.
        training: Settings of the training.
        steps: Number of steps of the whole training.
        device: Device of the parameters.
    """

    def __init__(
        self, target: OptimisationTarget, training: Training, steps: int, device: torch.device
    ) -> None:
        self.interval = min(target.every, max(steps, 1))
        self._parameters = list(target.parameters)
        self._loss = target.loss
        self._optimiser = torch.optim.AdamW(
            self._parameters,
            lr=training.learning_rate,
            betas=target.betas or ADAMW_BETAS,
            weight_decay=training.weight_decay,
            fused=True,
        )
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser,
            training.learning_rate,
            total_steps=max(steps // self.interval, MIN_CYCLE_STEPS),
            pct_start=WARM_UP_SHARE,
            cycle_momentum=target.betas is None,
        )
        self._autocast = torch.autocast(
            device.type,
            dtype=AUTOCAST_DTYPES.get(training.arithmetic),
            enabled=training.arithmetic in AUTOCAST_DTYPES,
        )
        # Gradients in fp16 underflow unless they are scaled up.
        self._scaler = torch.amp.GradScaler(
            device.type, enabled=training.arithmetic is Arithmetic.FP16
        )

    def step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Make one optimiser step on a batch (b, ...); return the loss () before it."""
        with self._autocast:
            loss = self._loss(inputs, targets)
        for weight in self._parameters:  # zero_grad of the fused optimiser takes 40 times as long
            weight.grad = None
        self._scaler.scale(loss).backward()
        self._scaler.unscale_(self._optimiser)
        nn.utils.clip_grad_norm_(self._parameters, MAX_GRADIENT_NORM)
        self._scaler.step(self._optimiser)
        self._scaler.update()
        self._schedule.step()
        return loss.detach()

    def state_dict(self) -> StateDict:
        """Return the states of optimiser, schedule and gradient scaler."""
        return {name: part.state_dict() for name, part in self._parts.items()}

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Restore these states; the parameters must be on their device."""
        for name, part in self._parts.items():
            part.load_state_dict(state_dict[name])

    @property
    def _parts(self) -> dict[str, Any]:
        return {
            "optimiser": self._optimiser,
            "schedule": self._schedule,
            "scaler": self._scaler,
        }


def _random_states(device: torch.device) -> list[Tensor]:
    """Return the states (bytes,) of PyTorch's global generators, that of the CPU first."""
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(device)] if device.type == "cuda" else states


def _set_random_states(states: Sequence[Tensor], device: torch.device) -> None:
    """Set PyTorch's global generators to states, which may come from another kind of device."""
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        for state in states[1:]:
            torch.cuda.set_rng_state(state, device)


def _plain_numbers(learner: Learner) -> dict[str, float]:
    """Return the numbers among the attributes of a learner, such as a count of its steps."""
    return {name: value for name, value in vars(learner).items() if isinstance(value, int | float)}


def _copied(value: Any) -> Any:
    """Return a state with its tensors copied to the CPU."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value)
        return {key: _copied(item) for key, item in items.items()}
    if isinstance(value, list):
        return [_copied(item) for item in cast("list[Any]", value)]
    return value
