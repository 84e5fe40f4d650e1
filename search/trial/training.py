"""The one training loop: data resident on the device, no loader, a step as short as it can be."""

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
from spaces.training_targets import Learner, OptimisationTarget, ReinforcementLearner

MAX_GRADIENT_NORM = 1.0
WARM_UP_SHARE = 0.2
"""Share of the steps in which the learning rate rises."""

ADAMW_BETAS = (0.9, 0.999)
"""PyTorch's own for AdamW."""

MIN_CYCLE_STEPS = 10
"""Steps; a cycle of fewer has no room to rise and fall."""

INFERENCE_BATCH_SIZE = 4096
"""Inputs; what a network holds in between shouldn't grow with the training pairs."""

BATCHES_GATHERED = 64
"""Batches that are put in order at once: so many fewer calls, and copies of no more than these."""

AUTOCAST_DTYPES = {Arithmetic.BF16: torch.bfloat16, Arithmetic.FP16: torch.float16}

StateDict = dict[str, Any]
"""Tensors, numbers and text, in dictionaries and lists: what `torch.load` takes as mere weights."""


class DivergedError(Exception):
    """The training loss, or a weight, stopped being a number."""


def default_device() -> torch.device:
    """Return CUDA where there is a device, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class RollOutPairs(Pairs):
    """What a network meets in the first call of a roll-out, and in later ones.

    Args:
        later: Of a network and a call's number, the pairs that it meets there.
    """

    later_pairs: Callable[[Predict, int], Pairs]


class Trainer:
    """A training in place that can be left after any epoch, put aside, and taken up again.

    AdamW, one cycle of the learning rate (Smith & Topin 2018), clipped gradients, weights averaged
    where wanted. Iterating it yields the number of epochs done after each. At every yield the
    learner is on the CPU, settled, in evaluation mode, and its network holds the averaged weights;
    leave it as it is as long as the course goes on.

    Args:
        learner: On the CPU.
        pairs: Inputs (n, ...) and targets (n, o).
        training: Learning rate, batch size, weight decay, arithmetic, averaging, noise.
        epochs: Passes over the pairs.
        seed: Of the order of the pairs, of the noise, and of what a learner draws.

    Raises:
        DivergedError: A loss is not finite at the end of an epoch.
    """

    def __init__(
        self, learner: Learner, pairs: Pairs, training: Training, epochs: int, seed: int
    ) -> None:
        self._learner, self._epochs, self._done = learner, epochs, 0
        self._later = pairs.later_pairs if isinstance(pairs, RollOutPairs) else None
        self._calls = training.unrolled
        self._device = default_device()
        self._inputs = torch.from_numpy(pairs.inputs).to(self._device)
        self._targets = torch.from_numpy(pairs.targets).to(self._device)
        self._noise = training.input_noise
        self._batch = min(training.batch_size, len(pairs.inputs))
        self._steps = len(pairs.inputs) // self._batch
        torch.manual_seed(seed)
        self._order = torch.Generator().manual_seed(seed)
        self._drawn = _random_states(self._device)
        optimisation_targets, steps = learner.optimisation_targets(), epochs * self._steps
        self._turns = [
            OptimiserStep(player, training, steps, self._device) for player in optimisation_targets
        ]
        deployed = (
            partial(deployed_weights, learner, optimisation_targets)
            if training.averaging
            else list[Tensor]
        )
        self._mean = WeightAverage(deployed, training.averaging, self._device)

    def __iter__(self) -> Iterator[int]:
        """Yield the number of epochs done after each, from those done so far."""
        while self._done < self._epochs:
            self._learner.to(self._device)
            inputs, targets = self._met()
            self._learner.train()
            self._mean.swap_weights()
            _draw_on(self._drawn, self._device)
            total = self._pass(inputs, targets)
            if not torch.isfinite(total):
                raise DivergedError(f"training loss is {total.item()} in epoch {self._done + 1}")
            self._mean.swap_weights()
            self._learner.eval()
            with torch.no_grad():
                self._learner.on_epoch_end(self._inputs, self._targets)
            self._drawn = _random_states(self._device)
            self._learner.to("cpu")
            self._done += 1
            yield self._done

    def state_dict(self) -> StateDict:
        """Return what is needed to go on from this yield, on the CPU; it shares no memory."""
        return _copied(
            {
                "done": self._done,
                "learner": self._learner.state_dict(),
                "numbers": _numbers(self._learner),
                "turns": [turn.state_dict() for turn in self._turns],
                "mean": self._mean.state_dict(),
                "order": self._order.get_state(),
                "drawn": self._drawn,
            }
        )

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Go on from a state, before the first epoch: on the CPU bit for bit as the first course.

        Args:
            state: Of a course that was begun alike.
        """
        state_dict = _copied(state_dict)
        self._done = state_dict["done"]
        self._learner.to(self._device).load_state_dict(state_dict["learner"])
        vars(self._learner).update(state_dict["numbers"])
        for turn, own in zip(self._turns, state_dict["turns"], strict=True):
            turn.load_state_dict(own)
        self._mean.load_state_dict(state_dict["mean"])
        self._order.set_state(state_dict["order"])
        self._drawn = state_dict["drawn"]
        self._learner.to("cpu").eval()

    def _met(self) -> tuple[Tensor, Tensor]:
        """Return the pairs of this epoch: those of each call of a roll-out in turn.

        A loss over several calls, no gradient flowing from one back to the one before, and what the
        earlier answered held for an epoch: the shift between what a network reads in training and
        in use is what unrolling takes away most of (List et al., arXiv:2402.12971, and the
        pushforward trick of Brandstetter et al., ICLR 2022).
        """
        call = 1 + self._done % self._calls
        if call == 1 or self._later is None:
            return self._inputs, self._targets
        pairs = self._later(self._answer, call)
        return (
            torch.from_numpy(pairs.inputs).to(self._device),
            torch.from_numpy(pairs.targets).to(self._device),
        )

    def _answer(self, inputs: Array) -> Array:
        """Return the network's answers, with the weights that would ship now."""
        self._learner.eval()
        with torch.inference_mode():
            parts = torch.from_numpy(inputs).split(INFERENCE_BATCH_SIZE)
            answers = [self._learner.network(part.to(self._device)).cpu() for part in parts]
        return torch.cat(answers).numpy()

    def _pass(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Go once through the pairs, or as long as that takes; return the sum of the losses."""
        total = torch.zeros((), device=self._device)
        step = self._done * self._steps
        for chosen in self._shuffled(len(inputs)).split(BATCHES_GATHERED * self._batch):
            reset_watchdog()
            seen = self._disturbed(inputs.index_select(0, chosen)).split(self._batch)
            asked = targets.index_select(0, chosen).split(self._batch)
            for some, answers in zip(seen, asked, strict=True):
                step += 1
                for turn in self._turns:
                    if step % turn.every == 0:
                        total += turn.step(some, answers)
                self._mean.update()
        return total

    def _shuffled(self, pairs: int) -> Tensor:
        """Return the order of an epoch; later calls have fewer pairs, and some come twice."""
        wanted = self._steps * self._batch
        orders = [torch.randperm(pairs, generator=self._order) for _ in range(0, wanted, pairs)]
        return torch.cat(orders)[:wanted].to(self._device)

    def _disturbed(self, inputs: Tensor) -> Tensor:
        """Return inputs with normal noise, as a roll-out reads them that feeds on its own errors.

        Targets stay what they are. Of a value, because it is asked for whatever the error of what
        is read. Of a change, too: a network that answers with the true change carries an error on
        and doesn't enlarge it, which is what Sanchez-Gonzalez et al. (ICML 2020) ask of positions.
        To take the error back it would have to be told from the truth, and a change be known in the
        inputs' units, which are the encoding's own.

        What is 0 or 1 to the last bit is no measurement but a mask, an edge, or a place where there
        is nothing: it stays.
        """
        if not self._noise:
            return inputs
        exact = (inputs == 0.0) | (inputs == 1.0)
        return inputs.add_(torch.randn_like(inputs).masked_fill_(exact, 0.0), alpha=self._noise)


def train_policy(
    learner: ReinforcementLearner, environment: Any, training: Training, epochs: int, seed: int
) -> Iterator[int]:
    """Train in place by acting; yield as a `Course` does.

    It can't be put aside and taken up again: the state of environment and memory is a library's
    own. Nor are its weights averaged or its observations disturbed.

    Args:
        learner: On the CPU.
        environment: A `gymnasium.Env`.
        training: Learning rate, batch size, weight decay.
        epochs: How many of the learner's own.
        seed: Of the environment and of the actions tried.

    Raises:
        DivergedError: A weight is not finite at the end of an epoch.
    """
    practising = learner.train_policy(environment, training, epochs, seed)
    for epoch in range(1, epochs + 1):
        reset_watchdog()
        try:
            next(practising)
        except ValueError:  # PyTorch's distributions take no mean that isn't a number
            if _finite(learner):
                raise
        if not _finite(learner):
            raise DivergedError(f"a weight is not a finite number in epoch {epoch}")
        learner.to("cpu").eval()
        yield epoch


def _finite(learner: Learner) -> bool:
    return all(bool(torch.isfinite(weight).all()) for weight in learner.parameters())


class OptimiserStep:
    """One player's optimiser, its schedule and its arithmetic."""

    def __init__(
        self, player: OptimisationTarget, training: Training, steps: int, device: torch.device
    ) -> None:
        self.every = min(player.every, max(steps, 1))
        self._parameters = list(player.parameters)
        self._loss = player.loss
        self._optimiser = torch.optim.AdamW(
            self._parameters,
            lr=training.learning_rate,
            betas=player.betas or ADAMW_BETAS,
            weight_decay=training.weight_decay,
            fused=True,
        )
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser,
            training.learning_rate,
            total_steps=max(steps // self.every, MIN_CYCLE_STEPS),
            pct_start=WARM_UP_SHARE,
            cycle_momentum=player.betas is None,
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
        """Make one step on a batch; return the loss before it."""
        with self._autocast:
            loss = self._loss(inputs, targets)
        for weight in self._parameters:  # the fused optimiser's own way takes 40 times as long
            weight.grad = None
        self._scaler.scale(loss).backward()
        self._scaler.unscale_(self._optimiser)
        nn.utils.clip_grad_norm_(self._parameters, MAX_GRADIENT_NORM)
        self._scaler.step(self._optimiser)
        self._scaler.update()
        self._schedule.step()
        return loss.detach()

    def state_dict(self) -> StateDict:
        """Return what is needed to go on."""
        return {name: part.state_dict() for name, part in self._parts.items()}

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Go on from a state; the parameters are on their device."""
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
    """Return the states of PyTorch's own generators, the CPU's first."""
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(device)] if device.type == "cuda" else states


def _draw_on(states: Sequence[Tensor], device: torch.device) -> None:
    """Have PyTorch's own generators go on from states, another kind of device's too."""
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        for state_dict in states[1:]:
            torch.cuda.set_rng_state(state_dict, device)


def _numbers(learner: Learner) -> dict[str, float]:
    """Return the plain numbers that a learner keeps, as a count of its steps."""
    return {name: each for name, each in vars(learner).items() if isinstance(each, int | float)}


def _copied(value: Any) -> Any:
    """Return a state whose tensors are copies on the CPU."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        own = cast("Mapping[Any, Any]", value)
        return {key: _copied(each) for key, each in own.items()}
    if isinstance(value, list):
        return [_copied(each) for each in cast("list[Any]", value)]
    return value
