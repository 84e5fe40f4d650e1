"""The page of `simstead diagnose`: one HTML file that asks nothing of a network."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from problems import UserError
from problems.core import LAYOUTS, Layout, Target
from problems.diagnosis import Correlations, Diagnosis, LearningCurve, Suggestion
from problems.diagnosis.columns import MOST_ELEMENTS
from problems.diagnosis.enough import MOST_SAMPLES as MOST_TRAINED
from problems.diagnosis.host import RUNS
from problems.diagnosis.relation import MOST_SAMPLES as MOST_COMPARED
from problems.durable import written_whole
from reports.diagnosis_figures import (
    correlation_map,
    host_bound,
    host_parts,
    learning_curve,
    noise_floors,
)
from reports.html import MISSING, Drawing, drawing, page

STRONG = 0.5
"""Inputs with a stronger rank correlation are told."""

NO_SHARE = 1e-5
"""A share below this one, and above 0, is only said to be below it."""

UNITS_OF_TIME = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"))

Families = Mapping[tuple[Layout, Target], Sequence[str]]
"""Names of the families of networks that serve a layout and a target."""


class Advised(NamedTuple):
    """A suggested kind of encoding, the shape of its samples and the families that serve it."""

    suggestion: Suggestion
    shape: str
    families: Sequence[str]


class Learnt(NamedTuple):
    """The quick model's error with so many samples; None where it was not measured."""

    samples: int
    measured: float | None
    by_law: float


def write_diagnosis(diagnosis: Diagnosis, families: Families, path: Path) -> Path:
    """Write the facts about a problem as a page and return its path.

    Args:
        diagnosis: The facts.
        families: Of networks, for each layout and target that has one.
        path: The file; an old one is replaced.

    Raises:
        UserError: It can't be written there.
    """
    remedy = "name another file with --output"
    if path.is_dir():
        raise UserError(f"{path} can't be written (it is a folder); {remedy}")
    written = render(diagnosis, families)
    try:
        with written_whole(path) as file:
            file.write(written.encode())
    except OSError as error:
        raise UserError(f"{path} can't be written ({error.strerror}); {remedy}") from error
    return path


def render(diagnosis: Diagnosis, families: Families) -> str:
    """Return the page."""
    curve = diagnosis.enough.curve
    overall = (diagnosis.relation.overall,) if len(diagnosis.relation.fields) > 1 else ()
    return page(
        "diagnosis.html",
        {
            "figure": rounded,
            "percent": percent,
            "times": times,
            "time": duration,
            "counted": counted,
            "signed": signed,
        },
        facts=diagnosis,
        advised=[
            Advised(each, LAYOUTS[each.layout], families.get((each.layout, each.target), ()))
            for each in diagnosis.suggestions
        ],
        floors=[*diagnosis.relation.fields, *filter(None, overall)],
        strong=STRONG,
        twins=[each for each in diagnosis.correlations.strongest_inputs if _strong(each.value)],
        learnt=[] if curve is None else _learnt(curve),
        drawings=_drawings(diagnosis),
        caps={
            "elements": MOST_ELEMENTS,
            "compared": MOST_COMPARED,
            "trained": MOST_TRAINED,
            "runs": RUNS,
        },
    )


def rounded(value: float | None) -> str:
    """Return a number with three significant figures, without an exponent where it is handy."""
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0.0 else "-∞"
    short = float(f"{value:.3g}")
    if abs(short) >= 1000.0:
        return f"{short:,.0f}" if abs(short) < 1e7 else f"{short:.3g}"
    return f"{short:.3g}"


def signed(value: float) -> str:
    """Return a correlation with its sign."""
    return f"{value:+.2f}"


def percent(share: float | None) -> str:
    """Return a share in per cent, with three significant figures at most."""
    if share is None or math.isnan(share):
        return MISSING
    if 0.0 < share < NO_SHARE:
        return f"< {rounded(100.0 * NO_SHARE)} %"
    if 0.9995 <= share < 1.0:
        return "> 99.9 %"
    return f"{rounded(100.0 * share)} %"


def times(speedup: float) -> str:
    """Return a speed-up."""
    return "infinite" if math.isinf(speedup) else f"{rounded(speedup)}x"


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    if math.isfinite(seconds):
        for length, unit in UNITS_OF_TIME:
            if seconds >= length:
                return f"{rounded(seconds / length)} {unit}"
    return f"{rounded(1e6 * seconds)} µs"


def counted(number: int, thing: str) -> str:
    """Return a number of things."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def _strong(correlation: float) -> bool:
    return abs(correlation) >= STRONG


def _learnt(curve: LearningCurve) -> list[Learnt]:
    known = [Learnt(count, error, curve.law.at(count)) for count, error in curve.points]
    beyond = (
        (curve.samples, curve.now),
        (2 * curve.samples, curve.at_double),
        (4 * curve.samples, curve.at_quadruple),
    )
    last = known[-1].samples
    return [*known, *(Learnt(count, None, error) for count, error in beyond if count > last)]


def _drawings(diagnosis: Diagnosis) -> dict[str, Drawing]:
    """Return the figures by their place in the page, without those that have nothing to show."""
    host, related, curve = diagnosis.host, diagnosis.relation, diagnosis.enough.curve
    found: list[Drawing] = []
    if host is not None:
        found.append(drawing("parts", "Shares of the host's time", host_parts(host)))
        found.append(drawing("bound", "Amdahl's bound of the host's speed-up", host_bound(host)))
    if related.fields:
        title = "What the inputs leave open of each output field"
        found.append(drawing("floors", title, noise_floors(related.fields)))
    if _correlated(diagnosis.correlations):
        title = "Rank correlations of inputs with outputs"
        found.append(drawing("correlations", title, correlation_map(diagnosis.correlations)))
    if curve is not None:
        found.append(drawing("curve", "Learning curve of the quick model", learning_curve(curve)))
    return {each.element: each for each in found}


def _correlated(found: Correlations) -> bool:
    return bool(found.inputs and found.outputs)
