"""From trials to finalists: validation errors with their noise, retrainings, ensembles."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from problems.data.folds import FEW_VALIDATION_UNITS, count_folds, validation_units
from problems.entrance.calls import UserProcess, stage_errors
from search.final.derivation import (
    Derivation,
    derive_in_parallel,
    remaining_ensembles,
    remaining_student,
)
from search.final.seeds import Repetition, retrain_in_parallel
from search.final.validation import score_finalists
from search.objectives.error_estimates import Estimates, estimate_errors
from search.objectives.recommendation import select_finalists, trials_to_retrain
from search.progress import ProgressDisplay
from search.run.directory import RunDirectory
from search.run.finalists import TRIAL_PREFIX, FinalistErrors, RetrainingResults
from search.run.records import Record
from search.run.spec import Spec
from search.trial.context import SearchContext


@dataclass(frozen=True)
class Finalists:
    """What is measured of finalists before the final evaluation; what the run has isn't repeated.

    Args:
        context: Context of the search.
        spec: The spec, with the number of retrainings.
        run: The run directory.
        progress: Display of the progress.
        on_progress: Called with (steps done, steps in all) of a phase; it raises if the search has
            to end.
    """

    context: SearchContext
    spec: Spec
    run: RunDirectory
    progress: ProgressDisplay
    on_progress: Callable[[int, int], None]

    def prepare(self, process: UserProcess, check_stop: Callable[[], None]) -> None:
        """Score the finalists, train their networks with further seeds, and derive others.

        Args:
            process: The process for users' code.
            check_stop: Raises if the search has to end.
        """
        objective = self.context.problem.objective.name
        trials = select_finalists(self.run.records(), objective, self.context.limits)
        self.progress.start_phase("validation")
        self._score(process, trials)
        self.progress.start_phase("retraining")
        self._retrain(check_stop)
        self.progress.start_phase("ensembles")
        self._derive(remaining_ensembles(self.context, self.run), check_stop)
        self._score(process, self.run.derived_records())
        student = remaining_student(self.context, self.run, self._estimates())
        if student:
            self.progress.start_phase("distillation")
            self._derive(student, check_stop)
            self._score(process, self.run.derived_records())
            self._retrain(check_stop)

    def _score(self, process: UserProcess, finalists: Sequence[Record]) -> None:
        """Score trials and ensembles on the validation split."""
        known = self.run.finalist_errors().errors
        rest = [each for each in finalists if f"{TRIAL_PREFIX}{each.number}" not in known]
        if rest:
            with stage_errors("scoring the finalists on the validation split"):
                scored = process.call(
                    score_finalists, self.context, self.run, rest, on_message=self.on_progress
                )
            self.run.write("validation.json", FinalistErrors(errors={**known, **scored.errors}))

    def _retrain(self, check_stop: Callable[[], None]) -> None:
        """Train networks that may be recommended with further seeds."""
        context, run, objective = self.context, self.run, self.context.problem.objective.name
        results = list(run.retrainings().results)
        done = {(result.trial, result.seed, result.fold) for result in results}
        errors, estimates = run.finalist_errors().of_trials, self._estimates()
        finalists = [
            record
            for record in run.surrogate_records()
            if record.number in errors and not record.is_ensemble
        ]
        contenders = trials_to_retrain(finalists, objective, context.limits, estimates)
        seeds = [(seed, 0) for seed in range(1, self.spec.retrainings + 1)]
        seeds += [(fold, fold) for fold in self._further_folds(contenders)]
        repetitions = [
            repetition
            for repetition in (Repetition(r, *each) for r in contenders for each in seeds)
            if (repetition.record.number, repetition.candidate.seed, repetition.fold) not in done
        ]
        shared = context.without_baselines()
        for result in retrain_in_parallel(shared, repetitions, check_stop):
            results.append(result)
            run.write("retrained.json", RetrainingResults(results=tuple(results)))
            self.on_progress(len(results) - len(done), len(repetitions))

    def _further_folds(self, contenders: Sequence[Record]) -> Sequence[int]:
        """Return the further divisions of the samples: some if it is hard to tell who is best.

        There are as many as retrainings. Validation samples that are drawn elsewhere than those of
        training aren't exchanged with these. Where a network learns from a teacher there are none:
        the teacher was fitted to what would be validated on.
        """
        problem, data = self.context.problem, self.context.data
        few = 0 < validation_units(data) < FEW_VALIDATION_UNITS
        has_teacher = any(record.candidate.training.further_samples for record in contenders)
        if len(contenders) < 2 or not few or has_teacher or "validation" in problem.held_out:
            return ()
        return range(1, min(self.spec.retrainings + 1, count_folds(data)))

    def _estimates(self) -> Estimates:
        """Return the validation errors of the finalists with their noise."""
        errors = self.run.finalist_errors().of_trials
        records = [each for each in self.run.surrogate_records() if each.number in errors]
        objective, results = self.context.problem.objective.name, self.run.retrainings().results
        return estimate_errors(records, objective, errors, results)

    def _derive(self, tasks: Sequence[Derivation], check_stop: Callable[[], None]) -> None:
        """Deploy ensembles, and distil a network from one."""
        records = derive_in_parallel(self.context.without_baselines(), tasks, check_stop)
        for done, record in enumerate(records, start=1):
            self.run.save_derived(record)
            self.on_progress(done, len(tasks))
