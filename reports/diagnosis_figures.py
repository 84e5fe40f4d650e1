"""Figures of a diagnosis, drawn with plotly in colours that are safe for the colour-blind."""

import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from problems.diagnosis import Correlations, HostShare, LearningCurve, NoiseFloor
from problems.diagnosis.host import amdahl
from reports.plotly_figures import COLOURS, GREY, apply_layout, escape_labels

BLUE, VERMILION, GREEN, PURPLE = COLOURS[:4]
DIVERGING = [[0.0, BLUE], [0.5, "#f3f3f3"], [1.0, VERMILION]]
FASTEST_KERNEL = 1000.0
"""Largest speed-up of the kernel in the figure."""

STEEP_BOUND = 20.0
"""With a larger bound of the host's speed-up its axis is logarithmic."""

MAX_LABEL_LENGTH = 28
"""Longest label on an axis; longer ones are shortened."""

MAX_LABELLED_CELLS = 120
"""Largest number of cells of a heat map that show their values."""

MAX_PARTS = 16
"""Largest number of drawn parts of a profile; the table lists all of them."""


def host_parts(host: HostShare) -> go.Figure:
    """Return the share of each part in the host's time, with the kernel in colour."""
    parts = host.parts[:MAX_PARTS]
    names = [name for name, _ in parts]
    figure = go.Figure(
        go.Bar(
            x=[100.0 * share for _, share in parts],
            y=list(range(len(parts))),
            orientation="h",
            marker={"color": [BLUE if name == host.kernel else GREY for name in names]},
            customdata=escape_labels(names),
            hovertemplate="%{customdata}: %{x:.3g} %<extra></extra>",
        )
    )
    figure.update_xaxes(title="share of the host's time [%]", rangemode="tozero")
    _label_places(figure, "y", names)
    return apply_layout(figure, 110 + 30 * len(parts), legend=False)


def host_bound(host: HostShare) -> go.Figure:
    """Return Amdahl's bound: the speed-up of the host over that of the kernel, with its limit."""
    kernel = np.geomspace(1.0, FASTEST_KERNEL, 121)
    marks = [(speedup, bound) for speedup, bound in host.bounds if math.isfinite(speedup)]
    limit = amdahl(host.fraction, math.inf)
    bounds = [amdahl(host.fraction, float(speedup)) for speedup in kernel]
    figure = go.Figure(_line("host", kernel.tolist(), bounds, BLUE, "solid"))
    figure.add_trace(
        go.Scatter(
            name="in the table",
            x=[speedup for speedup, _ in marks],
            y=[bound for _, bound in marks],
            mode="markers",
            cliponaxis=False,
            marker={"color": BLUE, "size": 8},
            hovertemplate="kernel %{x:.3g}x, host %{y:.3g}x<extra></extra>",
        )
    )
    if math.isfinite(limit):
        ends = [1.0, FASTEST_KERNEL]
        figure.add_trace(_line("infinitely fast kernel", ends, [limit, limit], VERMILION, "dash"))
    figure.update_xaxes(title="speed-up of the kernel", type="log", dtick=1, ticksuffix="x")
    figure.update_yaxes(title="speed-up of the host", ticksuffix="x", exponentformat="none")
    if limit > STEEP_BOUND:
        figure.update_yaxes(type="log", dtick=1)
    else:
        figure.update_yaxes(range=[1.0, 1.0 + 1.1 * max(limit - 1.0, 0.1)])
    return apply_layout(figure, 380)


def noise_floors(floors: Sequence[NoiseFloor]) -> go.Figure:
    """Return the noise floor of each output field by every estimator and by repeated runs."""
    figure = go.Figure()
    places = list(range(len(floors)))
    estimates = (
        ("quoted", [floor.share for floor in floors], "circle", BLUE),
        ("Gamma test", [floor.gamma for floor in floors], "triangle-up-open", VERMILION),
        ("Delta test", [floor.delta for floor in floors], "square-open", GREEN),
        ("repeated runs", [floor.spread for floor in floors], "x-thin-open", PURPLE),
    )
    names = escape_labels([floor.field for floor in floors])
    for name, shares, symbol, colour in estimates:
        if all(share is None for share in shares):
            continue
        figure.add_trace(
            go.Scatter(
                name=name,
                x=[None if share is None else 100.0 * share for share in shares],
                y=places,
                mode="markers",
                cliponaxis=False,
                marker={
                    "symbol": symbol,
                    "color": colour,
                    "size": 11,
                    "line": {"width": 2, "color": colour},
                },
                customdata=names,
                hovertemplate=f"%{{customdata}}, {name}: %{{x:.3g}} %<extra></extra>",
            )
        )
    figure.update_xaxes(
        title="noise floor [% of the output's standard deviation]", rangemode="tozero"
    )
    _label_places(figure, "y", [floor.field for floor in floors])
    return apply_layout(figure, 190 + 30 * len(floors))


