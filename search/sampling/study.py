"""The Optuna study of a run: suggests candidates and stores how their trials ended.

The first candidates are those of a warm start and the initial design; they depend only on the seed
and their position. Later candidates come from a sampler and depend on what was measured, including
times. So do the further deployments of a trained network, each of which is a trial as well.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from problems import Problem, Scalar
from search.objectives.baselines import NO_BASELINES, BaselineScores
from search.objectives.goals import objective_values, penalty_values, study_values
from search.run.journal import JournalBackend
from search.run.records import NO_LIMITS, Limits, Record, State
from search.run.spec import SamplerName, Spec
from search.sampling.choices import (
    PartialFixedChooser,
    TrialChooser,
    preferring,
    to_parameter_values,
    uniform_sampler,
)
from search.sampling.configuration import Configuration
from search.sampling.history import FinishedTrial, History, Observations, combination_of
from search.sampling.initial_design import initial_design, preferred_parameters
from search.sampling.next_deployment import next_deployment
from search.sampling.next_network import NetworkSuggester, NetworkSuggestion
from search.sampling.pace import Pace
from search.sampling.samplers import (
    create_sampler,
    resolve_sampler,
    tpe_sampler,
    uses_acquisition,
)
from spaces.candidate import Candidate
from spaces.combinations import Combination
from spaces.space import Space, pruning_prefix

RETRY_OF = "again"
"""User attribute of a repeated trial: the number of the interrupted trial that it repeats."""

SOURCE_TRIAL = "training"
"""User attribute of a further deployment: the number of the trial that trained its network."""

RESUMES = "goes on with"
"""User attribute of a trial: the number of the trial whose stopped training it resumes."""

SUGGESTED_BY = "suggested by"
"""User attribute of a new network: what suggested it, the acquisition or TPE."""

DEPLOYMENT_STREAM, ACQUISITION_STREAM, TPE_STREAM = 1, 2, 3
"""Streams of random numbers beside that of candidates: deployments, proposals and TPE."""

NO_PREFERENCE: Mapping[str, Scalar] = {}

MAX_TPE_ATTEMPTS = 8
"""Suggestions of TPE that are tried, where they aren't worth training."""


class InterruptedTrial(NamedTuple):
    """A trial that was interrupted, possibly before all its parameters were suggested.

    Args:
        number: Number of the trial.
        position: Position of its candidate.
        parameters: The parameters suggested so far.
        training: The trial that trained its network, if it is a further deployment.
        resumes: The trial whose stopped training it resumes, if any.
    """

    number: int
    position: int
    parameters: dict[str, object]
    training: int | None = None
    resumes: int | None = None


