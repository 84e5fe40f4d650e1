"""The comparison of several runs: recommendations, fronts, hypervolume over trials."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from problems import UserError
from reports.charts import Axis, Chart, ChartSeries, SeriesStyle, axis_label
from reports.pages import EmbeddedFigure, embed_chart, render_page, write_page
from reports.views import ReportData, read_report_data
from reports.views.encodings import ReferencePoint, dominated_hypervolume, front_trials
from search.run.directory import RunDirectory


class ComparedRun(NamedTuple):
    """A run in a comparison.

    Args:
        name: End of the path of its folder, which distinguishes it from the other runs.
        facts: Data of its report.
        hypervolume: Hypervolume of all its trials, up to its own reference point, which no other
            run changes; None if it has no reference point.
    """

    name: str
    facts: ReportData
    hypervolume: float | None


class RunGroup(NamedTuple):
    """Runs of one problem and size, which can be compared."""

    problem: str
    objective: str
    runs: tuple[ComparedRun, ...]
    reference_points: tuple[ReferencePoint, ...]
    """The different reference points of the runs: one, unless their baselines differ."""
    differences: tuple[tuple[str, tuple[str, ...]], ...]
    """Differences of the requests: (name of the field, its value in each run)."""
    figures: tuple[EmbeddedFigure, ...]


def write_comparison(runs: Sequence[RunDirectory], path: Path) -> Path:
    """Write a page that compares runs and return its path.

    Raises:
        UserError: A run is named twice or can't be read, or the page can't be written.
    """
    folders = [run.folder for run in runs]
    duplicate = next((folder for folder in folders if folders.count(folder) > 1), None)
    if duplicate is not None:
        raise UserError(f"RUN {duplicate} is named twice; name different runs")
    return write_page(path, render_comparison(runs), "name another file with --output")


def render_comparison(runs: Sequence[RunDirectory]) -> str:
    """Return the page as HTML."""
    facts = {_name(run, runs): read_report_data(run) for run in runs}
    by_problem: dict[tuple[str, int, str, str], dict[str, ReportData]] = {}
    for name, data in facts.items():
        spec = data.spec
        problem = (spec.problem, spec.problem_version, str(spec.size), data.objective.name)
        by_problem.setdefault(problem, {})[name] = data
    groups = [_group(number, members) for number, members in enumerate(by_problem.values())]
    return render_page("comparison.html", groups=groups, count=len(runs))


def _name(run: RunDirectory, runs: Sequence[RunDirectory]) -> str:
    """Return the shortest end of a run's path that distinguishes it from the other runs."""
    parts = run.folder.parts
    for length in range(1, len(parts)):
        name = "/".join(parts[-length:])
        if sum("/".join(other.folder.parts[-length:]) == name for other in runs) == 1:
            return name
    return str(run.folder)


def _group(number: int, facts: dict[str, ReportData]) -> RunGroup:
    first = next(iter(facts.values()))
    runs = tuple(
        ComparedRun(
            name,
            data,
            dominated_hypervolume(data.trials, data.reference_point)
            if data.reference_point
            else None,
        )
        for name, data in facts.items()
    )
    points = tuple(
        dict.fromkeys(data.reference_point for data in facts.values() if data.reference_point)
    )
    specs = [data.provenance.spec for data in facts.values()]
    differences = tuple(
        (field, tuple(spec[field] for spec in specs))
        for field in specs[0]
        if len({spec[field] for spec in specs}) > 1
    )
    charts = (_front_chart(number, runs), _hypervolume_chart(number, runs))
    return RunGroup(
        problem=f"{first.spec.problem} {first.spec.size}, version {first.spec.problem_version}",
        objective=first.objective.name.replace("_", " "),
        runs=runs,
        reference_points=points,
        differences=differences,
        figures=tuple(embed_chart(chart) for chart in charts if chart.series),
    )


def _front_chart(number: int, runs: Sequence[ComparedRun]) -> Chart:
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


def _hypervolume_chart(number: int, runs: Sequence[ComparedRun]) -> Chart:
    series: list[ChartSeries] = []
    for colour, run in enumerate(runs):
        progress = run.facts.search_progress
        if progress.hypervolume_curve:
            trials = [point.trials for point in progress.hypervolume_curve]
            volume = [point.hypervolume for point in progress.hypervolume_curve]
            series.append(ChartSeries(run.name, trials, volume, SeriesStyle.STEP, colour))
    return Chart(
        f"growth-{number}",
        "Hypervolume over trials",
        Axis("trials that have ended"),
        Axis("hypervolume [decades²]"),
        tuple(series),
        note="Up to the reference point of the problem.",
    )
