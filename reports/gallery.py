"""Which figures a report has: facts turned into charts, without those that have nothing to show."""

from collections.abc import Sequence

import numpy as np

from problems.pictures import Picture
from reports.charts import Axis, Chart, Kind, Series
from reports.views import Facts
from reports.views.encodings import measured
from reports.views.finalists import EntrantView
from reports.views.importance import Branch

OPEN_END = 1e-9


def named(objective: str, unit: str) -> str:
    """Return a metric's name with its unit, as an axis bears it."""
    return objective.replace("_", " ") + ("" if unit in {"", "1"} else f" [{unit}]")


def front(facts: Facts) -> Chart:
    """Return error against speed-up: every trial, the heat's members, baselines, the front."""
    series: list[Series] = []
    able = measured(facts.trials)
    for i, view in enumerate(facts.encodings):
        own = [trial for trial in able if trial.encoding == view.name]
        series.append(
            Series(
                f"{view.name}, trials (validation)",
                [trial.speedup for trial in own],
                [trial.error for trial in own],
                Kind.OPEN_POINTS,
                colour=i,
                names=[f"trial {trial.number}" for trial in own],
                faint=True,
            )
        )
        members = [each for each in facts.entrants if each.encoding == view.name and each.test]
        if members:
            series.append(_entrants(f"{view.name}, final heat (test)", members, i))
    baselines = [each for each in facts.entrants if each.trial is None and each.test]
    if baselines:
        series.append(_entrants("baselines (test)", baselines, None))
    on_front = sorted(
        (each for each in facts.entrants if each.on_front), key=lambda each: each.timing.speedup
    )
    if on_front:
        speeds = [each.timing.speedup for each in on_front]
        errors = [each.test.value if each.test else None for each in on_front]
        series.append(Series("front (final heat)", speeds, errors, Kind.DOTTED, colour=None))
    error = named(facts.objective.name, facts.objective.unit)
    return Chart(
        "front",
        "Error against speed",
        Axis("speed-up over the reference", log=True),
        Axis(error, log=True),
        tuple(series),
        height=520,
    )


def _entrants(name: str, entrants: Sequence[EntrantView], colour: int | None) -> Series:
    tests = [each.test for each in entrants]
    return Series(
        name,
        [each.timing.speedup for each in entrants],
        [test.value if test else None for test in tests],
        Kind.POINTS,
        colour=colour,
        names=[each.name for each in entrants],
        x_low=[each.timing.speedup_low for each in entrants],
        x_high=[each.timing.speedup_high for each in entrants],
        y_low=[test.low if test else None for test in tests],
        y_high=[test.high if test else None for test in tests],
    )


def charts(facts: Facts) -> dict[str, list[Chart]]:
    """Return the figures of each section, in their order."""
    found = {
        "data": learning(facts),
        "networks": [*importances(facts), *courses(facts)],
        "validation": [
            *pictures(facts.pictures, "picture"),
            *sample_errors(facts),
            *pictures(facts.worst, "worst"),
        ],
        "inference": [*deployments(facts), *latency(facts), *batches(facts)],
        "search": [*hypervolume(facts), *workers(facts)],
    }
    return {section: [chart for chart in own if chart.series] for section, own in found.items()}


def learning(facts: Facts) -> list[Chart]:
    """Return the quick model's learning curve, where the run holds a diagnosis."""
    curve = facts.diagnosis.enough.curve if facts.diagnosis else None
    if curve is None:
        return []
    counts = [count for count, _ in curve.points]
    ahead = [curve.samples * factor for factor in (1, 2, 4)]
    series = (
        Series("measured", counts, [error for _, error in curve.points], Kind.LINE_AND_POINTS),
        Series("foretold", ahead, [curve.law.at(n) for n in ahead], Kind.DASHED, colour=1),
    )
    x, y = Axis("training samples", log=True), Axis("error [share of the deviation]", log=True)
    return [Chart("learning", "Learning curve of a quick model", x, y, series)]


def importances(facts: Facts) -> list[Chart]:
    """Return how much each parameter explains, a figure for each branch."""
    return [_importance(number, branch) for number, branch in enumerate(facts.importance)]


