"""Laws of environments: a policy can practise in them, and earns by doing what it is wanted for."""

import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from problems.contract.evidence import Evidence, MemorisedNetwork
from problems.errors import MissingExtraError, describe_error
from problems.interfaces.policies import POLICIES_EXTRA, PolicyEncoding
from problems.interfaces.types import Array, Pairs, Predict

if TYPE_CHECKING:
    import gymnasium

EPISODES, STEPS = 4, 200
"""Samples that are followed, and for how long at most: enough to tell the sign of a reward."""

ROUNDING = 1e-6
"""How far single precision may put an action beyond its range."""


def environments_are_valid(evidence: Evidence) -> Iterator[str]:
    """Put every environment through gymnasium's checker; compare its spaces with the pairs."""
    for label, encoding in _policies(evidence):
        from gymnasium.utils.env_checker import check_env  # noqa: PLC0415 - an extra

        environment = encoding.environment(evidence.data.train)
        wrong = [*_wrong_spaces(environment, encoding.pairs(evidence.data.train))]
        yield from (f"{label}: {words}" for words in wrong)
        if wrong:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # its advice, as against spaces without bounds
                check_env(environment, skip_render_check=True)
        except Exception as error:  # noqa: BLE001 - a user's code: whatever it raises is told
            yield f"{label}: environment fails gymnasium's check_env, mend it: {describe_error(error)}"


def reward_prefers_reference(evidence: Evidence) -> Iterator[str]:
    """Let a policy act that knows the reference's actions, and one that acts at random."""
    some = evidence.data.train.take(np.arange(EPISODES))
    for label, encoding in _policies(evidence):
        environment = encoding.environment(some)
        knowing = _earned(environment, MemorisedNetwork(encoding.pairs(some)))
        random = _earned(environment, None)
        if not np.isfinite([knowing, random]).all():
            yield f"{label}: environment's reward is not finite; look at the states it is taken of"
        elif knowing <= random:
            yield (
                f"{label}: knowing the reference's actions earns {knowing:.4g} an episode, acting "
                f"at random {random:.4g}; reward closeness to the reference, and no early end"
            )


def _policies(evidence: Evidence) -> Iterator[tuple[str, PolicyEncoding]]:
    for candidate in evidence.fitted_encodings:
        if isinstance(candidate.encoding, PolicyEncoding):
            if find_spec("gymnasium") is None:
                raise MissingExtraError("gymnasium", POLICIES_EXTRA, "trying an environment")
            yield candidate.label, candidate.encoding


def _wrong_spaces(environment: Any, pairs: Pairs) -> Iterator[str]:
    from gymnasium.spaces import Box  # noqa: PLC0415 - an extra

    for name, array in (("observation_space", pairs.inputs), ("action_space", pairs.targets)):
        space, shape = getattr(environment, name, None), array.shape[1:]
        if not isinstance(space, Box) or (space.shape, space.dtype) != (shape, np.float32):
            yield f"environment's {name} is {space}; give a float32 Box {shape}, as pairs has them"
        elif name == "action_space" and (np.any(space.low != -1.0) or np.any(space.high != 1.0)):
            yield f"environment's {name} is {space}; scale actions to [-1, 1]"
    reach = float(np.max(np.abs(pairs.targets), initial=0.0))
    if reach > 1.0 + ROUNDING:
        yield f"pairs has actions up to {reach:.3g}; scale them to [-1, 1], or leave those out"


def _earned(environment: "gymnasium.Env[Array, Array]", policy: Predict | None) -> float:
    """Return what a policy earns in an episode, in the mean over a few; None acts at random."""
    total = 0.0
    environment.action_space.seed(0)
    for seed in range(EPISODES):
        seen, _ = environment.reset(seed=seed)
        for _ in range(STEPS):
            action = environment.action_space.sample() if policy is None else policy(seen[None])[0]
            seen, reward, terminated, truncated, _ = environment.step(action)
            total += float(reward)
            if terminated or truncated:
                break
    return total / EPISODES
