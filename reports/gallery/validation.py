"""Predictions against the reference, and the errors of single samples."""

from collections.abc import Sequence

import numpy as np

from problems.pictures import Picture
from reports.charts import Axis, Chart, Kind, Series, named
from reports.views import Facts

OPEN_END = 1e-9


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