def correlation_map(correlations: Correlations) -> go.Figure:
    """Return a heat map of Spearman's rank correlations, inputs as rows and outputs as columns."""
    rows = escape_labels(correlations.inputs)
    columns = escape_labels(correlations.outputs)
    figure = go.Figure(
        go.Heatmap(
            z=[list(row) for row in correlations.matrix],
            x=list(range(len(columns))),
            y=list(range(len(rows))),
            customdata=[[f"{row}, {column}" for column in columns] for row in rows],
            colorscale=DIVERGING,
            zmin=-1.0,
            zmid=0.0,
            zmax=1.0,
            xgap=1,
            ygap=1,
            texttemplate="%{z:.2f}" if len(rows) * len(columns) <= MAX_LABELLED_CELLS else None,
            colorbar={"thickness": 12, "tickvals": [-1.0, -0.5, 0.0, 0.5, 1.0], "outlinewidth": 0},
            textfont={"color": "#111111"},
            hovertemplate="%{customdata}: %{z:+.2f}<extra></extra>",
        )
    )
    _label_places(figure, "x", correlations.outputs)
    _label_places(figure, "y", correlations.inputs)
    return apply_layout(figure, 170 + 30 * len(rows), legend=False)


def learning_curve_figure(curve: LearningCurve) -> go.Figure:
    """Return the learning curve of the emulator with the fitted power law and predictions."""
    smallest, largest = float(curve.points[0][0]), float(curve.points[-1][0])
    extrapolated = [
        float(factor * curve.samples) for factor in (1, 2, 4) if factor * curve.samples > largest
    ]
    lines = (
        ("fitted power law", np.geomspace(smallest, largest, 40), "solid"),
        ("extrapolated", np.geomspace(largest, extrapolated[-1], 40), "dash"),
    )
    figure = go.Figure()
    for name, samples, dash in lines:
        errors = [100.0 * curve.law.predict(float(count)) for count in samples]
        figure.add_trace(_line(name, samples.tolist(), errors, VERMILION, dash))
    counts, measured = zip(*curve.points, strict=True)
    figure.add_trace(_errors("measured", counts, measured, "circle", BLUE))
    predicted = [curve.law.predict(count) for count in extrapolated]
    figure.add_trace(_errors("predicted", extrapolated, predicted, "circle-open", VERMILION))
    halves = [largest * 2.0**-octave for octave in range(4)]
    ticks = [count for count in halves if count >= 0.9 * smallest] + extrapolated
    figure.update_xaxes(
        title="training samples",
        type="log",
        tickvals=ticks,
        ticktext=[f"{tick:,.0f}" for tick in ticks],
    )
    figure.update_yaxes(
        title="error [% of the outputs' standard deviation]", type="log", exponentformat="none"
    )
    return apply_layout(figure, 400)


def _line(name: str, x: Sequence[float], y: Sequence[float], colour: str, dash: str) -> go.Scatter:
    line = {"color": colour, "dash": dash, "width": 2}
    return go.Scatter(name=name, x=list(x), y=list(y), mode="lines", line=line, hoverinfo="skip")


def _errors(
    name: str, samples: Sequence[float], errors: Sequence[float], symbol: str, colour: str
) -> go.Scatter:
    return go.Scatter(
        name=name,
        x=list(samples),
        y=[100.0 * error for error in errors],
        mode="markers",
        marker={
            "symbol": symbol,
            "color": colour,
            "size": 9,
            "line": {"width": 2, "color": colour},
        },
        hovertemplate="%{x:,.0f} samples: %{y:.3g} %<extra></extra>",
    )


def _label_places(figure: go.Figure, axis: str, names: Sequence[str]) -> None:
    """Label the places 0, 1, ... of an axis; as categories, equal names would share a place."""
    short = [
        name if len(name) <= MAX_LABEL_LENGTH else f"{name[: MAX_LABEL_LENGTH - 1]}…"
        for name in names
    ]
    shown = {
        "tickvals": list(range(len(names))),
        "ticktext": escape_labels(short),
        "automargin": True,
    }
    if axis == "y":
        figure.update_yaxes(shown, range=[len(names) - 0.5, -0.5], showgrid=False)
    else:
        figure.update_xaxes(shown, showgrid=False)
