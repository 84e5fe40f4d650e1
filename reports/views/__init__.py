"""A run directory as plain facts, in the order in which the report tells them."""

from enum import StrEnum
from typing import NamedTuple

from problems import Metric
from problems.diagnosis import Diagnosis
from problems.interfaces.pictures import Picture
from reports.views.encodings import (
    EncodingView,
    ReferencePoint,
    default_reference_point,
    encoding_views,
    front_trials,
)
from reports.views.finalists import (
    FinalistView,
    GoalsView,
    finalist_views,
    goals_view,
    limits_on_test,
)
from reports.views.importance import ImportanceGroup, importance_groups
from reports.views.inference import DeploymentView, deployment_views
from reports.views.networks import NetworksView, networks_view
from reports.views.provenance import Provenance, provenance_view
from reports.views.recommendation import RecommendationView, recommendation_view
from reports.views.search_progress import SearchProgress, search_progress_view
from reports.views.trials import TrialView, trial_view
from search.objectives.recommendation import recommendation_of
from search.run.directory import Run
from search.run.environment import Environment
from search.run.finalists import Ceiling, HostTiming
from search.run.records import NO_LIMITS, DatasetSummary
from search.run.spec import Spec

__all__ = [
    "RecommendationView",
    "FinalistView",
    "ReportData",
    "GoalsView",
    "RunState",
    "TrialView",
    "read_report_data",
]

UNNAMED = Metric("error", "1", "the problem's objective; the run has no data yet")


class RunState(StrEnum):
    """How far a run is."""

    RUNNING = "running"
    INTERRUPTED = "interrupted"
    FINISHED = "finished"


class ReportData(NamedTuple):
    """Everything that a report says."""

    folder: str
    spec: Spec
    data: DatasetSummary | None
    """None where the run was interrupted before it had any."""
    sessions: tuple[Environment, ...]
    progress: RunState
    objective: Metric
    diagnosis: Diagnosis | None
    choice: RecommendationView | None
    goals: GoalsView | None
    finalists: tuple[FinalistView, ...]
    reference_point: ReferencePoint | None
    encodings: tuple[EncodingView, ...]
    networks: NetworksView
    importance: tuple[ImportanceGroup, ...]
    deployments: tuple[DeploymentView, ...]
    trials: tuple[TrialView, ...]
    pictures: tuple[Picture, ...]
    sample_errors: tuple[float, ...]
    worst: tuple[Picture, ...]
    left_out: dict[str, str]
    host: HostTiming | None
    ceiling: Ceiling | None
    search_progress: SearchProgress
    provenance: Provenance

    @property
    def front(self) -> list[TrialView]:
        """The trials that no other one beats on the validation split, the fastest first."""
        return front_trials(self.trials)

    @property
    def networks_tried(self) -> int:
        """How many networks were tried; the other trials deploy one of them again."""
        return sum(trial.training is None for trial in self.trials)


def read_report_data(run: Run) -> ReportData:
    """Return the facts of a run, finished or not.

    Raises:
        UserError: A file of it can't be read.
    """
    records, heat, spec = run.records(), run.heat(), run.spec()
    data = run.data() if run.has_data else None
    sessions = run.sessions().each if (run.folder / "environment.json").exists() else ()
    objective = data.metrics[0] if data else UNNAMED
    trials = tuple(trial_view(record, objective.name) for record in records)
    by_number = {trial.number: trial for trial in trials}
    diagnosis, host = run.diagnosis(), heat.host if heat else None
    fraction = host.fraction if host else _profiled(diagnosis)
    found, limits, split = heat.finalists_with_pictures if heat else (), NO_LIMITS, "test"
    if data:
        limits, split = limits_on_test(data.limits, found, objective.name)
    finalists = finalist_views(found, by_number, objective.name, limits, host)
    reference_point = default_reference_point(trials)
    searched = data.limits if data else NO_LIMITS
    recommended = recommendation_of(heat, records, objective.name, searched)
    return ReportData(
        folder=str(run.folder),
        spec=spec,
        data=data,
        sessions=sessions,
        progress=_progress(run, finished=heat is not None),
        objective=objective,
        diagnosis=diagnosis,
        choice=recommendation_view(recommended, finalists, by_number, fraction),
        goals=goals_view(limits, finalists, split),
        finalists=finalists,
        reference_point=reference_point,
        encodings=encoding_views(trials, finalists, reference_point),
        networks=networks_view(records, trials),
        importance=importance_groups(trials),
        deployments=deployment_views(records, objective.name),
        trials=trials,
        pictures=heat.pictures if heat else (),
        sample_errors=heat.sample_errors if heat else (),
        worst=heat.worst if heat else (),
        left_out=heat.left_out if heat else {},
        host=host,
        ceiling=heat.ceiling if heat else None,
        search_progress=search_progress_view(trials, sessions, spec.workers, reference_point),
        provenance=provenance_view(spec, sessions),
    )


def _profiled(diagnosis: Diagnosis | None) -> float | None:
    return diagnosis.host.fraction if diagnosis and diagnosis.host else None


def _progress(run: Run, *, finished: bool) -> RunState:
    if run.driver():
        return RunState.RUNNING
    return RunState.FINISHED if finished else RunState.INTERRUPTED
