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
    learning_curve_figure,
    noise_floors,
)
from reports.formatting import (
    format_correlation,
    format_count,
    format_duration,
    format_number,
    format_percent,
    format_speedup,
)
from reports.pages import EmbeddedFigure, embed_figure, render_page, write_page

STRONG_CORRELATION = 0.5
"""Inputs with a stronger rank correlation are told."""

Families = Mapping[tuple[Layout, Target], Sequence[str]]
"""Names of the families of networks that serve a layout and a target."""


class EncodingAdvice(NamedTuple):
    """A suggested kind of encoding, the shape of its samples and the families that serve it."""

    suggestion: Suggestion
    shape: str
    families: Sequence[str]


class LearningPoint(NamedTuple):
    """The quick model's error with so many samples; None where it was not measured."""

    samples: int
    measured: float | None
    fitted: float


def write_diagnosis(diagnosis: Diagnosis, families: Families, path: Path) -> Path:
    """Write the facts about a problem as a page and return its path.

    Args:
        diagnosis: The facts.
        families: Of networks, for each layout and target that has one.
        path: The file; an old one is replaced.

    Raises:
        UserError: It can't be written there.
    """
    return write_page(
        path, render_diagnosis(diagnosis, families), "name another file with --output"
    )


def render_diagnosis(diagnosis: Diagnosis, families: Families) -> str:
    """Return the page."""
    curve = diagnosis.enough.curve
    overall = (diagnosis.relation.overall,) if len(diagnosis.relation.fields) > 1 else ()
    return render_page(
        "diagnosis.html",
        {
            "figure": format_number,
            "percent": format_percent,
            "times": format_speedup,
            "time": format_duration,
            "counted": format_count,
            "signed": format_correlation,
        },
        facts=diagnosis,
        advised=[
            EncodingAdvice(
                each, LAYOUT_SHAPES[each.layout], families.get((each.layout, each.target), ())
            )
            for each in diagnosis.suggestions
        ],
        floors=[*diagnosis.relation.fields, *filter(None, overall)],
        strong=STRONG_CORRELATION,
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
    return abs(correlation) >= STRONG_CORRELATION


def _learnt(curve: LearningCurve) -> list[LearningPoint]:
    known = [LearningPoint(count, error, curve.law.predict(count)) for count, error in curve.points]
    beyond = (
        (curve.samples, curve.now),
        (2 * curve.samples, curve.error_at_double),
        (4 * curve.samples, curve.error_at_quadruple),
    )
    last = known[-1].samples
    return [*known, *(LearningPoint(count, None, error) for count, error in beyond if count > last)]


def _drawings(diagnosis: Diagnosis) -> dict[str, EmbeddedFigure]:
    """Return the figures by their place in the page, without those that have nothing to show."""
    host, related, curve = diagnosis.host, diagnosis.relation, diagnosis.enough.curve
    found: list[EmbeddedFigure] = []
    if host is not None:
        found.append(embed_figure("parts", "Shares of the host's time", host_parts(host)))
        found.append(
            embed_figure("bound", "Amdahl's bound of the host's speed-up", host_bound(host))
        )
    if related.fields:
        title = "What the inputs leave open of each output field"
        found.append(embed_figure("floors", title, noise_floors(related.fields)))
    if _correlated(diagnosis.correlations):
        title = "Rank correlations of inputs with outputs"
        found.append(embed_figure("correlations", title, correlation_map(diagnosis.correlations)))
    if curve is not None:
        found.append(
            embed_figure("curve", "Learning curve of the quick model", learning_curve_figure(curve))
        )
    return {each.element: each for each in found}


def _correlated(found: Correlations) -> bool:
    return bool(found.inputs and found.outputs)
