"""Which network to try next: of many that are proposed, the one that promises most.

log10 of a network's error is taken as a sum of effects of its encoding, its family and its
settings, log10 of its time as one of its shape and its deployment. Both are learned of every
network, of those that were stopped at a rung too; a draw from what is believed of the effects tells
what each proposal would add to the front. What no sum shows is left to other samplers.

What other workers are at is taken for found, by the same draw, lest two be after the same.

Sources: Thompson, Biometrika 25 (1933) 285; Chapelle & Li, NeurIPS 2011 (draws that are less bold);
Snoek et al., NeurIPS 2012; Ginsbourger et al., in: Computational Intelligence in Expensive
Optimization Problems (Springer 2010) 131 (believing what is underway).
"""

import math
from collections import defaultdict
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from problems import Array, Scalar
from search.choosing import Answer
from search.deploying import Found, lowered_sooner_than_trained, not_hopeless, trained
from search.fronts import front, hypervolume
from search.records import NO_ERROR, Limits, Record, State
from search.regression import Design, Effects, Observed, posterior_draw
from spaces.skeleton import DIMENSIONS, Cell

PROPOSALS = 128
"""Drawn at random, for each network that is asked for."""

BOLDNESS = 0.3
"""Standard deviations that a draw spreads over: whole ones explore for longer than a search lasts
(0.22 in place of 0.18 of the time of 100 trials in benchmarks/search_efficiency.py)."""

ANY = 3.0
CHOICE, COMBINED, SETTING, PECULIAR = 0.6, 0.5, 0.3, 0.2
"""Standard deviations of effects on the error, in powers of ten: of anything, of an encoding or a
family, of both together, of a setting, of what a setting of training does to one family."""

SHAPES = {"encoding": 1.0, "architecture": 0.7, "runtime": 0.5, "family": 0.3, "setting": 0.4}
"""Standard deviations of effects on the time, in powers of ten."""

MARGIN = 0.5
"""Powers of ten between the worst that was found and the corner up to which area is counted: what
may be worse still in one is wanted only if it is better in the other, and a failure isn't."""

NOISE, AT_RUNG, FAILED = 0.1, 0.2, 0.5
"""Powers of ten by which a network's error departs from the sum: trained to the end, stopped at a
rung, or failed, which counts as ten times the worst error."""


Lesson = frozenset[tuple[str, Scalar]]
"""The parameters that decide a network once it is trained: all but those of its deployment."""


@dataclass(frozen=True)
class Known:
    """A candidate by its answers.

    Args:
        answers: By the names of the parameters.
        cell: What of the skeleton it is.
    """

    answers: Mapping[str, Answer]
    cell: Cell

    @cached_property
    def _by_branch(self) -> dict[str, dict[str, Answer]]:
        found: dict[str, dict[str, Answer]] = defaultdict(dict)
        for name, answer in self.answers.items():
            branch, _, last = name.rpartition(".")
            if last not in DIMENSIONS:
                found[branch][name] = answer
        return found

    def settings(self, *branches: str) -> dict[str, Answer]:
        """Return the answers on some branches, without the skeleton's and those further out."""
        known = self._by_branch
        return {n: answer for each in branches for n, answer in known.get(each, {}).items()}

    @cached_property
    def lesson(self) -> Lesson:
        """What the network is taught, and by which encoding."""
        cell = self.cell
        settings = self.settings(cell.encoding, cell.architecture, "training")
        chosen: dict[str, Scalar] = {"encoding": cell.encoding, "architecture": cell.architecture}
        return frozenset((chosen | {n: answer.value for n, answer in settings.items()}).items())

    @cached_property
    def of_error(self) -> Effects:
        """The effects that add up to the network's error once it is trained."""
        cell = self.cell
        effects: dict[Hashable, float] = {
            "any": ANY,
            ("encoding", cell.encoding): CHOICE,
            ("architecture", cell.architecture): CHOICE,
            ("both", cell.encoding, cell.architecture): COMBINED,
        }
        training = self.settings("training")
        for name, answer in (self.settings(cell.encoding, cell.architecture) | training).items():
            effects |= _of_setting(name, answer, SETTING)
        for name, answer in training.items():
            effects |= _of_setting((cell.architecture, name), answer, PECULIAR)
        return effects

    @cached_property
    def of_time(self) -> Effects:
        """The effects that add up to the network's time."""
        cell = self.cell
        deployment = (cell.runtime, cell.precision)
        effects: dict[Hashable, float] = {
            "any": ANY,
            ("encoding", cell.encoding): SHAPES["encoding"],
            ("architecture", cell.encoding, cell.architecture): SHAPES["architecture"],
            ("runtime", *deployment): SHAPES["runtime"],
            ("family", cell.architecture, *deployment): SHAPES["family"],
            ("pruning", cell.pruning): SHAPES["family"],
        }
        for name, answer in self.settings(cell.encoding, cell.architecture).items():
            effects |= _of_setting(name, answer, SHAPES["setting"])
        return effects


class Tried(NamedTuple):
    """A trial that ended."""

    known: Known
    record: Record


