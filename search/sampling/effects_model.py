"""What is expected of a network: its error and its time, as draws from what was learned.

log10 of a network's error is taken as a sum of effects of its encoding, its family and its
settings, log10 of its time as one of its shape and its deployment. Both are learned of every
network, of those that were stopped at a rung too.

Sources: Thompson, Biometrika 25 (1933) 285; Chapelle & Li, NeurIPS 2011 (draws that are less bold);
Swersky et al., arXiv:1406.3896 (what a training that was stopped would come to).
"""

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from problems import Array, Scalar
from search.run.records import NO_ERROR, Record, State
from search.sampling.choices import Answer
from search.sampling.linear_model import Design, Effects, Observed, posterior_draw
from search.sampling.next_deployment import trained
from spaces.combinations import DIMENSIONS, Cell

ANY = 3.0
CHOICE, COMBINED, SETTING, PECULIAR = 0.6, 0.5, 0.3, 0.2
"""Standard deviations of effects on the error, in powers of ten: of anything, of an encoding or a
family, of both together, of a setting, of what a setting of training does to one family."""

SHAPES = {"encoding": 1.0, "architecture": 0.7, "runtime": 0.5, "family": 0.3, "setting": 0.4}
"""Standard deviations of effects on the time, in powers of ten."""

NOISE, AT_RUNG, FAILED = 0.1, 0.2, 0.5
"""Powers of ten by which a network's error departs from the sum: trained to the end, at a rung, or
failed, which counts as ten times the worst error. What departs at the end is the network's own, and
is there at its rungs as well."""

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


class Stopped(NamedTuple):
    """A network as it was at the rung where it was stopped.

    Args:
        number: The trial's.
        known: What is known of it.
        share: How much of its training was done.
        error: log10 of its error there.
    """

    number: int
    known: Known
    share: float
    error: float


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

    def at_rungs(self) -> dict[Lesson, Stopped]:
        """Return the networks that were stopped, as they were last.

        Those of which a journal has lost what they are can't be asked for again.
        """
        found: dict[Lesson, Stopped] = {}
        for known, record in self.ended:
            stopped = record.state is State.PRUNED and known.answers
            for share, error in _at_rungs(record)[-1:] if stopped else ():
                found[known.lesson] = Stopped(record.number, known, share, error)
        return found

    def stopped(self) -> dict[Lesson, Stopped]:
        """Return those of them that may be gone on with: none was tried again."""
        last = {known.lesson: record.number for known, record in self.ended}
        busy = {each.lesson for each in self.underway}
        return {
            lesson: each
            for lesson, each in self.at_rungs().items()
            if lesson not in busy and last[lesson] == each.number
        }


def errors_of(
    wanted: Sequence[Known], trials: Trials, rng: np.random.Generator, boldness: float
) -> Array:
    """Return log10 of the errors of networks trained to the end (n,), as drawn.

    Args:
        wanted: The networks.
        trials: What is learned from.
        rng: Draws the effects.
        boldness: Standard deviations that a draw spreads over.
    """
    before = trials.at_rungs()
    again = [i for i, each in enumerate(wanted) if each.lesson in before]
    came = [before[wanted[i].lesson] for i in again]
    sums = [_after(each, 1.0) for each in wanted]
    sums += [_after(each.known, each.share) for each in came]
    drawn, there = np.split(_drawn(sums, _errors(trials), rng, boldness), [len(wanted)])
    # Of what a network departs by at a rung so much is its own, and stays with it to the end.
    own = np.zeros(len(wanted))
    own[again] = (NOISE / AT_RUNG) ** 2
    departed = np.zeros(len(wanted))
    departed[again] = np.array([each.error for each in came]) - there
    spread = boldness * NOISE * np.sqrt(1.0 - own)
    return drawn + own * departed + spread * rng.standard_normal(len(wanted))


def times_of(
    wanted: Sequence[Known], trials: Trials, rng: np.random.Generator, boldness: float
) -> Array:
    """Return log10 of networks' times over the reference's (n,), as drawn.

    Args:
        wanted: The networks, in their deployments.
        trials: What is learned from.
        rng: Draws the effects.
        boldness: Standard deviations that a draw spreads over.
    """
    return _drawn([each.of_time for each in wanted], _times(trials), rng, boldness)


class _Seen(NamedTuple):
    """Sums of effects, what was found of each, and how well that is known."""

    effects: list[Effects]
    found: list[float]
    noise: list[float]


def _errors(trials: Trials) -> _Seen:
    """Return what is known of errors: those of one network, at its rungs and its end, all count.

    Those that were stopped are the worse ones: without the rungs of the others a rung would seem to
    be worse than it is, and the end better.
    """
    seen = _Seen([], [], [])
    gone_on_with = {record.goes_on_with for _, record in trials.ended}
    networks = [
        each
        for each in trials.ended
        if each.record.training is None and each.record.number not in gone_on_with
    ]
    ends = [_at_end(record) for _, record in networks]
    rungs = [error for _, record in networks for _, error in _at_rungs(record)]
    worst = max((*rungs, *(end for end in ends if end is not None)), default=0.0)
    for (known, record), end in zip(networks, ends, strict=True):
        learned = [(share, error, AT_RUNG) for share, error in _at_rungs(record)]
        if end is not None:
            learned.append((1.0, end, NOISE))
        elif not record.too_slow and (record.state is not State.PRUNED or not learned):
            learned.append((1.0, worst + 1.0, FAILED))
        for share, error, noise in learned:
            seen.effects.append(_after(known, share))
            seen.found.append(error)
            seen.noise.append(noise)
    return seen


def _times(trials: Trials) -> _Seen:
    seen = _Seen([], [], [])
    for known, record in trials.ended:
        timing = record.timing
        measured = timing.relative_time if timing else record.untrained_relative_time
        if measured is not None:
            seen.effects.append(known.of_time)
            seen.found.append(math.log10(measured))
            seen.noise.append(NOISE)
    return seen


def _at_end(record: Record) -> float | None:
    """Return log10 of a network's error once it was trained, if it was."""
    error = record.unpruned_error
    return math.log10(max(error, NO_ERROR)) if error is not None and math.isfinite(error) else None


def _at_rungs(record: Record) -> list[tuple[float, float]]:
    """Return log10 of a network's error after some shares of its training."""
    return [
        (rung.share, math.log10(max(rung.error, NO_ERROR)))
        for rung in record.rungs
        if math.isfinite(rung.error)
    ]


def _after(known: Known, share: float) -> Effects:
    """Return the effects that add up to a network's error after a share of its training.

    Families learn at paces of their own.
    """
    of_family = ("share", share, known.cell.architecture)
    return {**known.of_error, ("share", share): SETTING, of_family: PECULIAR}


def _of_setting(name: Hashable, answer: Answer, spread: float) -> dict[Hashable, float]:
    """Return a setting's effects: of a choice its own, of a number a slope and a bend."""
    if answer.place is None:
        return {(name, str(answer.value)): spread}
    return {(name, "slope"): spread * answer.place, (name, "bend"): spread * answer.place**2}


def _drawn(
    wanted: Sequence[Effects], seen: _Seen, rng: np.random.Generator, boldness: float
) -> Array:
    """Return sums of effects (n,), which are drawn given the sums that were found."""
    design = Design([*seen.effects, *wanted])
    spread = np.ones(len(design.names))
    observed = Observed(design.rows(seen.effects), np.array(seen.found), np.array(seen.noise))
    effects = posterior_draw(observed, spread, rng, boldness)
    return design.rows(wanted) @ effects
