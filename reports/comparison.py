"""Several runs side by side: what each recommends, their fronts, how fast they got there."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from problems import UserError
from reports.charts import Axis, Chart, ChartSeries, SeriesStyle, axis_label
from reports.pages import WORDS, EmbeddedFigure, embed_chart, render_page, write_page
from reports.views import ReportData, read_report_data
from reports.views.encodings import default_reference_point, dominated_hypervolume, front_trials
from reports.views.search_progress import search_progress_view
from search.run.directory import Run


class ComparedRun(NamedTuple):
    """A run among others of its problem.

    Args:
        name: Of its folder, told apart from the others'.
        facts: Its own.
        hypervolume: Of all its trials, up to a corner that all runs of the problem share.
    """

    name: str
    facts: ReportData
    hypervolume: float


class RunGroup(NamedTuple):
    """Runs of one problem and size: what can be compared."""

    problem: str
    objective: str
    runs: tuple[ComparedRun, ...]
    differences: tuple[tuple[str, tuple[str, ...]], ...]
    """What was asked for otherwise: (what, each run's)."""
    drawings: tuple[EmbeddedFigure, ...]


def write_comparison(runs: Sequence[Run], path: Path) -> Path:
    """Write a page that compares runs and return its path.

    Raises:
        UserError: A run is named twice, can't be read, or the page can't be written.
    """
    folders = [run.folder for run in runs]
    twice = next((folder for folder in folders if folders.count(folder) > 1), None)
    if twice is not None:
        raise UserError(f"RUN {twice} is named twice; name different ones")
    return write_page(path, render_comparison(runs), "name another file with --output")


def render_comparison(runs: Sequence[Run]) -> str:
    """Return the page."""
    facts = {_name(run, runs): read_report_data(run) for run in runs}
    kinds: dict[tuple[str, int, str, str], dict[str, ReportData]] = {}
    for name, each in facts.items():
        spec = each.spec
        kind = (spec.problem, spec.problem_version, str(spec.size), each.objective.name)
        kinds.setdefault(kind, {})[name] = each
    groups = [_group(number, own) for number, own in enumerate(kinds.values())]
    return render_page("comparison.html", WORDS, groups=groups, count=len(runs))


def _name(run: Run, runs: Sequence[Run]) -> str:
    """Return the last part of a run's path that tells it from the others."""
    parts = run.folder.parts
    for kept in range(1, len(parts)):
        name = "/".join(parts[-kept:])
        if sum("/".join(each.folder.parts[-kept:]) == name for each in runs) == 1:
            return name
    return str(run.folder)


def _group(number: int, facts: dict[str, ReportData]) -> RunGroup:
    first = next(iter(facts.values()))
    reference_point = default_reference_point(
        [trial for each in facts.values() for trial in each.trials]
    )
    runs = tuple(
        ComparedRun(name, each, dominated_hypervolume(each.trials, reference_point))
        for name, each in facts.items()
    )
    asked = [each.provenance.spec for each in facts.values()]
    differences = tuple(
        (what, tuple(spec[what] for spec in asked))
        for what in asked[0]
        if len({spec[what] for spec in asked}) > 1
    )
    charts = (_fronts(number, runs), _growth(number, runs))
    return RunGroup(
        problem=f"{first.spec.problem} {first.spec.size}, version {first.spec.problem_version}",
        objective=first.objective.name.replace("_", " "),
        runs=runs,
        differences=differences,
        drawings=tuple(embed_chart(chart) for chart in charts if chart.series),
    )


def _fronts(number: int, runs: Sequence[ComparedRun]) -> Chart:
    objective = runs[0].facts.objective
    series: list[ChartSeries] = []
    for colour, run in enumerate(runs):
        front = front_trials(run.facts.trials)
        if front:
            series.append(
                ChartSeries(
                    run.name,
                    [trial.speedup for trial in front],
                    [trial.error for trial in front],
                    SeriesStyle.LINE_AND_POINTS,
                    colour,
                    names=[f"trial {trial.number}" for trial in front],
                )
            )
    x = Axis("speed-up over the reference", log=True)
    y = Axis(f"{axis_label(objective.name, objective.unit)}, validation", log=True)
    return Chart(f"fronts-{number}", "Fronts", x, y, tuple(series), height=460)


def _growth(number: int, runs: Sequence[ComparedRun]) -> Chart:
    reference_point = default_reference_point([trial for run in runs for trial in run.facts.trials])
    series: list[ChartSeries] = []
    for colour, run in enumerate(runs):
        facts = run.facts
        course = search_progress_view(
            facts.trials, facts.sessions, facts.spec.workers, reference_point
        )
        if course.hypervolume_curve:
            trials = [each.trials for each in course.hypervolume_curve]
            volume = [each.hypervolume for each in course.hypervolume_curve]
            series.append(ChartSeries(run.name, trials, volume, SeriesStyle.STEP, colour))
    return Chart(
        f"growth-{number}",
        "Hypervolume over trials",
        Axis("trials that have ended"),
        Axis("hypervolume [decades²]"),
        tuple(series),
        note="Up to a corner that all these runs share.",
    )
