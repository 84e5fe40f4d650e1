"""The searchers that are compared: simstead, Ray Tune with OptunaSearch and ASHA, Optuna, random.

A searcher suggests trials, decides at rungs which of them continue, and receives a record of each.
All search the same space with the same seeds: in `search_efficiency.py` on a fake clock, in
`search_live.py` on a real one.
"""

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Protocol

import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import Trial, TrialState
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch

from problems import Problem
from search.objectives.baselines import BaselineScores
from search.run.directory import RunDirectory
from search.run.records import Limits, Record, State
from search.run.spec import Spec
from search.sampling.choices import TrialChooser
from search.sampling.study import SearchStudy
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


class SimsteadSearcher:
    """The trial queue and successive halving of simstead, as the driver uses them."""

    times_untrained = True

    def __init__(
        self,
        problem: Problem,
        spec: Spec,
        run: RunDirectory,
        limits: Limits,
        baselines: BaselineScores,
    ) -> None:
        study = SearchStudy(run.journal, problem, spec, limits)
        study.compare_with(baselines)
        self._queue = TrialQueue(study, run, spec, [])
        self._halving = SuccessiveHalving()

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
        return share <= request.resumed_share or self._halving.should_continue(
            share, error, relative_time
        )

    def tell(self, record: Record) -> None:
        """Write the record and tell the study."""
        self._queue.ended(record)


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


class OptunaSearcher:
    """An Optuna study with two objectives: complete trainings, failures reported as such."""

    times_untrained = False

    def __init__(self, problem: Problem, spec: Spec, sampler: BaseSampler) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space, self._spec = Space(problem, spec.restrictions), spec
        self._objective = problem.objective.name
        self._study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
        self._open: dict[int, Trial] = {}

    def ask(self) -> TrialRequest:
        """Return the trial that the study suggests."""
        trial = self._study.ask()
        self._open[trial.number] = trial
        spec = self._spec
        return TrialRequest(
            trial.number, self._space.choose_candidate(spec.size, TrialChooser(trial), spec.seed)
        )

    def should_continue(
        self,
        request: TrialRequest,  # noqa: ARG002 - of the protocol, as those below
        share: float,  # noqa: ARG002
        error: float,  # noqa: ARG002
        relative_time: float,  # noqa: ARG002
    ) -> bool:
        """Return True: no trial is stopped."""
        return True

    def tell(self, record: Record) -> None:
        """Tell the study the result."""
        trial = self._open.pop(record.number)
        if record.timing is None:
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            error = record.metrics[self._objective]
            self._study.tell(trial, [_log(error), math.log10(record.timing.relative_time)])


SEARCHERS: dict[str, Callable[[Problem, Spec, RunDirectory, Limits, BaselineScores], Searcher]] = {
    SIMSTEAD_NAME: SimsteadSearcher,
    "OptunaSearch + ASHA, by 4": lambda problem, spec, *_: RayTuneSearcher(problem, spec, 4),
    "OptunaSearch + ASHA, by 2": lambda problem, spec, *_: RayTuneSearcher(problem, spec, 2),
    "Optuna": lambda problem, spec, *_: OptunaSearcher(problem, spec, TPESampler(seed=spec.seed)),
    "random": lambda problem, spec, *_: OptunaSearcher(problem, spec, RandomSampler(spec.seed)),
}

COLOURS = dict(zip(SEARCHERS, ("#0072B2", "#D55E00", "#E69F00", "#009E73", "#8a8f98"), strict=True))
"""Colour of each searcher in plots."""
