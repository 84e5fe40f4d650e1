"""Encodings in which a network acts: step by step it steers a system along the reference's path."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from problems.interfaces.types import Array, Encoding, Layout, Pairs, Split, Target

if TYPE_CHECKING:
    import gymnasium

POLICIES_EXTRA = "policies"
"""The extra that brings what environments and their learners are made with."""


@dataclass(frozen=True, eq=False)
class PolicyEncoding(Encoding):
    """Observations (b, c) -> actions (b, o), each within [-1, 1]; learned by acting.

    `apply` starts where the inputs say, asks the network for an action at every step, clips it (a
    quantised network may round beyond 1) and moves the system as a step of the environment does.
    The environment is a module of its own, imported in `environment`: gymnasium is an extra, and
    deployed surrogates do without it.
    """

    layout: ClassVar[Layout] = Layout.FLAT
    target: ClassVar[Target] = Target.POLICY

    @abstractmethod
    def environment(self, split: Split) -> "gymnasium.Env[Array, Array]":
        """Return where a policy practises: every episode follows one sample of the split.

        `reset` draws the sample from the environment's own generator (`np_random`), so that a seed
        repeats it. It observes a `Box` (c,) and is acted upon in a `Box` (o,) from -1 to 1, both
        float32; observations are scaled as in `pairs`. That it passes gymnasium's own checker,
        `gymnasium.utils.env_checker.check_env`, is a law of `problems.contract`.

        A step's reward is how close the state is to the reference's at that time: above zero,
        largest where they agree, falling smoothly within the error that is wanted, as
        exp(-(distance / scale)**2) does. The horizon truncates an episode; one whose path is lost
        may terminate, which no reward below zero must make a gain. Episodes that begin anywhere in
        the first half of the path and end where it is lost teach much sooner than whole ones (Peng
        et al., ACM Trans. Graph. 37 (2018) 143).
        """

    @abstractmethod
    def pairs(self, split: Split) -> Pairs:
        """Return observations along the reference's path and a perfect policy's actions there.

        Steps at which that action isn't known, or can't be taken, are left out. A family that
        learns by acting takes from them its shapes and what quantisation is calibrated with.
        """
