"""Encodings of policies: a network acts step by step, so that a system follows the reference."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from problems.interfaces.types import Array, Encoding, Layout, Pairs, Split, Target

if TYPE_CHECKING:
    import gymnasium

POLICIES_EXTRA = "policies"
"""The project's extra that installs the libraries for environments and RL training."""


@dataclass(frozen=True, eq=False)
class PolicyEncoding(Encoding):
    """A policy: observations (b, c) -> actions (b, o) in [-1, 1], found by RL training.

    `apply` starts from the state in the inputs. At every step it calls the network for an action,
    clips the action (a quantised network may exceed 1 by rounding) and advances the system as a
    step of the environment does. The environment should be a separate module that is imported in
    the method `environment`, since gymnasium is an optional dependency that deployed surrogates
    don't need.
    """

    layout: ClassVar[Layout] = Layout.FLAT
    target: ClassVar[Target] = Target.POLICY

    @abstractmethod
    def environment(self, split: Split) -> "gymnasium.Env[Array, Array]":
        """Return the environment for RL training; an episode follows one sample of the split.

        `reset` draws the sample from the generator of the environment (`np_random`), so that a
        seed reproduces it. The observation space is a `Box` (c,), the action space a `Box` (o,)
        from -1 to 1, both float32; observations are scaled as in `pairs`. A contract check runs
        `gymnasium.utils.env_checker.check_env` on the environment.

        The reward of a step measures how close the state is to the reference at that time. It
        should be positive, largest where they agree, and decrease smoothly over the error that is
        acceptable, as exp(-(distance / scale)**2) does. The horizon truncates an episode. An
        episode that has diverged may terminate; rewards must not be negative then, or termination
        would be a gain. Training is much faster if episodes start anywhere in the first half of
        the path and terminate on divergence (Peng et al., ACM Trans. Graph. 37 (2018) 143).

        Args:
            split: The samples to follow.
        """

    @abstractmethod
    def pairs(self, split: Split) -> Pairs:
        """Return observations (n, c) along the reference and the ideal actions (n, o).

        Steps at which the ideal action is unknown or outside [-1, 1] are left out. RL training
        takes only the shapes from these pairs; quantisation is calibrated with them.
        """
