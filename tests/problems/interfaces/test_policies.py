"""A policy from problem to artefact: what its environment promises, and how a slip is told."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from problems import (
    Array,
    Batch,
    Choose,
    Field,
    FlatEncoding,
    Metric,
    Pairs,
    Predict,
    Problem,
    Samples,
    Settings,
    Size,
    Split,
    Target,
)
from problems.contract import CHECKS, CyclicChoice, Evidence, environments
from problems.data.dataset import generate
from problems.interfaces.policies import PolicyEncoding
from search.run.directory import RunDirectory
from search.run.records import NO_LIMITS, Record, State
from search.timing.reference import ReferenceTiming
from search.trial.context import SearchContext
from search.trial.lifecycle import run_trial
from spaces.architectures.actor_critic import ALGORITHMS, ActorCritic
from spaces.candidate import Candidate, Precision, Pruning, Training

gymnasium = pytest.importorskip("gymnasium", reason="policies are an extra")

FRAMES, FRAME = 20, 0.25
INPUTS = (
    Field("frequency", unit="rad/s", valid=(0.1, 10.0)),
    Field("start_position", unit="m"),
    Field("start_velocity", unit="m/s"),
)
OUTPUTS = (Field("position", (FRAMES,), "m", axes=("time",)),)


@dataclass(frozen=True)
class Spring:
    """A point mass on a spring, by its formula."""

    inputs = INPUTS
    outputs = OUTPUTS

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        return {
            "frequency": rng.uniform(0.5, 1.5, n),
            "start_position": rng.normal(0.0, 1.0, n),
            "start_velocity": rng.normal(0.0, 1.0, n),
        }

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - not random
        w, times = inputs["frequency"][:, None], FRAME * np.arange(1, FRAMES + 1)
        start, speed = inputs["start_position"][:, None], inputs["start_velocity"][:, None]
        return {"position": start * np.cos(w * times) + speed / w * np.sin(w * times)}


def moved(state: Array, push: Array) -> Array:
    """Return states (..., 2), position and velocity, after a frame with a push (...)."""
    velocity = state[..., 1] + FRAME * push
    return np.stack([state[..., 0] + FRAME * velocity, velocity], axis=-1)


@dataclass(frozen=True, eq=False)
class Pushing(PolicyEncoding):
    """The mass flies straight; a policy gives it the push that the spring would."""

    def settings(self, choose: Choose) -> Settings:
        del choose
        return {}

    def measure(self, train: Split) -> Batch:
        seen, push = self.path(train)
        return {"seen": np.abs(seen).max((0, 1)), "push": np.array([1.2 * np.abs(push).max()])}

    def path(self, split: Split) -> tuple[Array, Array]:
        """Return what is observed (b, t, 3) along the reference, and the pushes (b, t) it needs."""
        at = np.column_stack([split.inputs["start_position"], split.outputs["position"]])
        speed = np.column_stack([split.inputs["start_velocity"], np.diff(at) / FRAME])
        seen = self.seen(np.stack([at, speed], -1)[:, :-1], split.inputs["frequency"][:, None])
        return seen, np.diff(speed) / FRAME

    def seen(self, state: Array, frequency: Array) -> Array:
        frequency = np.broadcast_to(frequency, state.shape[:-1])[..., None]
        return np.concatenate([state, frequency], -1)

    def scaled(self, seen: Array) -> Array:
        return (seen / self.statistics["seen"]).astype(np.float32)

    def pairs(self, split: Split) -> Pairs:
        seen, push = self.path(split)
        actions = (push / self.statistics["push"]).astype(np.float32)
        return Pairs(self.scaled(seen).reshape(-1, 3), actions.reshape(-1, 1))

    def apply(self, network: Predict, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        state = np.stack([inputs["start_position"], inputs["start_velocity"]], -1)
        path: list[Array] = []
        for _ in range(FRAMES):
            action = network(self.scaled(self.seen(state, inputs["frequency"])))[:, 0]
            state = moved(state, self.statistics["push"] * np.clip(action, -1.0, 1.0))
            path.append(state[:, 0])
        return {"position": np.stack(path, axis=1)}

    def environment(self, split: Split) -> "Pushed":
        return Pushed(self, split)


class Pushed(gymnasium.Env):
    """Follows one sample from anywhere in the first half of its path, until it is lost."""

    def __init__(self, encoding: Pushing, split: Split) -> None:
        self.encoding, self.split = encoding, split
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (3,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Array, dict]:
        super().reset(seed=seed, options=options)
        sample = self.split.take(self.np_random.integers(len(self.split), size=1))
        self.reference = sample.outputs["position"][0]
        self.frame = int(self.np_random.integers(FRAMES // 2))
        seen = self.encoding.path(sample)[0][0, self.frame]
        self.state, self.frequency = seen[:2], seen[2]
        return self.observed(), {}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict]:
        self.state = moved(self.state, self.encoding.statistics["push"][0] * float(action[0]))
        gap = abs(self.state[0] - self.reference[self.frame])
        self.frame += 1
        reward = float(np.exp(-((gap / 0.5) ** 2)))
        return self.observed(), reward, bool(gap > 1.0), self.frame == FRAMES, {}

    def observed(self) -> Array:
        return self.encoding.scaled(self.encoding.seen(self.state, self.frequency))


def score(predicted: Batch, reference: Batch, inputs: Batch) -> dict[str, float]:  # noqa: ARG001 - a score's signature
    return {"error": float(np.sqrt(np.mean((predicted["position"] - reference["position"]) ** 2)))}


PROBLEM = Problem(
    name="spring",
    simulation=Spring(),
    encodings={"pushing": Pushing()},
    score=score,
    metrics=(Metric("error", "m"),),
    samples=Samples(train=64, validation=16, test=16, shifted=0),
    epochs=2,
)


@pytest.mark.parametrize("check", CHECKS)
def test_contract_check(check: str, cache: Path) -> None:
    assert CHECKS[check].violations(Evidence(PROBLEM, cache)) == []


def acting(**methods: Any) -> Problem:
    """The problem with an environment of which some methods are others."""
    kind = type("Other", (Pushed,), methods)
    kind.__module__ = __name__

    def environment(self: Pushing, split: Split) -> Pushed:
        return kind(self, split)

    return encoding(environment=environment)


def encoding(**methods: Any) -> Problem:
    kind = dataclass(frozen=True, eq=False)(type("Own", (Pushing,), methods))
    kind.__module__ = __name__
    return replace(PROBLEM, encodings={"own": kind()})


def paid(change: Callable[[float, int], float]) -> Problem:
    def step(self: Pushed, action: Array) -> tuple:
        seen, reward, *rest = Pushed.step(self, action)
        return (seen, change(reward, self.frame), *rest)

    return acting(step=step)


def ending_early(self: Pushed, action: Array) -> tuple:
    seen, reward, _, truncated, info = Pushed.step(self, action)
    return seen, reward - 2.0, reward < 0.5, truncated, info


def spaces(observed: int, *action: Any) -> Problem:
    def init(self: Pushed, encoding: Pushing, split: Split) -> None:
        Pushed.__init__(self, encoding, split)
        self.observation_space = gymnasium.spaces.Box(-9.0, 9.0, (observed,), np.float32)
        self.action_space = gymnasium.spaces.Box(*action)

    return acting(__init__=init)


def unseeded(self: Pushed, *, seed: int | None = None, options: Any = None) -> tuple:
    del seed
    return Pushed.reset(self, options=options)


def far(self: Pushing, split: Split) -> Pairs:
    pairs = Pushing.pairs(self, split)
    return replace(pairs, targets=3.0 * pairs.targets)


class Unpractised(FlatEncoding):
    target = Target.POLICY


VALID, PREFERS = "environments_are_valid", "reward_prefers_reference"
MALFORMED: dict[str, tuple[Callable[[], Problem], str, str]] = {
    "a policy without environment": (
        lambda: replace(PROBLEM, encodings={"own": Unpractised(INPUTS, OUTPUTS)}),
        "encodings_are_valid", "'own' is a policy without environment; use a Policy"),
    "no environment": (
        lambda: encoding(environment=lambda *_: None),
        VALID, "environment's observation_space is None; give a float32 Box (3,)"),
    "observations of another shape": (
        lambda: spaces(4, -1.0, 1.0, (1,), np.float32),
        VALID, "environment's observation_space is Box(-9.0, 9.0, (4,), float32); give a float32"),
    "actions in double precision": (
        lambda: spaces(3, -1.0, 1.0, (1,), np.float64),
        VALID, "environment's action_space is Box(-1.0, 1.0, (1,), float64); give a float32 Box"),
    "actions in newtons": (
        lambda: spaces(3, -5.0, 5.0, (1,), np.float32),
        VALID, "is Box(-5.0, 5.0, (1,), float32); scale actions to [-1, 1]"),
    "actions that can't be taken": (
        lambda: encoding(pairs=far),
        VALID, "pairs has actions up to 2.5; scale them to [-1, 1], or leave those out"),
    "a reset without its seed": (
        lambda: acting(reset=unseeded),
        VALID, "environment fails gymnasium's check_env; correct it: AssertionError"),
    "observations in double precision": (
        lambda: acting(observed=lambda self: Pushed.observed(self).astype(float)),
        VALID, "environment fails gymnasium's check_env; correct it: AssertionError"),
    "a distance for a reward": (
        lambda: paid(lambda reward, _: -reward),
        PREFERS, "reward closeness to the reference, and no early end"),
    "a reward that is none": (
        lambda: paid(lambda *_: 0.0),
        PREFERS, "the reference's actions earn 0 per episode, random actions 0;"),
    "an end that is a gain": (
        lambda: acting(step=ending_early),
        PREFERS, "reward closeness to the reference, and no early end"),
    "a reward that is no number": (
        lambda: paid(lambda reward, frame: np.nan if frame > 3 else reward),
        PREFERS, "environment's reward is not finite"),
}  # fmt: skip


def test_every_check_of_environments_has_a_violation() -> None:
    checks = {
        name
        for name, check in CHECKS.items()
        if check.find_violations.__module__ == environments.__name__
    }
    assert checks == {VALID, PREFERS}
    assert checks < {check for _, check, _ in MALFORMED.values()}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_violation_is_reported(name: str, cache: Path) -> None:
    make, check, words = MALFORMED[name]
    violations = CHECKS[check].violations(Evidence(make(), cache))
    assert any(words in breach for breach in violations), violations
    assert all("\n" not in breach for breach in violations)


@pytest.mark.parametrize("check", [VALID, PREFERS])
def test_what_is_missing_is_told(check: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    (words,) = CHECKS[check].violations(Evidence(PROBLEM, cache))
    assert "checking an environment needs gymnasium" in words
    assert "[policies]" in words


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_whole_life(algorithm: str, cache: Path, tmp_path: Path) -> None:
    pytest.importorskip("stable_baselines3", reason="policies are an extra")
    data = generate(PROBLEM, cache)
    slow = ReferenceTiming(None, 1.0)  # no network is as fast as the toy itself
    context = SearchContext(PROBLEM, data, slow, NO_LIMITS, RunDirectory(tmp_path))
    candidate = Candidate(
        problem=PROBLEM.name,
        problem_version=PROBLEM.version,
        size=Size.TINY,
        encoding="pushing",
        encoding_settings={},
        architecture="actor_critic",
        architecture_settings={**ActorCritic.settings(CyclicChoice(0)), "algorithm": algorithm},
        training=Training(learning_rate=3e-3, batch_size=256, weight_decay=1e-5),
        pruning=Pruning.STRUCTURED,
        pruning_settings={"ratio": 0.25, "criterion": "magnitude"},
        precision=Precision.FP32,
        runtime="eager",
        seed=0,
    )
    *rungs, record = run_trial(context, candidate, 0)
    assert isinstance(record, Record)
    assert record.state is State.COMPLETE, record.reason
    assert len(rungs) == len(record.rungs) == 1
    assert record.parameters == 3 * 48 + 48 + 48 + 1