class Trials(NamedTuple):
    """What is learned from, and what is not worth trying twice.

    Args:
        ended: The trials that ended.
        underway: Networks that other workers are at.
    """

    ended: Sequence[Tried] = ()
    underway: Sequence[Known] = ()

    def lessons(self) -> set[Lesson]:
        """Return those that were taught, to a rung or to the end, or that are underway."""
        ended = (each for each in self.ended if each.record.rungs or trained(each.record))
        return {each.known.lesson for each in ended} | {each.lesson for each in self.underway}


def next_network(
    proposals: Sequence[Known],
    trials: Trials,
    found: Found,
    limits: Limits,
    rng: np.random.Generator,
) -> Known | None:
    """Return the proposal that promises most, or None where none promises anything.

    Args:
        proposals: What may be tried.
        trials: Those of the run.
        found: What those that ended found.
        limits: The problem's goals: what misses them adds nothing.
        rng: Draws the effects.
    """
    proposals = worth_training(proposals, trials, found)
    if not proposals or not found.points:
        return None
    ended, every = trials.ended, [*proposals, *trials.underway]
    drawn = np.stack([_errors(every, ended, rng), _times(every, ended, rng)], axis=1)
    drawn, expected = np.split(drawn, [len(proposals)])
    worst = found.corner(MARGIN)
    goals = (limits.error, None if limits.speedup is None else 1.0 / limits.speedup)
    worst = [
        min(own, math.log10(goal)) if goal else own for own, goal in zip(worst, goals, strict=True)
    ]
    best = front([*found.front, *expected.tolist()])
    gains = [hypervolume([*best, point], worst) for point in drawn]
    most = int(np.argmax(gains))
    return proposals[most] if gains[most] > hypervolume(best, worst) else None


def worth_training(
    proposals: Sequence[Known], trials: Trials, found: Found, runtimes: Collection[str] = ()
) -> list[Known]:
    """Leave out what is known already, what can't be deployed, and what is long in lowering.

    A network is lowered before it is trained, and most aren't trained to the end: a runtime that
    takes longer than a training waits for a network that is worth it.

    Args:
        proposals: What may be tried.
        trials: Those of the run.
        found: What those that ended found.
        runtimes: Those that there are, where the proposals don't show them all.
    """
    known = trials.lessons()
    usable = set(not_hopeless([each.cell for each in proposals], found.records))
    every = {*runtimes, *(each.cell.runtime for each in proposals)}
    quick = lowered_sooner_than_trained(every, found.records)
    return [
        each
        for each in proposals
        if each.cell in usable and each.cell.runtime in quick and each.lesson not in known
    ]


def _errors(proposals: Sequence[Known], tried: Sequence[Tried], rng: np.random.Generator) -> Array:
    """Return log10 of the proposals' errors (n,), as drawn."""
    seen: list[Effects] = []
    errors: list[float] = []
    noise: list[float] = []
    networks = [each for each in tried if each.record.training is None]
    known = [error for each in networks if (error := _error(each.record)) is not None]
    worst = max((error for _, error, _ in known), default=0.0)
    for each in networks:
        if each.record.too_slow:
            continue
        share, error, spread = _error(each.record) or (1.0, worst + 1.0, FAILED)
        seen.append(_after(each.known, share))
        errors.append(error)
        noise.append(spread)
    return _drawn([_after(each, 1.0) for each in proposals], seen, errors, noise, rng)


def _error(record: Record) -> tuple[float, float, float] | None:
    """Return after which share of training which log10 of error is known how well, if any is."""
    last = record.rungs[-1] if record.rungs else None
    if record.unpruned_error is not None and math.isfinite(record.unpruned_error):
        return 1.0, math.log10(max(record.unpruned_error, NO_ERROR)), NOISE
    if record.state is State.PRUNED and last is not None and math.isfinite(last.error):
        return last.share, math.log10(max(last.error, NO_ERROR)), AT_RUNG
    return None


def _after(known: Known, share: float) -> Effects:
    """Return the effects that add up to a network's error after a share of its training."""
    return {**known.of_error, ("share", share): SETTING}


def _of_setting(name: Hashable, answer: Answer, spread: float) -> dict[Hashable, float]:
    """Return a setting's effects: of a choice its own, of a number a slope and a bend."""
    if answer.place is None:
        return {(name, str(answer.value)): spread}
    return {(name, "slope"): spread * answer.place, (name, "bend"): spread * answer.place**2}


def _times(proposals: Sequence[Known], tried: Sequence[Tried], rng: np.random.Generator) -> Array:
    """Return log10 of the proposals' times over the reference's (n,), as drawn."""
    seen: list[Effects] = []
    times: list[float] = []
    for each in tried:
        timing = each.record.timing
        measured = timing.relative_time if timing else each.record.untrained_relative_time
        if measured is not None:
            seen.append(each.known.of_time)
            times.append(math.log10(measured))
    return _drawn([each.of_time for each in proposals], seen, times, [NOISE] * len(times), rng)


def _drawn(
    wanted: Sequence[Effects],
    seen: Sequence[Effects],
    found: Sequence[float],
    noise: Sequence[float],
    rng: np.random.Generator,
) -> Array:
    """Return sums of effects (n,), which are drawn given the sums that were found."""
    design = Design([*seen, *wanted])
    spread = np.ones(len(design.names))
    observed = Observed(design.rows(seen), np.array(found), np.array(noise))
    effects = posterior_draw(observed, spread, rng, BOLDNESS)
    return design.rows(wanted) @ effects
