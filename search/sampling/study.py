"""The one Optuna study of a run: asks for candidates, is told how they ended.

The first candidates (the opening) are dealt so that every choice of the skeleton is tried; each
depends on the seed and its number alone. Later ones come from a sampler and depend on what was
measured, measured times included. So do the further deployments of a trained network, each of which
is a trial of its own.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from problems import Problem
from search.objectives.baselines import NO_BASELINES, BaselineScores
from search.objectives.goals import objective_values, penalty_values, study_values
from search.run.journal import JournalBackend
from search.run.records import NO_LIMITS, Limits, Record, State
from search.run.spec import SamplerName, Spec
from search.sampling.choices import (
    PartialFixedChooser,
    TrialChooser,
    to_parameter_values,
    uniform_sampler,
)
from search.sampling.configuration import Configuration
from search.sampling.history import FinishedTrial, History, Observations, combination_of
from search.sampling.initial_design import opening
from search.sampling.next_deployment import next_deployment
from search.sampling.next_network import NetworkSuggester, NetworkSuggestion
from search.sampling.samplers import resolve_sampler, sampler, tpe_sampler, uses_acquisition
from spaces.candidate import Candidate
from spaces.combinations import Combination
from spaces.space import Space, pruning_prefix

RETRY_OF = "again"
"""User attribute of a trial that takes up an abandoned one: that one's number."""

SOURCE_TRIAL = "training"
"""User attribute of a further deployment: the number of the trial that trained its network."""

RESUMES = "goes on with"
"""User attribute of a trial: the number of one that was stopped in training the same network."""

DEPLOYMENT_STREAM, ACQUISITION_STREAM, TPE_STREAM = 1, 2, 3
"""Seeds of deployments, of proposals and of TPE are drawn apart from those of candidates."""

MAX_TPE_ATTEMPTS = 8
"""So often TPE is asked, where it asks for what isn't worth training."""


class InterruptedTrial(NamedTuple):
    """A trial that was cut off before it ended, perhaps before all its parameters were asked."""

    number: int
    position: int
    parameters: dict[str, object]
    training: int | None = None
    """The trial that trained its network, where it is a further deployment."""
    resumes: int | None = None
    """The trial that was stopped in training its network, where it goes on with that."""


