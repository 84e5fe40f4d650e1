"""What a run bought of its budget of further simulations, as values that survive JSON."""

import math

import numpy as np

from spaces.candidate import FrozenModel


class ReplayPoint(FrozenModel):
    """Errors of an emulator with a number of samples, on the validation split.

    Args:
        samples: Number of training samples.
        chosen: Errors where the rule chose the samples, one for each start.
        random: Errors where they were drawn at random, for the same starts.
    """

    samples: int
    chosen: tuple[float, ...]
    random: tuple[float, ...]


class Replay(FrozenModel):
    """The choice of inputs, tried on training samples whose outputs are known already.

    Args:
        emulator: Name of the emulator; "" if none could be fitted.
        method: How it measures its uncertainty, in words.
        points: Errors, fewest samples first.
    """

    emulator: str = ""
    method: str = ""
    points: tuple[ReplayPoint, ...] = ()

    @property
    def error_ratio(self) -> float | None:
        """Geometric mean of the error by the rule over that at random; None without a comparison.

        The first and the last point are left out: both ways have the same samples there.
        """
        ratios = [
            chosen / random
            for point in self.points[1:-1]
            for chosen, random in zip(point.chosen, point.random, strict=True)
            if chosen > 0.0 and random > 0.0 and math.isfinite(chosen) and math.isfinite(random)
        ]
        return float(np.exp(np.mean(np.log(ratios)))) if ratios else None

    @property
    def chooses(self) -> bool:
        """Whether the rule is better than random draws, so that the budget is spent by it."""
        ratio = self.error_ratio
        return ratio is not None and ratio < 1.0


class SimulationsPlan(FrozenModel):
    """How a budget is spent, as decided before its first simulation.

    Args:
        simulations: Number of simulations.
        sample_s: Measured time of the reference for one sample [s], where hours are the budget.
        replay: The comparison that decides whether inputs are chosen or drawn.
        replay_s: Time of the comparison [s].
    """

    simulations: int
    sample_s: float | None = None
    replay: Replay = Replay()
    replay_s: float = 0.0

    @property
    def choice(self) -> str:
        """How inputs were chosen in words, and the comparison that decided it."""
        ratio = self.replay.error_ratio
        if not self.replay.emulator:
            return "drawn at random, since no emulator could be fitted"
        if not self.replay.points:
            return "drawn at random, since there are too few training samples to compare both ways"
        if ratio is None:
            return "drawn at random, since no emulator could be fitted to a part of the samples"
        compared = f"an error {ratio:.2f} times that of random draws in the replay"
        if self.replay.chooses:
            by = f"the {self.replay.method} of the {self.replay.emulator}"
            return f"chosen by {by}, which had {compared}"
        return f"drawn at random, since the choice by the {self.replay.emulator} had {compared}"


class BoughtPoint(FrozenModel):
    """The emulator's error on the validation split with a number of training samples.

    Args:
        samples: Number of training samples.
        error: The error.
    """

    samples: int
    error: float


class SimulationsSummary(FrozenModel):
    """What was bought.

    Args:
        plan: How the budget was spent.
        bought: Number of samples that the training split gained.
        failed: Number of simulations that failed.
        duplicates: Number of samples that were there already.
        points: Errors of the emulator before each round and after the last; none without one.
        choice_s: Time in which the inputs were chosen, without the replay [s].
    """

    plan: SimulationsPlan
    bought: int
    failed: int
    duplicates: int = 0
    points: tuple[BoughtPoint, ...] = ()
    choice_s: float = 0.0

    @property
    def description(self) -> str:
        """What was bought, how it was chosen, and what it was worth to the emulator, in words."""
        left_out = {"failed": self.failed, "twice": self.duplicates}
        counts = ", ".join(f"{count} {reason}" for reason, count in left_out.items() if count)
        text = f"{self.bought} samples bought{f' ({counts})' if counts else ''}, {self.plan.choice}"
        if not self.points:
            return text
        before, after = self.points[0], self.points[-1]
        return (
            f"{text}; error of the {self.plan.replay.emulator} {before.error:.3g} with "
            f"{before.samples} training samples, {after.error:.3g} with {after.samples}; replay "
            f"and choice took {self.plan.replay_s + self.choice_s:.0f} s"
        )
