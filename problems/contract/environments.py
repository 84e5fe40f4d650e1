"""Checks of environments: interface, spaces and reward of the environments of policies."""

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
"""Episodes and largest number of steps of each: enough to compare the rewards of two policies."""

ROUNDING = 1e-6
"""Largest excess of an action over its range due to single precision."""


def environments_are_valid(evidence: Evidence) -> Iterator[str]:
    """Check every environment with gymnasium's checker, and its spaces against the pairs."""
    for label, encoding in _policies(evidence):
        from gymnasium.utils.env_checker import check_env  # noqa: PLC0415 - an extra

        environment = encoding.environment(evidence.data.train)
        messages = [*_space_violations(environment, encoding.pairs(evidence.data.train))]
        yield from (f"{label}: {message}" for message in messages)
        if messages:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # advice, such as to bound every space
                check_env(environment, skip_render_check=True)
        except Exception as error:  # noqa: BLE001 - user code: every exception is a violation
            reason = describe_error(error)
            yield f"{label}: environment fails gymnasium's check_env; correct it: {reason}"


def reward_prefers_reference(evidence: Evidence) -> Iterator[str]:
    """Check that the actions of the reference earn more than random actions."""
    split = evidence.data.train.take(np.arange(EPISODES))
    for label, encoding in _policies(evidence):
        environment = encoding.environment(split)
        reference = _mean_return(environment, MemorisedNetwork(encoding.pairs(split)))
        random = _mean_return(environment, None)
        if not np.isfinite([reference, random]).all():
            yield f"{label}: environment's reward is not finite; check the states it is computed of"
        elif reference <= random:
            yield (
                f"{label}: the reference's actions earn {reference:.4g} per episode, random "
                f"actions {random:.4g}; reward closeness to the reference, and no early end"
            )


def _policies(evidence: Evidence) -> Iterator[tuple[str, PolicyEncoding]]:
    for fitted in evidence.fitted_encodings:
        if isinstance(fitted.encoding, PolicyEncoding):
            if find_spec("gymnasium") is None:
                raise MissingExtraError("gymnasium", POLICIES_EXTRA, "checking an environment")
            yield fitted.label, fitted.encoding


def _space_violations(environment: Any, pairs: Pairs) -> Iterator[str]:
    from gymnasium.spaces import Box  # noqa: PLC0415 - an extra

    for name, array in (("observation_space", pairs.inputs), ("action_space", pairs.targets)):
        space, shape = getattr(environment, name, None), array.shape[1:]
        if not isinstance(space, Box) or (space.shape, space.dtype) != (shape, np.float32):
            yield f"environment's {name} is {space}; give a float32 Box {shape}, as pairs has them"
        elif name == "action_space" and (np.any(space.low != -1.0) or np.any(space.high != 1.0)):
            yield f"environment's {name} is {space}; scale actions to [-1, 1]"
    largest = float(np.max(np.abs(pairs.targets), initial=0.0))
    if largest > 1.0 + ROUNDING:
        yield f"pairs has actions up to {largest:.3g}; scale them to [-1, 1], or leave those out"


def _mean_return(environment: "gymnasium.Env[Array, Array]", policy: Predict | None) -> float:
    """Return the mean return of a policy over a few episodes; None acts at random."""
    total = 0.0
    environment.action_space.seed(0)
    for seed in range(EPISODES):
        observation, _ = environment.reset(seed=seed)
        for _ in range(STEPS):
            if policy is None:
                action = environment.action_space.sample()
            else:
                action = policy(observation[None])[0]
            observation, reward, terminated, truncated, _ = environment.step(action)
            total += float(reward)
            if terminated or truncated:
                break
    return total / EPISODES