class SearchStudy:
    """Asks and tells; the driver's process is the journal's only writer.

    Args:
        journal: Where it is kept.
        problem: What is replaced.
        spec: What is asked for.
        limits: Goals, told as constraints.
        rivals: What is to be bettered.
    """

    def __init__(
        self,
        journal: Path,
        problem: Problem,
        spec: Spec,
        limits: Limits = NO_LIMITS,
        baselines: BaselineScores = NO_BASELINES,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._journal = JournalBackend(journal)
        self._problem, self._spec, self._limits = problem, spec, limits
        self._rivals = baselines
        self._space = Space(problem, spec.restrictions)
        self._opening = opening(self._space, spec.seed, spec.opening)
        self._open: dict[int, Trial] = {}
        self._records: dict[int, Record] = {}
        self._known: dict[int, Configuration] = {}
        self._study = optuna.create_study(
            storage=JournalStorage(self._journal),
            study_name="simstead",
            directions=[StudyDirection.MINIMIZE for _ in penalty_values(spec.extra_objectives)],
            load_if_exists=True,
        )
        self._journal.flush()
        self._asked = 0
        self.position = 0
        """How many candidates were dealt; an interrupted one is dealt again and counts once."""
        self._count()

    def _count(self) -> None:
        """Count what the journal holds; every ask counts on from there."""
        trials = self._study.get_trials(deepcopy=False)
        self._asked = len(trials)
        self.position = sum(_is_new_network(trial.user_attrs) for trial in trials)

    @property
    def in_initial_design(self) -> bool:
        """Whether the next candidate is given or dealt, whatever was found."""
        return self.position < len(self._spec.first) + len(self._opening)

    def interrupted_trials(self, records: Mapping[int, Record]) -> list[InterruptedTrial]:
        """Close what an earlier driver left open; return what was not tried and not asked again.

        A trial whose record is on disk was finished: it is told now. Without a record it is told as
        failed, and stands here until its parameters are asked for again.
        """
        self._reserve_numbers(records)
        self._records |= records
        for frozen in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self._open_trial(frozen)
            if frozen.number in records:
                self.tell(records[frozen.number])
        self.close()
        trials = self._study.get_trials(deepcopy=False)
        positions: dict[int, int] = {}
        dealt = 0
        for trial in trials:
            if RETRY_OF in trial.user_attrs:
                positions[trial.number] = positions[trial.user_attrs[RETRY_OF]]
            else:
                positions[trial.number] = dealt
                dealt += _is_new_network(trial.user_attrs)
        asked_again = {trial.user_attrs.get(RETRY_OF) for trial in trials}
        return [
            InterruptedTrial(
                trial.number,
                positions[trial.number],
                dict(trial.params),
                trial.user_attrs.get(SOURCE_TRIAL),
                trial.user_attrs.get(RESUMES),
            )
            for trial in trials
            if trial.state is TrialState.FAIL
            and trial.number not in asked_again
            and trial.number not in records
        ]

    def _reserve_numbers(self, records: Mapping[int, Record]) -> None:
        """Have no number asked again whose record is on disk, where a journal has lost its end."""
        for number in range(self._asked, max(records, default=-1) + 1):
            trial = self._study.ask()
            if number in records and records[number].training is not None:
                trial.set_user_attr(SOURCE_TRIAL, records[number].training)
            self._study.tell(trial, state=TrialState.FAIL)
        self._count()

    def close(self) -> None:
        """Tell every trial that is still open as failed: none stays running."""
        for number in list(self._open):
            self._study.tell(number, state=TrialState.FAIL)
            del self._open[number]
        self._journal.flush()

    def ask(self, interrupted: InterruptedTrial | None = None) -> tuple[int, Candidate]:
        """Return the next candidate and its number, or an abandoned one under a new number."""
        if interrupted is None:
            return self._next(self.position, {}, {})
        if interrupted.training is None:
            attributes = {RETRY_OF: interrupted.number} | _resume_attribute(interrupted.resumes)
            return self._next(interrupted.position, interrupted.parameters, attributes)
        known = {**self._training_parameters(interrupted.training), **interrupted.parameters}
        attributes = {SOURCE_TRIAL: interrupted.training, RETRY_OF: interrupted.number}
        return self._ask_fixed(known, self._seed(interrupted.number, DEPLOYMENT_STREAM), attributes)

    def resumes(self, number: int) -> int | None:
        """Return the trial that was stopped in training a trial's network, if one was."""
        return self._study.get_trials(deepcopy=False)[number].user_attrs.get(RESUMES)

    def ask_deployment(self, of: Record) -> tuple[int, Candidate] | None:
        """Return another deployment of a network that a trial trained; None: none is promising."""
        combination_space, own = self._space.combination_space, combination_of(of)
        trials = self._study.get_trials(deepcopy=False)
        if not trials[of.number].params:  # the journal has lost them
            return None
        before = [
            combination_space.combination(trial.params)
            for trial in trials
            if trial.user_attrs.get(SOURCE_TRIAL) == of.number
            and trial.state is not TrialState.FAIL
        ]
        combinations = [
            c
            for c in combination_space.combinations
            if c[:2] == own[:2] and c not in (own, *before)
        ]
        seed = self._seed(len(trials), DEPLOYMENT_STREAM)
        chosen = next_deployment(of, combinations, self._found(), np.random.default_rng(seed))
        if chosen is None:
            return None
        known = {**self._training_parameters(of.number), **combination_space.parameters(chosen)}
        return self._ask_fixed(known, seed, {SOURCE_TRIAL: of.number})

    def front_networks(self) -> set[int]:
        """Return the trials that trained a network which no other one, and no baseline, beats."""
        return self._found().front_networks

    def _found(self) -> History:
        records = [self._records[number] for number in sorted(self._records)]
        points = [
            objective_values(self._problem, r)[:2] for r in records if r.state is State.COMPLETE
        ]
        objective = self._problem.objective.name
        return History(records, points, objective, self._rivals, self._limits)

    def _trials(self, history: History) -> Observations:
        trials = self._study.get_trials(deepcopy=False)

        def known(number: int, combination: Combination) -> Configuration:
            return Configuration(
                to_parameter_values(trials[number].params, trials[number].distributions),
                combination,
            )

        for each in history.records:
            if each.number not in self._known:
                self._known[each.number] = known(each.number, combination_of(each))
        ended = [FinishedTrial(self._known[each.number], each) for each in history.records]
        pending = [
            known(number, self._space.combination_space.combination(trials[number].params))
            for number in sorted(self._open)
            if SOURCE_TRIAL not in trials[number].user_attrs
        ]
        return Observations(ended, pending)

    def _suggestion(self, position: int) -> NetworkSuggestion | None:
        """Return the network that is asked for at a position, where no sampler is asked for it."""
        asking = resolve_sampler(self._spec.sampler, self._asked)
        weighs = uses_acquisition(self._spec.sampler, position, self._asked)
        if not weighs and asking is not SamplerName.TPE:
            return None
        history = self._found()
        proposing = NetworkSuggester(self._space, self._spec, self._trials(history), history)
        rng = np.random.default_rng(self._seed(position, ACQUISITION_STREAM))
        wanted = proposing.suggest_by_acquisition(rng) if weighs else None
        if wanted or asking is not SamplerName.TPE:
            return wanted
        seeds = (self._seed(position, TPE_STREAM, turn) for turn in range(MAX_TPE_ATTEMPTS))
        return proposing.suggest_by_tpe((tpe_sampler(self._study, seed) for seed in seeds), rng)

    def _next(
        self, position: int, known: Mapping[str, object], attributes: Mapping[str, int]
    ) -> tuple[int, Candidate]:
        """Ask for the candidate at a position, of which some parameters may be known."""
        first = self._spec.first
        dealt = position - len(first)
        if position < len(first):
            known = {**first[position], **known}
        elif dealt < len(self._opening):
            known = {**self._space.combination_space.parameters(self._opening[dealt]), **known}
        wanted = None if known else self._suggestion(position)
        if wanted:
            known = wanted.parameters
            attributes = {**attributes, **_resume_attribute(wanted.resumes)}
        asking = resolve_sampler(self._spec.sampler, self._asked)
        if known or asking is SamplerName.RANDOM:
            return self._ask_fixed(known, self._seed(position), attributes)
        self._study.sampler = sampler(asking, self._seed(position))
        trial = self._study.ask()
        for attribute, value in attributes.items():
            trial.set_user_attr(attribute, value)
        self._open[trial.number] = trial
        self._counted(attributes)
        candidate = self._space.choose_candidate(
            self._spec.size, TrialChooser(trial), self._spec.seed
        )
        self._journal.flush()
        return trial.number, candidate

    def _counted(self, attributes: Mapping[str, object]) -> None:
        self._asked += 1
        self.position += _is_new_network(attributes)

    def _ask_fixed(
        self, known: Mapping[str, object], seed: int, attributes: Mapping[str, int]
    ) -> tuple[int, Candidate]:
        """Ask for a candidate of which some parameters are known, and others drawn at random."""
        choice = PartialFixedChooser(known, uniform_sampler(np.random.default_rng(seed)))
        candidate = self._space.choose_candidate(self._spec.size, choice, self._spec.seed)
        self._study.add_trial(
            create_trial(
                state=TrialState.RUNNING,
                params=dict(choice.values),
                distributions=choice.distributions,
                user_attrs=dict(attributes),
            )
        )
        frozen = self._study.get_trials(deepcopy=False)[-1]
        self._open_trial(frozen)
        self._counted(attributes)
        self._journal.flush()
        return frozen.number, candidate

    def _open_trial(self, frozen: FrozenTrial) -> None:
        """Have a stored trial be one that can be told: Optuna has no public way back to it."""
        self._open[frozen.number] = Trial(self._study, frozen._trial_id)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]

    def _training_parameters(self, number: int) -> dict[str, object]:
        """Return the parameters of a trial that made its trained network what it is."""
        asked = self._study.get_trials(deepcopy=False)[number].params
        combination = self._space.combination_space.combination(asked)
        deployment = list(self._space.combination_space.parameters(combination))[2:]
        pruned = f"{pruning_prefix(combination.architecture, combination.pruning)}."
        return {
            name: value
            for name, value in asked.items()
            if name not in deployment and not name.startswith(pruned)
        }

    def tell(self, record: Record) -> None:
        """Tell how a trial ended; one that was stopped has no objectives, only its rungs."""
        trial = self._open.pop(record.number)
        self._records[record.number] = record
        trial.set_user_attr("rungs", [rung.model_dump() for rung in record.rungs])
        if record.state is State.PRUNED:
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            figures = study_values(self._problem, record, self._limits, self._spec.extra_objectives)
            known = trial.constraints
            for name, value in figures.constraints.items():
                if name not in known:  # a driver may have been killed in the middle of this
                    trial.set_constraint(name, value)
            self._study.tell(trial, figures.objective_values)
        self._journal.flush()

    def _seed(self, *position: int) -> int:
        sequence = np.random.SeedSequence([self._spec.seed, *position])
        return int(sequence.generate_state(1)[0])


def _resume_attribute(stopped: int | None) -> dict[str, int]:
    """Return the attribute of a trial that goes on with another, if it does."""
    return {} if stopped is None else {RESUMES: stopped}


def _is_new_network(attributes: Mapping[str, object]) -> bool:
    """Return whether a trial's candidate was neither asked before nor deploys another's network."""
    return RETRY_OF not in attributes and SOURCE_TRIAL not in attributes