def _importance(number: int, branch: Branch) -> Chart:
    # Bars rise from below: the most important comes last.
    shares = branch.shares[::-1]
    names = [each.parameter for each in shares]
    return Chart(
        f"importance-{number}",
        f"What matters: {branch.name}",
        Axis("share of the variance of ranks [%]"),
        Axis(""),
        (
            Series("error", [100.0 * each.error for each in shares], names, Kind.BARS, 0),
            Series("time", [100.0 * each.time for each in shares], names, Kind.BARS, 1),
            Series(
                "95 % of chance, error",
                [100.0 * each.chance_error for each in shares],
                names,
                Kind.OPEN_POINTS,
                None,
            ),
        ),
        note=f"{branch.trials} measured trials",
        height=150 + 34 * len(names),
    )


def courses(facts: Facts) -> list[Chart]:
    """Return the error at rungs of networks, those that were stopped apart."""
    families = sorted({course.family for course in facts.networks.courses})
    series: list[Series] = []
    shares = sorted({100.0 * share for each in facts.networks.courses for share, _ in each.points})
    # The legend names a family once, by a network that wasn't stopped where there is one.
    listed: set[str] = set()
    for course in sorted(facts.networks.courses, key=lambda each: each.stopped):
        name = course.family + (", stopped" if course.stopped else "")
        series.append(
            Series(
                name,
                [100.0 * share for share, _ in course.points],
                [error for _, error in course.points],
                Kind.LINE_AND_POINTS,
                colour=families.index(course.family),
                names=[f"trial {course.trial}"] * len(course.points),
                faint=course.stopped,
                listed=course.family not in listed,
            )
        )
        listed.add(course.family)
    left = facts.networks.courses_left_out
    notes = [
        "Pale are networks that were stopped at a rung." if series and series[-1].faint else "",
        f"{left} more networks are left out, evenly." if left else "",
    ]
    return [
        Chart(
            "rungs",
            "Error at the rungs",
            Axis("share of the training [%]", ticks=tuple(shares)),
            Axis(f"{named(facts.objective.name, facts.objective.unit)}, validation", log=True),
            tuple(series),
            note=" ".join(note for note in notes if note),
            height=400,
        )
    ]


def pictures(drawn: Sequence[Picture], key: str) -> list[Chart]:
    """Return a case study's own drawings: reference solid, prediction dashed, a colour a pair."""
    found: list[Chart] = []
    for number, picture in enumerate(drawn):
        colours: dict[str, int] = {}
        series: list[Series] = []
        for curve in picture.curves:
            subject = curve.name.rpartition(",")[0]
            colour = colours.setdefault(subject, len(colours))
            kind = Kind.LINE if curve.reference else Kind.DASHED
            series.append(Series(curve.name, curve.x, curve.y, kind, colour, faint=curve.reference))
        found.append(
            Chart(
                f"{key}-{number}",
                picture.title,
                Axis(picture.x_label),
                Axis(picture.y_label),
                tuple(series),
                height=380,
                equal_axes=picture.equal_axes,
            )
        )
    return found


def sample_errors(facts: Facts) -> list[Chart]:
    """Return the distribution of the chosen surrogate's error over samples."""
    errors = np.sort(np.asarray(facts.sample_errors, dtype=float))
    if not len(errors):
        return []
    share = 100.0 * np.arange(1, len(errors) + 1) / len(errors)
    series = Series("samples of the test split", errors.tolist(), share.tolist(), Kind.STEP)
    label = f"{named(facts.objective.name, facts.objective.unit)} of a single sample"
    x = Axis(label, log=bool(errors[0] > OPEN_END))
    note = f"{len(errors)} samples; half of them are below {np.median(errors):.3g}."
    return [Chart("samples", "Errors of single samples", x, Axis("samples [%]"), (series,), note)]


def deployments(facts: Facts) -> list[Chart]:
    """Return accuracy lost against speed gained, by precision."""
    able = [each for each in facts.deployments if each.lost and each.gained]
    precisions = sorted({each.precision for each in able})
    series = [
        Series(
            precision,
            [each.gained for each in able if each.precision == precision],
            [each.lost for each in able if each.precision == precision],
            Kind.POINTS,
            colour=place,
            names=[
                f"{each.pruning}, {each.runtime}" for each in able if each.precision == precision
            ],
        )
        for place, precision in enumerate(precisions)
    ]
    x = Axis("speed ratio", log=True)
    y = Axis("error ratio", log=True)
    return [Chart("deployments", "Accuracy lost against speed gained", x, y, tuple(series))]


