"""The phases of a search before its trials: data, further simulations, baselines."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from problems import Dataset, Problem
from problems.data.cache import default_cache
from problems.data.dataset import check_values, generate
from problems.entrance.calls import Call, stage_errors
from search.active_learning.rounds import BudgetSpender
from search.data_summary import describe_data, summarise_data
from search.joining import check_stop
from search.objectives.baselines import (
    BaselineScores,
    mean_error,
    prepare_references,
    score_baselines,
    time_baselines,
)
from search.objectives.goals import limits_from_goals
from search.objectives.standard_baselines import (
    describe_baselines,
    fit_standard_baselines,
    with_standard_baselines,
)
from search.progress import ProgressDisplay
from search.run.directory import RunDirectory
from search.run.records import BaselineTimes
from search.run.simulations import SimulationsSummary
from search.run.spec import Spec
from search.timing.reference import reference_sample_s
from search.trial.context import SearchContext
from search.workers.tasks import in_parallel
from search.workers.transport import RayTransport


@dataclass(frozen=True)
class FirstPhases:
    """The phases of a search before its trials.

    Args:
        problem: The problem, with complete declarations.
        spec: The spec.
        run: The run directory.
        call: Calls users' code.
        progress: Display of the progress.
        on_progress: Called with the steps done and their number.
        transport: Carries files to and from nodes that don't see the folders of run and cache.
    """

    problem: Problem
    spec: Spec
    run: RunDirectory
    call: Call
    progress: ProgressDisplay
    on_progress: Callable[[int, int], None]
    transport: RayTransport | None = None

    def context(
        self, processor: str
    ) -> tuple[SearchContext, Callable[[SearchContext], BaselineScores]]:
        """Return the context of the trials, and what scores the baselines in it.

        Args:
            processor: Name of the processor.
        """
        problem, call = self.problem, self.call
        data, bought = self._data()
        self.progress.start_phase("baselines")
        with stage_errors("fitting and timing the baselines and the reference"):
            problem, errors, reference_timing = call(
                prepare_references, problem, data, self.run.reference_s(processor)
            )
        standard = fit_standard_baselines(problem, data, self.spec.size, call, self.on_progress)
        problem = with_standard_baselines(problem, standard)
        error_of_mean = None if errors else call(mean_error, problem, data)
        context = SearchContext(
            problem,
            data,
            reference_timing,
            limits_from_goals(problem, errors or standard.errors),
            self.run,
            self.spec.source,
            self.spec.extra_objectives,
            errors | standard.errors,
            standard.teacher,
            standard.step_teacher,
            transport=self.transport,
        )
        summary = summarise_data(context, processor, standard, error_of_mean, bought)
        self.run.write("data.json", summary)
        described = describe_data(data, problem.outputs, problem.inputs)
        described = f"{described}\n{describe_baselines(standard)}"
        self.progress.print_line(described.rstrip())
        worst = max(errors.values(), default=error_of_mean)
        return context, partial(self._score_baselines, processor, worst)

    def _score_baselines(
        self, processor: str, largest_error: float | None, context: SearchContext
    ) -> BaselineScores:
        """Return the objective values of the baselines, of which earlier sessions timed some."""
        errors, timing = context.baseline_errors, context.reference_timing
        times = self.run.baseline_times(processor)
        if untimed := [name for name in errors if name not in times]:
            with stage_errors("timing the baselines"):
                times |= self.call(time_baselines, context.problem, context.data, timing, untimed)
            timed = BaselineTimes(processor=processor, relative_times=times)
            self.run.write("baselines.json", timed)
        return score_baselines(errors, times, largest_error=largest_error, has_time=timing.has_time)

    def _data(self) -> tuple[Dataset, SimulationsSummary | None]:
        """Return the data with the simulations of the run's budget, and what was bought, if any."""
        self.progress.start_phase("data")
        check = partial(check_stop, self.run)
        make = partial(in_parallel, on_poll=check, transport=self.transport)
        data = generate(self.problem, default_cache(), make, self.on_progress)
        if self.transport:
            data = data.in_memory()
        check_values(self.problem, data)
        if not self.spec.buys_simulations:
            return data, None
        self.progress.start_phase("replay")
        spender = BudgetSpender(
            self.problem, self.spec, self.run, self.call, make, self.on_progress
        )
        measured_s = partial(self.call, reference_sample_s, self.problem, data.test)
        with stage_errors("the choice of further simulations"):
            plan = spender.plan(data, measured_s)
            self.progress.start_phase("simulations")
            data, bought = spender.spend(data, plan)
        self.progress.print_line(f"simulations  {bought.description}")
        return data, bought
