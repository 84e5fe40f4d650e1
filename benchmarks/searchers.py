"""The searchers that are compared: simstead, peers, and peers with parts of simstead.

A searcher suggests trials, decides at rungs which of them continue, and receives a record of each.
It is a way to ask for networks, with several deployments of each or one, and with successive
halving or without. So peers are run as their users would and, which is the fair comparison, with
the deployments and the halving of simstead; and simstead without one of its parts. All search the
same space with the same seeds: in `search_efficiency.py` on a fake clock, in `search_live.py` on a
real one.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import Trial, TrialState, create_trial
from plotly.colors import qualitative
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch

from problems import Problem
from search.objectives.baselines import BaselineScores
from search.run.directory import RunDirectory
from search.run.records import Limits, Record, State
from search.run.spec import Spec
from search.sampling.choices import TrialChooser
from search.sampling.configuration import NetworkKey
from search.sampling.history import History, Observations, StoppedTraining
from search.sampling.study import MAX_TPE_ATTEMPTS, InterruptedTrial, SearchStudy
from search.sampling.trial_queue import TrialQueue, TrialRequest
from search.workers.successive_halving import SuccessiveHalving
from spaces.candidate import Candidate
from spaces.space import Space

SIMSTEAD_NAME = "simstead"


class Searcher(Protocol):
    """A searcher suggests candidates and decides at rungs which of them continue."""

    times_untrained: bool
    """Whether untrained networks are lowered and timed."""

    def ask(self) -> TrialRequest:
        """Return the next trial."""
        ...

    def should_continue(
        self, request: TrialRequest, share: float, error: float, relative_time: float
    ) -> bool:
        """Return whether a trial continues at a rung.

        Args:
            request: The trial.
            share: Share of the training at the rung.
            error: Its error there.
            relative_time: Time of the untrained network relative to the reference.
        """
        ...

    def tell(self, record: Record) -> None:
        """Receive the record of a trial that has ended."""
        ...


class QueueSearcher:
    """A study with the trial queue and successive halving of simstead, as the driver uses them.

    Args:
        study: Suggests networks and their further deployments.
        run: The run directory.
        spec: The specification, which says how often a network is deployed.
        halving: Whether trials are stopped at rungs. Otherwise untrained networks aren't timed.
    """

    def __init__(
        self, study: SearchStudy, run: RunDirectory, spec: Spec, *, halving: bool = True
    ) -> None:
        self.times_untrained = halving
        self._queue = TrialQueue(study, run, spec, [])
        self._halving = SuccessiveHalving() if halving else None

    def ask(self) -> TrialRequest:
        """Return the next trial of the queue."""
        request = self._queue.next()
        if request is None:
            raise RuntimeError("the trial queue is empty")
        return request

    def should_continue(
        self, request: TrialRequest, share: float, error: float, relative_time: float
    ) -> bool:
        """Return the decision of successive halving; a resumed trial passes its earlier rungs."""
        if self._halving is None or share <= request.resumed_share:
            return True
        return self._halving.should_continue(share, error, relative_time)

    def tell(self, record: Record) -> None:
        """Write the record and tell the study."""
        self._queue.ended(record)


class PeerStudy(SearchStudy):
    """A study whose networks a sampler of Optuna suggests; their further deployments are ours.

    The sampler learns from further deployments, too. A training that was stopped is told with its
    error at the last rung and the time of the untrained network, as Ray Tune tells it.

    Args:
        journal: File of the journal.
        problem: The problem.
        spec: The specification of the run.
        limits: The problem's goals.
        sampler: The sampler.
    """

    def __init__(
        self, journal: Path, problem: Problem, spec: Spec, limits: Limits, sampler: BaseSampler
    ) -> None:
        super().__init__(journal, problem, spec, limits)
        self._objective = problem.objective.name
        self._peer = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
        self._asked: dict[int, Trial] = {}
        self._candidates: set[str] = set()

    def ask(
        self,
        interrupted: InterruptedTrial | None = None,  # noqa: ARG002 - of the base class
    ) -> tuple[int, Candidate]:
        """Return the number and candidate of a new trial, by the sampler.

        With several deployments a candidate that was tried before is refused a few times, as in
        simstead; with one, the sampler does as it pleases.
        """
        trial, candidate = self._suggest()
        for _ in range(MAX_TPE_ATTEMPTS - 1 if self._spec.deployments > 1 else 0):
            if candidate.key not in self._candidates:
                break
            self._peer.tell(trial, state=TrialState.FAIL)
            trial, candidate = self._suggest()
        self._candidates.add(candidate.key)
        number, candidate = self._ask_fixed(trial.params, self._spec.seed, {})
        self._asked[number] = trial
        return number, candidate

    def _suggest(self) -> tuple[Trial, Candidate]:
        trial, spec = self._peer.ask(), self._spec
        chooser = TrialChooser(trial)
        return trial, self._space.choose_candidate(spec.size, chooser, spec.seed)

    def tell(self, record: Record) -> None:
        """Tell both studies how a trial ended."""
        super().tell(record)
        asked, values = self._asked.pop(record.number, None), self._values(record)
        if asked is not None:
            self._peer.tell(asked, values, TrialState.COMPLETE if values else TrialState.FAIL)
        elif values:
            trial = self._study.get_trials(deepcopy=False)[record.number]
            parameters, distributions = trial.params, trial.distributions
            self._peer.add_trial(
                create_trial(values=values, params=parameters, distributions=distributions)
            )

    def _values(self, record: Record) -> list[float] | None:
        """Return log10 of error and time, of the last rung for a trial that was stopped."""
        if record.timing is not None:
            error, time = record.metrics[self._objective], record.timing.relative_time
        elif record.rungs and record.untrained_relative_time is not None:
            error, time = record.rungs[-1].error, record.untrained_relative_time
        else:
            return None
        return [_log(error), math.log10(time)] if math.isfinite(error) else None


class StudyWithoutResumption(SearchStudy):
    """A study of simstead that resumes no training that was stopped."""

    def _observations(self, history: History) -> Observations:
        return ObservationsWithoutResumption(*super()._observations(history))


class ObservationsWithoutResumption(Observations):
    """Observations of which no training is resumed."""

    def resumable_trainings(self) -> dict[NetworkKey, StoppedTraining]:
        """Return nothing."""
        return {}


class RayTuneSearcher:
    """OptunaSearch for both objectives and ASHA on the error, called as Tune's controller does.

    Tune requires every metric in every report, so the untrained network's time is reported with the
    errors at the rungs. A stopped trial is complete for Tune, with the last report as its result.
    """

    times_untrained = True

    def __init__(self, problem: Problem, spec: Spec, reduction_factor: int) -> None:
        self._space, self._spec = Space(problem, spec.restrictions), spec
        self._objective = problem.objective.name
        metrics = ["error", "time"]
        self._search = OptunaSearch(self._define_space, metrics, ["min", "min"], seed=spec.seed)
        self._asha = AsyncHyperBandScheduler(
            "quarters", "error", "min", 4, reduction_factor=reduction_factor
        )
        self._trials: list[SimpleNamespace] = []
        self._reports: dict[int, dict[str, float]] = {}

    def _define_space(self, trial: Any) -> dict[str, Candidate]:
        spec = self._spec
        return {
            "candidate": self._space.choose_candidate(spec.size, TrialChooser(trial), spec.seed)
        }

    def ask(self) -> TrialRequest:
        """Return a trial with the candidate that OptunaSearch suggests."""
        trial = SimpleNamespace(trial_id=str(len(self._trials)))
        self._trials.append(trial)
        suggestion = self._search.suggest(trial.trial_id)
        if suggestion is None:
            raise RuntimeError("OptunaSearch suggests nothing")
        self._asha.on_trial_add(None, trial)
        return TrialRequest(len(self._trials) - 1, suggestion["candidate"])

    def should_continue(
        self, request: TrialRequest, share: float, error: float, relative_time: float
    ) -> bool:
        """Report the error and return the decision of ASHA."""
        result = _result(share, error, relative_time)
        decision = self._asha.on_trial_result(None, self._trials[request.number], result)
        self._reports[request.number] = result
        if decision == TrialScheduler.STOP:
            return False
        self._search.on_trial_result(str(request.number), result)
        return True

    def tell(self, record: Record) -> None:
        """Report the result of a trial that is complete or stopped, or its failure."""
        trial = str(record.number)
        if record.state is State.INFEASIBLE:
            self._search.on_trial_complete(trial, error=True)
            return
        result = self._reports.get(record.number, {})
        if record.timing is not None:
            error = record.metrics[self._objective]
            result = _result(1.0, error, record.timing.relative_time)
        self._asha.on_trial_complete(None, self._trials[record.number], result)
        self._search.on_trial_complete(trial, result)


def _result(share: float, error: float, relative_time: float) -> dict[str, float]:
    quarters = round(4 * share)
    time = math.log10(relative_time)
    return {
        "training_iteration": quarters,
        "quarters": quarters,
        "error": _log(error),
        "time": time,
    }


def _log(error: float) -> float:
    return math.log10(error) if math.isfinite(error) else error


MakeSearcher = Callable[[Problem, Spec, RunDirectory, Limits, BaselineScores], Searcher]


@dataclass(frozen=True)
class Composition:
    """A searcher: a way to ask for networks, with deployments and halving of simstead or without.

    Args:
        sampler: Returns the sampler of Optuna for a seed that suggests networks; None for simstead.
        deployments: Whether a network is deployed as often as in simstead, or else once.
        halving: Whether trainings are stopped at rungs.
        resumption: Whether simstead resumes stopped trainings.
    """

    sampler: Callable[[int], BaseSampler] | None = None
    deployments: bool = True
    halving: bool = True
    resumption: bool = True

    def __call__(
        self,
        problem: Problem,
        spec: Spec,
        run: RunDirectory,
        limits: Limits,
        baselines: BaselineScores,
    ) -> Searcher:
        """Return the searcher of a run."""
        changes = {} if self.deployments else {"deployments": 1}
        changes |= {"initial_design_size": 0} if self.sampler else {}
        spec = spec.model_copy(update=changes)
        if self.sampler:
            sampler = self.sampler(spec.seed)
            study: SearchStudy = PeerStudy(run.journal, problem, spec, limits, sampler)
        else:
            kind = SearchStudy if self.resumption else StudyWithoutResumption
            study = kind(run.journal, problem, spec, limits)
        study.compare_with(baselines)
        return QueueSearcher(study, run, spec, halving=self.halving)


def _multivariate_tpe(seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(multivariate=True, group=True, seed=seed)


def _tune(reduction_factor: int) -> MakeSearcher:
    return lambda problem, spec, *_: RayTuneSearcher(problem, spec, reduction_factor)


def _alone(sampler: Callable[[int], BaseSampler]) -> Composition:
    """Return a sampler as its users run it: one deployment of each network, all trained."""
    return Composition(sampler, deployments=False, halving=False)


AS_USERS_RUN_THEM: dict[str, MakeSearcher] = {
    "OptunaSearch + ASHA, by 4": _tune(4),
    "OptunaSearch + ASHA, by 2": _tune(2),
    "TPE": _alone(lambda seed: TPESampler(seed=seed)),
    "TPE, multivariate": _alone(_multivariate_tpe),
    "NSGA-II": _alone(lambda seed: NSGAIISampler(seed=seed)),
    "random": _alone(RandomSampler),
}
"""Peers as their users run them."""

WITH_OURS: dict[str, MakeSearcher] = {
    "TPE, multivariate, with ours": Composition(_multivariate_tpe),
    "NSGA-II, with ours": Composition(lambda seed: NSGAIISampler(seed=seed)),
    "random, with ours": Composition(RandomSampler),
}
"""Peers with the deployments and the halving of simstead. The last is also simstead without its way
of asking for networks."""

ABLATIONS: dict[str, MakeSearcher] = {
    "simstead, one deployment": Composition(deployments=False),
    "simstead, no halving": Composition(halving=False),
    "simstead, none resumed": Composition(resumption=False),
}
"""Simstead without one of its parts."""

SEARCHERS: dict[str, MakeSearcher] = {
    SIMSTEAD_NAME: Composition(),
    **AS_USERS_RUN_THEM,
    **WITH_OURS,
    **ABLATIONS,
}

COLOURS = dict(zip(SEARCHERS, qualitative.Dark24, strict=False))
"""Colour of each searcher in plots."""
