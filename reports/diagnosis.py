"""The page of `simstead diagnose`: one HTML file that asks nothing of a network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from problems.diagnosis import Correlations, Diagnosis, LearningCurve, Suggestion
from problems.diagnosis.columns import MAX_ELEMENTS
from problems.diagnosis.host import HOST_RUNS
from problems.diagnosis.learning_curve import MAX_SAMPLES as MOST_TRAINED
from problems.diagnosis.noise_floor import MAX_SAMPLES as MOST_COMPARED
from problems.interfaces.types import LAYOUT_SHAPES, Layout, Target
from reports.diagnosis_figures import (
    correlation_map,
    host_bound,
    host_parts,
    learning_curve,
    noise_floors,
)
from reports.formatting import counted, duration, percent, rounded, signed, times
from reports.pages import Drawing, drawing, page, written

STRONG = 0.5
"""Inputs with a stronger rank correlation are told."""

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
    return written(path, render(diagnosis, families), "name another file with --output")


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
            Advised(each, LAYOUT_SHAPES[each.layout], families.get((each.layout, each.target), ()))
            for each in diagnosis.suggestions
        ],
        floors=[*diagnosis.relation.fields, *filter(None, overall)],
        strong=STRONG,
        twins=[each for each in diagnosis.correlations.strongest_inputs if _strong(each.value)],
        learnt=[] if curve is None else _learnt(curve),
        drawings=_drawings(diagnosis),
        caps={
            "elements": MAX_ELEMENTS,
            "compared": MOST_COMPARED,
            "trained": MOST_TRAINED,
            "runs": HOST_RUNS,
        },
    )


def _strong(correlation: float) -> bool:
    return abs(correlation) >= STRONG


def _learnt(curve: LearningCurve) -> list[Learnt]:
    known = [Learnt(count, error, curve.law.predict(count)) for count, error in curve.points]
    beyond = (
        (curve.samples, curve.now),
        (2 * curve.samples, curve.error_at_double),
        (4 * curve.samples, curve.error_at_quadruple),
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
