"""Who searches: simstead, Ray Tune's OptunaSearch with ASHA, Optuna by itself, and chance.

Each asks for trials, says at rungs which go on, and is told by records how they ended, on the same
space and with the same seeds: `search_efficiency.py` has them on a fake clock, `search_live.py` on
a real one.
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
from search.run.directory import Run
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
    """Who asks for candidates, and says at rungs which go on."""

    times_untrained: bool
    """Whether the untrained network is lowered and timed."""

    def ask(self) -> TrialRequest:
        """Return what a worker is to do next."""
        ...

    def should_continue(
        self, request: TrialRequest, share: float, error: float, relative_time: float
    ) -> bool:
        """Return whether a trial goes on at a rung; the time is the untrained network's."""
        ...

    def tell(self, record: Record) -> None:
        """Be told how a trial ended."""
        ...


class SimsteadSearcher:
    """Our agenda and halving, as the driver uses them."""

    times_untrained = True

    def __init__(
        self,
        problem: Problem,
        spec: Spec,
        run: Run,
        limits: Limits,
        rivals: BaselineScores,
    ) -> None:
        study = SearchStudy(run.journal, problem, spec, limits, rivals)
        self._agenda = TrialQueue(study, run, spec, [])
        self._halving = SuccessiveHalving()

    def ask(self) -> TrialRequest:
        """Return what is next on the agenda."""
        request = self._agenda.next()
        if request is None:
            raise RuntimeError("nothing is left to try")
        return request

    def should_continue(
        self, request: TrialRequest, share: float, error: float, relative_time: float
    ) -> bool:
        """Ask the halving, where it wasn't asked before."""
        return share <= request.resumed_share or self._halving.should_continue(
            share, error, relative_time
        )

    def tell(self, record: Record) -> None:
        """Have it recorded, and told to the study."""
        self._agenda.ended(record)


class RayTuneSearcher:
    """OptunaSearch for both objectives and ASHA on the error, called as Tune's controller does.

    Tune wants every metric in every report, so the untrained network's time goes with the errors at
    the rungs; it tells a stopped trial as complete, with what was last reported.
    """

    times_untrained = True

    def __init__(self, problem: Problem, spec: Spec, reduction_factor: int) -> None:
        self._space, self._spec = Space(problem, spec.restrictions), spec
        self._objective = problem.objective.name
        metrics = ["error", "time"]
        self._search = OptunaSearch(self._asked, metrics, ["min", "min"], seed=spec.seed)
        self._asha = AsyncHyperBandScheduler(
            "quarters", "error", "min", 4, reduction_factor=reduction_factor
        )
        self._trials: list[SimpleNamespace] = []
        self._last: dict[int, dict[str, float]] = {}

    def _asked(self, trial: Any) -> dict[str, Candidate]:
        spec = self._spec
        return {
            "candidate": self._space.choose_candidate(spec.size, TrialChooser(trial), spec.seed)
        }

    def ask(self) -> TrialRequest:
        """Have a candidate suggested."""
        trial = SimpleNamespace(trial_id=str(len(self._trials)))
        self._trials.append(trial)
        found = self._search.suggest(trial.trial_id)
        if found is None:
            raise RuntimeError("Ray Tune's searcher suggests nothing")
        self._asha.on_trial_add(None, trial)
        return TrialRequest(len(self._trials) - 1, found["candidate"])

    def should_continue(
        self, request: TrialRequest, share: float, error: float, relative_time: float
    ) -> bool:
        """Report; ask ASHA."""
        result = _result(share, error, relative_time)
        decision = self._asha.on_trial_result(None, self._trials[request.number], result)
        self._last[request.number] = result
        if decision == TrialScheduler.STOP:
            return False
        self._search.on_trial_result(str(request.number), result)
        return True

    def tell(self, record: Record) -> None:
        """Report the end, or that of a trial that was stopped, or an error."""
        trial = str(record.number)
        if record.state is State.INFEASIBLE:
            self._search.on_trial_complete(trial, error=True)
            return
        result = self._last.get(record.number, {})
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
    """An Optuna study by itself: whole trainings, two objectives, failures told as such."""

    times_untrained = False

    def __init__(self, problem: Problem, spec: Spec, sampler: BaseSampler) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space, self._spec = Space(problem, spec.restrictions), spec
        self._objective = problem.objective.name
        self._study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
        self._open: dict[int, Trial] = {}

    def ask(self) -> TrialRequest:
        """Ask the study."""
        trial = self._study.ask()
        self._open[trial.number] = trial
        spec = self._spec
        return TrialRequest(
            trial.number, self._space.choose_candidate(spec.size, TrialChooser(trial), spec.seed)
        )

    def should_continue(
        self, request: TrialRequest, share: float, error: float, relative_time: float
    ) -> bool:  # noqa: ARG002
        """Stop nothing."""
        return True

    def tell(self, record: Record) -> None:
        """Tell the study."""
        trial = self._open.pop(record.number)
        if record.timing is None:
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            error = record.metrics[self._objective]
            self._study.tell(trial, [_log(error), math.log10(record.timing.relative_time)])


SEARCHERS: dict[str, Callable[[Problem, Spec, Run, Limits, BaselineScores], Searcher]] = {
    SIMSTEAD_NAME: SimsteadSearcher,
    "OptunaSearch + ASHA, by 4": lambda problem, spec, *_: RayTuneSearcher(problem, spec, 4),
    "OptunaSearch + ASHA, by 2": lambda problem, spec, *_: RayTuneSearcher(problem, spec, 2),
    "OptunaSearcher": lambda problem, spec, *_: OptunaSearcher(
        problem, spec, TPESampler(seed=spec.seed)
    ),
    "random": lambda problem, spec, *_: OptunaSearcher(problem, spec, RandomSampler(spec.seed)),
}

COLOURS = dict(zip(SEARCHERS, ("#0072B2", "#D55E00", "#E69F00", "#009E73", "#8a8f98"), strict=True))
"""What each is drawn in."""