class SearchStudy:
    """Suggests candidates and is told results; only the driver's process writes the journal.

    Args:
        journal: File of the journal.
        problem: The problem.
        spec: The specification of the run.
        limits: The problem's goals, which become constraints.
    """

    def __init__(
        self, journal: Path, problem: Problem, spec: Spec, limits: Limits = NO_LIMITS
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._journal = JournalBackend(journal)
        self._problem, self._spec, self._limits = problem, spec, limits
        self._baselines = NO_BASELINES
        self._space = Space(problem, spec.restrictions)
        self._initial_design = initial_design(self._space, spec.seed, spec.initial_design_size)
        self._open: dict[int, Trial] = {}
        self._records: dict[int, Record] = {}
        self._configurations: dict[int, Configuration] = {}
        self._pace = Pace(spec.workers)
        self._study = optuna.create_study(
            storage=JournalStorage(self._journal),
            study_name="simstead",
            directions=[StudyDirection.MINIMIZE for _ in penalty_values(spec.extra_objectives)],
            load_if_exists=True,
        )
        self._journal.flush()
        self._n_trials = 0
        self.position = 0
        """Number of new candidates so far; a repeated one is counted once."""
        self._count_stored()

    def compare_with(self, baselines: BaselineScores) -> None:
        """Suggest from now on what is better than these baselines."""
        self._baselines = baselines

    def _count_stored(self) -> None:
        """Set the counters to the trials in the journal."""
        trials = self._study.get_trials(deepcopy=False)
        self._n_trials = len(trials)
        self.position = sum(_is_new_network(trial.user_attrs) for trial in trials)

    @property
    def in_initial_design(self) -> bool:
        """Whether the next candidate belongs to the warm start or to the initial design."""
        return self.position < len(self._spec.warm_start) + len(self._initial_design)

    def set_workers(self, workers: int) -> None:
        """Set the number of workers, which changes as nodes come and go."""
        self._pace.workers = workers

    def interrupted_trials(self, records: Mapping[int, Record]) -> list[InterruptedTrial]:
        """Close the trials that an earlier driver left open; return those to be repeated.

        A trial whose record is on disk was finished and is told now. A trial without a record is
        told as failed, and is returned until a later trial repeats it.
        """
        self._reserve_numbers(records)
        self._records |= records
        for number in sorted(records):
            self._pace.ended(records[number])
        for frozen in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self._open_trial(frozen)
            if frozen.number in records:
                self.tell(records[frozen.number])
        self.close()
        trials = self._study.get_trials(deepcopy=False)
        positions: dict[int, int] = {}
        position = 0
        for trial in trials:
            if RETRY_OF in trial.user_attrs:
                positions[trial.number] = positions[trial.user_attrs[RETRY_OF]]
            else:
                positions[trial.number] = position
                position += _is_new_network(trial.user_attrs)
        repeated = {trial.user_attrs.get(RETRY_OF) for trial in trials}
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
            and trial.number not in repeated
            and trial.number not in records
        ]

    def _reserve_numbers(self, records: Mapping[int, Record]) -> None:
        """Reserve the numbers of all records, where the journal has lost its last lines."""
        for number in range(self._n_trials, max(records, default=-1) + 1):
            trial = self._study.ask()
            if number in records and records[number].training is not None:
                trial.set_user_attr(SOURCE_TRIAL, records[number].training)
            self._study.tell(trial, state=TrialState.FAIL)
        self._count_stored()

    def close(self) -> None:
        """Tell all open trials as failed, so that none stays running."""
        for number in list(self._open):
            self._study.tell(number, state=TrialState.FAIL)
            del self._open[number]
        self._journal.flush()

    def ask(self, interrupted: InterruptedTrial | None = None) -> tuple[int, Candidate]:
        """Return the number of a new trial and its candidate: the next one, or a repeated one.

        Args:
            interrupted: The trial to repeat, if any.
        """
        if interrupted is None:
            return self._ask_network(self.position, {}, {})
        if interrupted.training is None:
            attributes = {RETRY_OF: interrupted.number} | _resume_attribute(interrupted.resumes)
            return self._ask_network(interrupted.position, interrupted.parameters, attributes)
        parameters = {**self._training_parameters(interrupted.training), **interrupted.parameters}
        attributes = {SOURCE_TRIAL: interrupted.training, RETRY_OF: interrupted.number}
        seed = self._seed(interrupted.number, DEPLOYMENT_STREAM)
        return self._ask_fixed(parameters, seed, attributes)

    def resumes(self, number: int) -> int | None:
        """Return the trial whose stopped training a trial resumes, if any; the trial is running."""
        return self._open[number].user_attrs.get(RESUMES)

    def ask_deployment(self, trained: Record) -> tuple[int, Candidate] | None:
        """Return the number and candidate of a further deployment of a trial's network.

        Returns None where no further deployment has a positive sampled gain.
        """
        combination_space, combination = self._space.combination_space, combination_of(trained)
        trials = self._study.get_trials(deepcopy=False)
        if not trials[trained.number].params:  # missing in a damaged journal
            return None
        tried = [
            combination_space.combination(trial.params)
            for trial in trials
            if trial.user_attrs.get(SOURCE_TRIAL) == trained.number
            and trial.state is not TrialState.FAIL
        ]
        combinations = [
            c
            for c in combination_space.combinations
            if c[:2] == combination[:2] and c not in (combination, *tried)
        ]
        seed = self._seed(len(trials), DEPLOYMENT_STREAM)
        rng = np.random.default_rng(seed)
        deployment = next_deployment(trained, combinations, self._history(), rng)
        if deployment is None:
            return None
        parameters = {
            **self._training_parameters(trained.number),
            **combination_space.parameters(deployment),
        }
        return self._ask_fixed(parameters, seed, {SOURCE_TRIAL: trained.number})

    def front_networks(self) -> set[int]:
        """Return the trials that trained the networks on the front of trials and baselines."""
        return self._history().front_networks

    def _history(self) -> History:
        records = [self._records[number] for number in sorted(self._records)]
        points = [
            objective_values(self._problem, r)[:2] for r in records if r.state is State.COMPLETE
        ]
        objective = self._problem.objective.name
        history = History(records, points, objective, self._baselines, self._limits)
        return history.against_useful_baselines()

    def _observations(self, history: History) -> Observations:
        trials = self._study.get_trials(deepcopy=False)

        def configuration(number: int, combination: Callable[[], Combination]) -> Configuration:
            if number not in self._configurations:
                trial = trials[number]
                values = to_parameter_values(trial.params, trial.distributions)
                self._configurations[number] = Configuration(values, combination())
            return self._configurations[number]

        finished = [
            FinishedTrial(configuration(record.number, partial(combination_of, record)), record)
            for record in history.records
        ]
        combination_space = self._space.combination_space
        pending = [
            configuration(number, partial(combination_space.combination, trials[number].params))
            for number in sorted(self._open)
            if SOURCE_TRIAL not in trials[number].user_attrs
        ]
        return Observations(finished, pending)

    def _suggestion(self, position: int, *, with_care: bool) -> NetworkSuggestion | None:
        """Return the network suggested by acquisition or TPE; None where another sampler is due."""
        sampler = resolve_sampler(self._spec.sampler, self._n_trials, with_care=with_care)
        by_acquisition = uses_acquisition(
            self._spec.sampler, position, self._n_trials, with_care=with_care
        )
        if not by_acquisition and sampler is not SamplerName.TPE:
            return None
        with self._pace.measured():
            return self._suggestion_with_care(
                position, by_acquisition=by_acquisition, by_tpe=sampler is SamplerName.TPE
            )

    def _suggestion_with_care(
        self, position: int, *, by_acquisition: bool, by_tpe: bool
    ) -> NetworkSuggestion | None:
        history = self._history()
        observations = self._observations(history)
        suggester = NetworkSuggester(self._space, self._spec, observations, history)
        rng = np.random.default_rng(self._seed(position, ACQUISITION_STREAM))
        suggestion = suggester.suggest_by_acquisition(rng) if by_acquisition else None
        if suggestion or not by_tpe:
            return suggestion
        seeds = (self._seed(position, TPE_STREAM, attempt) for attempt in range(MAX_TPE_ATTEMPTS))
        return suggester.suggest_by_tpe((tpe_sampler(self._study, seed) for seed in seeds), rng)

    def _ask_network(
        self, position: int, parameters: Mapping[str, object], attributes: Mapping[str, int | str]
    ) -> tuple[int, Candidate]:
        """Open a trial of the candidate at a position, of which some parameters may be given."""
        warm_start = self._spec.warm_start
        index, preferred = position - len(warm_start), dict[str, Scalar]()
        if position < len(warm_start):
            parameters = {**warm_start[position], **parameters}
        elif index < len(self._initial_design):
            combination = self._initial_design[index]
            parameters = {**self._space.combination_space.parameters(combination), **parameters}
            preferred = preferred_parameters(self._problem, self._initial_design, index)
        with_care = bool(parameters) or self._pace.allows_care()
        suggestion = None if parameters else self._suggestion(position, with_care=with_care)
        if suggestion:
            parameters = suggestion.parameters
            resumed = _resume_attribute(suggestion.resumes)
            attributes = {**attributes, **resumed, SUGGESTED_BY: suggestion.source}
        sampler = resolve_sampler(self._spec.sampler, self._n_trials, with_care=with_care)
        if parameters or sampler is SamplerName.RANDOM:
            return self._ask_fixed(parameters, self._seed(position), attributes, preferred)
        self._study.sampler = create_sampler(sampler, self._seed(position))
        trial = self._study.ask()
        for attribute, value in attributes.items():
            trial.set_user_attr(attribute, value)
        self._open[trial.number] = trial
        self._count(attributes)
        candidate = self._space.choose_candidate(
            self._spec.size, TrialChooser(trial), self._spec.seed
        )
        self._journal.flush()
        return trial.number, candidate

    def _count(self, attributes: Mapping[str, object]) -> None:
        self._n_trials += 1
        self.position += _is_new_network(attributes)

    def _ask_fixed(
        self,
        parameters: Mapping[str, object],
        seed: int,
        attributes: Mapping[str, int | str],
        preferred: Mapping[str, Scalar] = NO_PREFERENCE,
    ) -> tuple[int, Candidate]:
        """Open a trial with given, or else preferred parameters; others are sampled uniformly."""
        sampler = preferring(preferred, uniform_sampler(np.random.default_rng(seed)))
        chooser = PartialFixedChooser(parameters, sampler)
        candidate = self._space.choose_candidate(self._spec.size, chooser, self._spec.seed)
        self._study.add_trial(
            create_trial(
                state=TrialState.RUNNING,
                params=dict(chooser.parameters),
                distributions=chooser.distributions,
                user_attrs=dict(attributes),
            )
        )
        frozen = self._study.get_trials(deepcopy=False)[-1]
        self._open_trial(frozen)
        self._count(attributes)
        self._journal.flush()
        return frozen.number, candidate

    def _open_trial(self, frozen: FrozenTrial) -> None:
        """Open a stored trial, so that it can be told; Optuna has no public way to do that."""
        self._open[frozen.number] = Trial(self._study, frozen._trial_id)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]

    def _training_parameters(self, number: int) -> dict[str, object]:
        """Return the parameters that decide the trained network of a trial."""
        parameters = self._study.get_trials(deepcopy=False)[number].params
        combination = self._space.combination_space.combination(parameters)
        deployment = list(self._space.combination_space.parameters(combination))[2:]
        pruning = f"{pruning_prefix(combination.architecture, combination.pruning)}."
        return {
            name: value
            for name, value in parameters.items()
            if name not in deployment and not name.startswith(pruning)
        }

    def tell(self, record: Record) -> None:
        """Tell how a trial ended; a trial that was stopped early has rungs and no objectives."""
        trial = self._open.pop(record.number)
        self._records[record.number] = record
        self._pace.ended(record)
        trial.set_user_attr("rungs", [rung.model_dump() for rung in record.rungs])
        if record.state is State.STOPPED:
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            values = study_values(self._problem, record, self._limits, self._spec.extra_objectives)
            stored = trial.constraints
            for name, value in values.constraints.items():
                if name not in stored:  # an earlier driver may have been killed at this point
                    trial.set_constraint(name, value)
            self._study.tell(trial, values.objective_values)
        self._journal.flush()

    def _seed(self, *position: int) -> int:
        sequence = np.random.SeedSequence([self._spec.seed, *position])
        return int(sequence.generate_state(1)[0])


def _resume_attribute(stopped: int | None) -> dict[str, int]:
    """Return the user attribute of a trial that resumes a stopped training, if it does."""
    return {} if stopped is None else {RESUMES: stopped}


def _is_new_network(attributes: Mapping[str, object]) -> bool:
    """Return whether a trial's candidate is new: neither repeated nor a further deployment."""
    return RETRY_OF not in attributes and SOURCE_TRIAL not in attributes