def latency(facts: Facts) -> list[Chart]:
    """Return the distribution of rounds of each entrant: 5th percentile, median, 95th."""
    able = [each for each in facts.entrants if each.timing.time_p5_s and each.timing.time_p95_s]
    able = sorted(able, key=lambda each: -each.timing.time_s)
    names = [each.name for each in able]
    series: list[Series] = []
    for colour, (name, baseline) in enumerate((("surrogates", False), ("baselines", True))):
        own = [each for each in able if (each.trial is None) is baseline]
        if own:
            series.append(
                Series(
                    name,
                    [1e6 * each.timing.time_s for each in own],
                    [each.name for each in own],
                    Kind.POINTS,
                    colour=colour,
                    x_low=[1e6 * (each.timing.time_p5_s or 0.0) for each in own],
                    x_high=[1e6 * (each.timing.time_p95_s or 0.0) for each in own],
                )
            )
    note = "Points are medians over the rounds, bars reach from the 5th to the 95th percentile."
    x, y = Axis("time of a sample [µs]", log=True), Axis("")
    height = 140 + 26 * len(names)
    return [Chart("latency", "Latency", x, y, tuple(series), note, height)]


def batches(facts: Facts) -> list[Chart]:
    """Return the time of a sample against the samples in a call, of what is recommended."""
    series = [
        Series(
            each.name,
            [time.batch for time in each.batches],
            [1e6 * time.call_s / time.batch for time in each.batches],
            Kind.LINE_AND_POINTS,
            colour=place,
            y_low=[1e6 * time.low_s / time.batch for time in each.batches],
            y_high=[1e6 * time.high_s / time.batch for time in each.batches],
        )
        for place, each in enumerate(each for each in facts.entrants if each.batches)
    ]
    x, y = Axis("samples in a call", log=True), Axis("time of a sample [µs]", log=True)
    note = (
        "As the artefact serves them: it was lowered for the deployment's batch, and fills it up. "
        "Calls of more than half a second are left out."
    )
    return [Chart("batches", "Other batch sizes", x, y, tuple(series), note)]


def hypervolume(facts: Facts) -> list[Chart]:
    """Return how the hypervolume grew over trials and over time."""
    found = facts.course.found
    if not found:
        return []
    volume = [each.hypervolume for each in found]
    y = Axis("hypervolume [decades²]")
    return [
        Chart(
            "hypervolume-trials",
            "Hypervolume over trials",
            Axis("trials that have ended"),
            y,
            (Series("hypervolume", [each.trials for each in found], volume, Kind.STEP),),
        ),
        Chart(
            "hypervolume-time",
            "Hypervolume over time",
            Axis("time [h]"),
            y,
            (Series("hypervolume", [each.hours for each in found], volume, Kind.STEP),),
        ),
    ]


def workers(facts: Facts) -> list[Chart]:
    """Return how many workers were busy over time, and what with."""
    use = facts.course.use
    if not use.points:
        return []
    hours = [hour for hour, _ in use.points]
    all_of_them = [facts.spec.workers, facts.spec.workers]
    stages = [(name, seconds) for name, seconds in use.by_stage_s.items()][::-1]
    return [
        Chart(
            "workers",
            "Busy workers",
            Axis("time [h]"),
            Axis("workers"),
            (
                Series("busy", hours, [busy for _, busy in use.points], Kind.STEP),
                Series("all", [hours[0], hours[-1]], all_of_them, Kind.DOTTED, colour=None),
            ),
        ),
        Chart(
            "stages",
            "What trials spend their time on",
            Axis("time of all workers [min]"),
            Axis(""),
            (
                Series(
                    "stage",
                    [seconds / 60.0 for _, seconds in stages],
                    [name for name, _ in stages],
                    Kind.BARS,
                    listed=False,
                ),
            ),
            height=120 + 28 * len(stages),
        ),
    ]
