"""The one Optuna study of a run: asks for candidates, is told how they ended.

The first candidates (the opening) are dealt so that every choice of the skeleton is tried; each
depends on the seed and its number alone. Later ones come from a sampler and depend on what was
measured, measured times included.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import optuna
from optuna.samplers import BaseSampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import Trial, TrialState

from problems import Problem
from problems.core import Option
from search.opening import opening
from search.records import NO_ERROR, NO_LIMITS, Limits, Record, Spec, State
from search.samplers import fixed, sampler
from spaces.candidate import Candidate
from spaces.skeleton import Cell
from spaces.space import Space

PENALTY = (3.0, 3.0)
"""log10 of error and relative time that a failure is told with: the sampler learns to avoid it."""


AGAIN = "again"
"""User attribute of a trial that takes up an abandoned one: that one's number."""


class Abandoned(NamedTuple):
    """A trial that was cut off before it ended, perhaps before all its parameters were asked."""

    number: int
    position: int
    parameters: dict[str, object]


@dataclass(frozen=True)
class TrialChoice:
    """Answers an encoding's or family's questions by an Optuna trial."""

    trial: Trial

    def categorical(self, name: str, options: Sequence[Option]) -> Option:
        """Choose one of the options."""
        return cast("Option", self.trial.suggest_categorical(name, list(options)))

    def integer(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """Choose an integer in [low, high]."""
        return self.trial.suggest_int(name, low, high, step=step)

    def real(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Choose a real number in [low, high]."""
        return self.trial.suggest_float(name, low, high, log=log)


@dataclass(frozen=True)
class CellChoice:
    """Answers the skeleton's questions with a given cell, and notes the parameters' names."""

    cell: Cell
    parameters: dict[str, str] = field(default_factory=dict[str, str])

    def categorical(self, name: str, options: Sequence[Option]) -> Option:  # noqa: ARG002
        """Return the cell's own value: the last part of a skeleton's name is the cell's field."""
        answer = getattr(self.cell, name.rpartition(".")[2])
        self.parameters[name] = answer
        return answer

    def integer(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """Refuse: the skeleton is categorical."""
        raise NotImplementedError(name)

    def real(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Refuse: the skeleton is categorical."""
        raise NotImplementedError(name)


class Study:
    """Asks and tells; the driver's process is the journal's only writer."""

    def __init__(
        self, journal: Path, problem: Problem, spec: Spec, limits: Limits = NO_LIMITS
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        _repair(journal)
        self._problem, self._spec, self._limits = problem, spec, limits
        self._space = Space(problem, spec.narrowing)
        self._opening = opening(self._space, spec.seed, spec.opening)
        self._open: dict[int, Trial] = {}
        self._study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(journal))),
            study_name="simstead",
            directions=["minimize", "minimize"],
            load_if_exists=True,
        )

    @property
    def position(self) -> int:
        """How many candidates were dealt; an interrupted one is dealt again and counts once."""
        trials = self._study.get_trials(deepcopy=False)
        return len(trials) - sum(AGAIN in trial.user_attrs for trial in trials)

    def abandoned(self, records: Mapping[int, Record]) -> list[Abandoned]:
        """Close what an earlier driver left open; return what was not tried and not asked again.

        A trial whose record is on disk was finished: it is told now. Without a record it is told as
        failed, and stands here until its parameters are asked for again.
        """
        for frozen in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            # Optuna has no public way back from a stored trial to one that can be told.
            self._open[frozen.number] = Trial(self._study, frozen._trial_id)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
            if frozen.number in records:
                self.tell(records[frozen.number])
        self.close()
        trials = self._study.get_trials(deepcopy=False)
        positions: dict[int, int] = {}
        dealt = 0
        for trial in trials:
            if AGAIN in trial.user_attrs:
                positions[trial.number] = positions[trial.user_attrs[AGAIN]]
            else:
                positions[trial.number] = dealt
                dealt += 1
        asked_again = {trial.user_attrs.get(AGAIN) for trial in trials}
        return [
            Abandoned(trial.number, positions[trial.number], dict(trial.params))
            for trial in trials
            if trial.state is TrialState.FAIL and trial.number not in asked_again
        ]

    def close(self) -> None:
        """Tell every trial that is still open as failed: none stays running."""
        for number in list(self._open):
            self._study.tell(number, state=TrialState.FAIL)
            del self._open[number]

    def ask(self, again: Abandoned | None = None) -> tuple[int, Candidate]:
        """Return the next candidate and its number, or an abandoned one under a new number."""
        if again:
            self._study.sampler = self._sampler(again.position, again.parameters)
        else:
            self._study.sampler = self._sampler(self.position, {})
        trial = self._study.ask()
        if again:
            trial.set_user_attr(AGAIN, again.number)
        self._open[trial.number] = trial
        candidate = self._space.compose(self._spec.size, TrialChoice(trial), self._spec.seed)
        return trial.number, candidate

    def tell(self, record: Record) -> None:
        """Tell how a trial ended, with each goal as a constraint: above zero it is missed.

        A failure is infeasible at a penalty, so that it is learned.
        """
        trial = self._open.pop(record.number)
        trial.set_user_attr("key", record.key)
        trial.set_user_attr("rungs", [rung.model_dump() for rung in record.rungs])
        failed = record.state is State.INFEASIBLE
        if record.state is State.PRUNED:
            self._study.tell(trial, state=TrialState.PRUNED)
            return
        trial.set_constraint("failure", 1.0 if failed else -1.0)
        if failed:
            for goal in self._limits.shortfalls(1.0, 1.0):
                trial.set_constraint(goal, 1.0)
            self._study.tell(trial, PENALTY)
            return
        for goal, missed in self._limits.shortfalls(*measured(self._problem, record)).items():
            trial.set_constraint(goal, missed)
        self._study.tell(trial, objectives(self._problem, record))

    def _sampler(self, position: int, known: Mapping[str, object]) -> BaseSampler:
        seed = int(np.random.SeedSequence([self._spec.seed, position]).generate_state(1)[0])
        if position < len(self._opening):
            dealt = CellChoice(self._opening[position])
            self._space.skeleton.choose(dealt)
            known = {**dealt.parameters, **known}
        if known:
            return fixed(known, seed)
        return sampler(self._spec.sampler, position, seed)


def measured(problem: Problem, record: Record) -> tuple[float, float]:
    """Return a complete trial's error and speed-up."""
    if record.timing is None:
        raise ValueError(f"trial {record.number} was not measured")
    return record.metrics[problem.objective.name], record.timing.speedup


def objectives(problem: Problem, record: Record) -> tuple[float, float]:
    """Return what the study makes small: log10 of the error and of the relative time."""
    error, speedup = measured(problem, record)
    return math.log10(max(error, NO_ERROR)), math.log10(1.0 / speedup)


def _repair(journal: Path) -> None:
    """Cut a torn last line, left by a driver killed while writing: Optuna can't go on with it."""
    if not journal.exists():
        return
    data = journal.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    while whole:
        last = whole[:-1].rfind(b"\n") + 1
        try:
            json.loads(whole[last:])
            break
        except ValueError:
            whole = whole[:last]
    if whole != data:
        with journal.open("r+b") as file:
            file.truncate(len(whole))
