"""Data of a report, computed from a run directory, in the order of the report."""

from enum import StrEnum
from typing import NamedTuple

from problems import Metric
from problems.diagnosis import Diagnosis
from problems.interfaces.pictures import Picture
from reports.views.confirmation import confirmation_sentences
from reports.views.encodings import (
    EncodingView,
    ReferencePoint,
    encoding_views,
    fixed_reference_point,
    front_trials,
)
from reports.views.finalists import (
    FinalistView,
    GoalsView,
    finalist_views,
    goals_view,
    host_limit,
    limits_on_test,
)
from reports.views.importance import ImportanceGroup, importance_groups
from reports.views.inference import DeploymentView, deployment_views
from reports.views.networks import NetworksView, networks_view
from reports.views.provenance import Provenance, provenance_view
from reports.views.recommendation import RecommendationView, RunContext, recommendation_view
from reports.views.search_progress import SearchProgress, search_progress_view
from reports.views.simulations import SimulationsView, simulations_view
from reports.views.speed_scale import SpeedScale, speed_scale
from reports.views.spread import SpreadView, spread_views
from reports.views.trials import TrialView, trial_view
from search.final.label_results import LabelResults
from search.objectives.recommendation import recommendation_of
from search.run.columns import Row, trial_rows
from search.run.directory import RunDirectory
from search.run.environment import Environment
from search.run.finalists import Ceiling, HostTiming
from search.run.records import NO_LIMITS, DatasetSummary
from search.run.spec import Spec

__all__ = [
    "FinalistView",
    "GoalsView",
    "RecommendationView",
    "ReportData",
    "RunState",
    "TrialView",
    "read_report_data",
]

UNKNOWN_OBJECTIVE = Metric("error", "1", "the problem's objective; the run has no data yet")


class RunState(StrEnum):
    """State of a run."""

    RUNNING = "running"
    INTERRUPTED = "interrupted"
    FINISHED = "finished"


class ReportData(NamedTuple):
    """Data of a report."""

    folder: str
    spec: Spec
    data: DatasetSummary | None
    """None if the run was interrupted before its data were generated or read."""
    sessions: tuple[Environment, ...]
    state: RunState
    objective: Metric
    diagnosis: Diagnosis | None
    simulations: SimulationsView | None
    """Samples that the search bought, if it had a budget of further simulations."""
    recommendation: RecommendationView | None
    goals: GoalsView | None
    finalists: tuple[FinalistView, ...]
    reference_point: ReferencePoint | None
    encodings: tuple[EncodingView, ...]
    networks: NetworksView
    importance: tuple[ImportanceGroup, ...]
    deployments: tuple[DeploymentView, ...]
    trials: tuple[TrialView, ...]
    rows: tuple[Row, ...]
    """The rows of the exported table of trials."""
    pictures: tuple[Picture, ...]
    sample_errors: tuple[float, ...]
    worst_pictures: tuple[Picture, ...]
    """Pictures of the test samples with the largest errors."""
    labels: LabelResults | None
    """Inputs that matter and worst errors, where the recommended surrogate predicts labels."""
    spreads: tuple[SpreadView, ...]
    """The spread of each ensemble among the finalists."""
    left_out: dict[str, str]
    """Trials and baselines without final evaluation, with the reasons."""
    host: HostTiming | None
    host_limit: float | None
    """Amdahl's bound of the host's speed-up, unless a measured one exceeds it."""
    ceiling: Ceiling | None
    confirmations: tuple[tuple[str, ...], ...]
    """Sentences on each score on the confirmation split."""
    search_progress: SearchProgress
    provenance: Provenance
    speed_scale: SpeedScale

    @property
    def front(self) -> list[TrialView]:
        """The non-dominated trials by validation error and speed-up, the fastest first."""
        return front_trials(self.trials)

    @property
    def network_count(self) -> int:
        """Number of networks of the search; other trials deploy them, or are derived from them."""
        return sum(trial.training is None and not trial.derived for trial in self.trials)


def read_report_data(run: RunDirectory) -> ReportData:
    """Return the data of a run's report; the run need not be finished.

    Raises:
        UserError: A file of the run can't be read.
    """
    records, evaluation, spec = run.records(), run.final_evaluation(), run.spec()
    data = run.data() if run.has_data else None
    sessions = run.sessions().environments
    objective = data.metrics[0] if data else UNKNOWN_OBJECTIVE
    trials = tuple(trial_view(record, objective.name) for record in records)
    derived_records = run.derived_records()
    derived = tuple(trial_view(record, objective.name) for record in derived_records)
    by_number = {trial.number: trial for trial in (*trials, *derived)}
    diagnosis, host = run.diagnosis(), evaluation.host if evaluation else None
    fraction = host.fraction if host else _profiled_fraction(diagnosis)
    if data and not data.reference_has_time:
        fraction = None  # Amdahl's law needs a speed-up over the reference
    evaluated = evaluation.finalists_with_pictures if evaluation else ()
    limits, split = NO_LIMITS, "test"
    if data:
        limits, split = limits_on_test(data, evaluated, objective.name)
    finalists = finalist_views(evaluated, by_number, objective.name, limits, host)
    reference_point = fixed_reference_point(data, evaluated, objective.name)
    validation_limits = data.limits if data else NO_LIMITS
    recommended = recommendation_of(evaluation, records, objective.name, validation_limits)
    return ReportData(
        folder=str(run.folder),
        spec=spec,
        data=data,
        sessions=sessions,
        state=_state(run, finished=evaluation is not None),
        objective=objective,
        diagnosis=diagnosis,
        simulations=simulations_view(data),
        recommendation=recommendation_view(
            recommended,
            finalists,
            RunContext(by_number, data, fraction, evaluation.mean_errors if evaluation else {}),
        ),
        goals=goals_view(limits, finalists, split),
        finalists=finalists,
        reference_point=reference_point,
        encodings=encoding_views(trials, finalists, reference_point),
        networks=networks_view(records, trials),
        importance=importance_groups(trials),
        deployments=deployment_views(records, objective.name),
        trials=(*trials, *derived),
        rows=tuple(trial_rows((*records, *derived_records), evaluation, sessions, data)),
        pictures=evaluation.pictures if evaluation else (),
        sample_errors=evaluation.recommended_sample_errors if evaluation else (),
        worst_pictures=evaluation.worst_pictures if evaluation else (),
        labels=_label_results(run, None if evaluation is None else evaluation.recommended),
        spreads=spread_views(
            evaluated, objective, has_time=data is not None and data.reference_has_time
        ),
        left_out=evaluation.left_out if evaluation else {},
        host=host,
        host_limit=host_limit(host, finalists),
        ceiling=evaluation.ceiling if evaluation else None,
        confirmations=tuple(
            confirmation_sentences(result, objective) for result in run.confirmations().results
        ),
        search_progress=search_progress_view(trials, sessions, spec.workers, reference_point),
        provenance=provenance_view(spec, sessions),
        speed_scale=speed_scale(data),
    )


def _label_results(run: RunDirectory, recommended: int | None) -> LabelResults | None:
    """Return the results for labels, unless they are those of an earlier recommendation."""
    results = LabelResults.of_run(run)
    return results if results and results.recommended == recommended else None


def _profiled_fraction(diagnosis: Diagnosis | None) -> float | None:
    return diagnosis.host.fraction if diagnosis and diagnosis.host else None


def _state(run: RunDirectory, *, finished: bool) -> RunState:
    if run.driver():
        return RunState.RUNNING
    return RunState.FINISHED if finished else RunState.INTERRUPTED
