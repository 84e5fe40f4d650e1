"""The facts of a diagnosis drawn with plotly; colours are safe for the colour-blind."""

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
STEEP_BOUND = 20.0
"""A host that could become faster than so is drawn on a logarithmic axis."""

MAX_LABEL_LENGTH = 28
MAX_LABELLED_CELLS = 120
"""Cells of a heat map that have their value written in."""

MAX_PARTS = 16
"""Parts of a profile that are drawn; the table holds all."""


def host_parts(host: HostShare) -> go.Figure:
    """Return the share of the host's time that each part takes, the kernel's in colour."""
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
    _name_places(figure, "y", names)
    return apply_layout(figure, 110 + 30 * len(parts), legend=False)


def host_bound(host: HostShare) -> go.Figure:
    """Return Amdahl's bound: the host's speed-up against the kernel's, and where it ends."""
    kernel = np.geomspace(1.0, FASTEST_KERNEL, 121)
    marks = [(fast, bound) for fast, bound in host.bounds if math.isfinite(fast)]
    limit = amdahl(host.fraction, math.inf)
    hosts = [amdahl(host.fraction, float(fast)) for fast in kernel]
    figure = go.Figure(_line("host", kernel.tolist(), hosts, BLUE, "solid"))
    figure.add_trace(
        go.Scatter(
            name="in the table",
            x=[fast for fast, _ in marks],
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
    """Return what the inputs leave open of each field, by every estimator and by measurement."""
    figure = go.Figure()
    places = list(range(len(floors)))
    estimates = (
        ("quoted", [each.share for each in floors], "circle", BLUE),
        ("Gamma test", [each.gamma for each in floors], "triangle-up-open", VERMILION),
        ("Delta test", [each.delta for each in floors], "square-open", GREEN),
        ("same inputs twice", [each.spread for each in floors], "x-thin-open", PURPLE),
    )
    names = escape_labels([each.field for each in floors])
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
    figure.update_xaxes(title="left open [% of the output's deviation]", rangemode="tozero")
    _name_places(figure, "y", [each.field for each in floors])
    return apply_layout(figure, 190 + 30 * len(floors))


def correlation_map(found: Correlations) -> go.Figure:
    """Return Spearman's rank correlation of every input column with every output column."""
    rows, columns = escape_labels(found.inputs), escape_labels(found.outputs)
    figure = go.Figure(
        go.Heatmap(
            z=[list(row) for row in found.matrix],
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
    _name_places(figure, "x", found.outputs)
    _name_places(figure, "y", found.inputs)
    return apply_layout(figure, 170 + 30 * len(rows), legend=False)


def learning_curve_figure(curve: LearningCurve) -> go.Figure:
    """Return the quick model's error against samples, its fitted law, and what that foretells."""
    most = float(curve.points[-1][0])
    least = float(curve.points[0][0])
    ahead = [float(factor * curve.samples) for factor in (1, 2, 4) if factor * curve.samples > most]
    lines = (
        ("fitted law", np.geomspace(least, most, 40), "solid"),
        ("extrapolated", np.geomspace(most, ahead[-1], 40), "dash"),
    )
    figure = go.Figure()
    for name, samples, dash in lines:
        errors = [100.0 * curve.law.predict(float(count)) for count in samples]
        figure.add_trace(_line(name, samples.tolist(), errors, VERMILION, dash))
    counts, measured = zip(*curve.points, strict=True)
    figure.add_trace(_errors("measured", counts, measured, "circle", BLUE))
    foretold = [curve.law.predict(count) for count in ahead]
    figure.add_trace(_errors("foretold", ahead, foretold, "circle-open", VERMILION))
    ticks = [most * 2.0**-octave for octave in range(4) if most * 2.0**-octave >= 0.9 * least]
    ticks += ahead
    figure.update_xaxes(
        title="training samples",
        type="log",
        tickvals=ticks,
        ticktext=[f"{tick:,.0f}" for tick in ticks],
    )
    figure.update_yaxes(
        title="error [% of the outputs' deviation]", type="log", exponentformat="none"
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


def _name_places(figure: go.Figure, axis: str, names: Sequence[str]) -> None:
    """Write names at 0, 1, ... of an axis: as categories, two that are equal would be one."""
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
