"""The page of `simstead diagnose`: one HTML file that opens without a network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from problems.diagnosis import Diagnosis, LearningCurve, Suggestion
from problems.diagnosis.columns import MAX_ELEMENTS
from problems.diagnosis.host import HOST_RUNS
from problems.diagnosis.learning_curve import MAX_SAMPLES as MAX_TRAINING_SAMPLES
from problems.diagnosis.noise_floor import MAX_SAMPLES as MAX_COMPARED_SAMPLES
from problems.interfaces.types import LAYOUT_SHAPES, Layout, Target
from reports.diagnosis_figures import (
    correlation_map,
    host_bound,
    host_parts,
    learning_curve_figure,
    noise_floors,
)
from reports.pages import EmbeddedFigure, embed_figure, render_page, write_page

STRONG_CORRELATION = 0.5
"""Pairs of inputs with at least this rank correlation are listed."""

Families = Mapping[tuple[Layout, Target], Sequence[str]]
"""Names of the architecture families for a layout and a target."""


class EncodingAdvice(NamedTuple):
    """A suggested encoding, the shape of its samples and the architecture families for it."""

    suggestion: Suggestion
    shape: str
    families: Sequence[str]


class LearningPoint(NamedTuple):
    """The error of the emulator for a number of training samples.

    Args:
        samples: Number of training samples.
        measured: Measured error, or None for an extrapolation.
        fitted: Error by the fitted power law.
    """

    samples: int
    measured: float | None
    fitted: float


def write_diagnosis(diagnosis: Diagnosis, families: Families, path: Path) -> Path:
    """Write a diagnosis as a page and return its path.

    Args:
        diagnosis: Diagnosis of a problem.
        families: Names of the architecture families for each layout and target.
        path: File of the page, which is overwritten.

    Raises:
        UserError: The file can't be written.
    """
    return write_page(
        path, render_diagnosis(diagnosis, families), "name another file with --output"
    )


def render_diagnosis(diagnosis: Diagnosis, families: Families) -> str:
    """Return the page as HTML."""
    curve = diagnosis.enough.curve
    overall = (diagnosis.relation.overall,) if len(diagnosis.relation.fields) > 1 else ()
    return render_page(
        "diagnosis.html",
        facts=diagnosis,
        encodings=[_advice(suggestion, families) for suggestion in diagnosis.suggestions],
        floors=[*diagnosis.relation.fields, *filter(None, overall)],
        strong=STRONG_CORRELATION,
        correlated_inputs=[
            pair
            for pair in diagnosis.correlations.strongest_inputs
            if abs(pair.value) >= STRONG_CORRELATION
        ],
        learning_points=[] if curve is None else _learning_points(curve),
        figures=_figures(diagnosis),
        caps={
            "elements": MAX_ELEMENTS,
            "compared": MAX_COMPARED_SAMPLES,
            "trained": MAX_TRAINING_SAMPLES,
            "runs": HOST_RUNS,
        },
    )


def _advice(suggestion: Suggestion, families: Families) -> EncodingAdvice:
    layout = suggestion.layout
    return EncodingAdvice(
        suggestion, LAYOUT_SHAPES[layout], families.get((layout, suggestion.target), ())
    )


def _learning_points(curve: LearningCurve) -> list[LearningPoint]:
    measured = [
        LearningPoint(count, error, curve.law.predict(count)) for count, error in curve.points
    ]
    extrapolated = (
        (curve.samples, curve.now),
        (2 * curve.samples, curve.error_at_double),
        (4 * curve.samples, curve.error_at_quadruple),
    )
    last = measured[-1].samples
    return [
        *measured,
        *(LearningPoint(count, None, error) for count, error in extrapolated if count > last),
    ]


def _figures(diagnosis: Diagnosis) -> dict[str, EmbeddedFigure]:
    """Return the figures by their element in the page, without empty figures."""
    host, relation, curve = diagnosis.host, diagnosis.relation, diagnosis.enough.curve
    figures: list[EmbeddedFigure] = []
    if host is not None:
        figures.append(embed_figure("parts", "Shares of the host's time", host_parts(host)))
        figures.append(
            embed_figure("bound", "Amdahl's bound of the host's speed-up", host_bound(host))
        )
    if relation.fields:
        title = "Noise floor of each output field"
        figures.append(embed_figure("floors", title, noise_floors(relation.fields)))
    if diagnosis.correlations.inputs and diagnosis.correlations.outputs:
        title = "Rank correlations of inputs with outputs"
        figures.append(embed_figure("correlations", title, correlation_map(diagnosis.correlations)))
    if curve is not None:
        figures.append(
            embed_figure(
                "curve",
                f"Learning curve of the emulator ({curve.emulator})",
                learning_curve_figure(curve),
            )
        )
    return {figure.element: figure for figure in figures}
