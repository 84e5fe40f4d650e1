"""Facts drawn with plotly; colours are safe for the colour-blind (Okabe & Ito 2008)."""

import html
import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from problems.pictures import Picture
from reports.views import EntrantView, Facts, TrialView
from search.records import State

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SYMBOLS = ("circle", "square", "triangle-up", "cross", "x", "star")
GREY = "#8a8f98"

LARGEST_SPAN = 6.0
"""Errors that are so many times the smallest one start outside the view."""


def pareto(facts: Facts) -> go.Figure:
    """Return error against speed-up: every trial, the heat's members, the baselines, the front."""
    figure = go.Figure()
    encodings = [view.name for view in facts.encodings]
    complete = [
        trial
        for trial in facts.trials
        if trial.state == State.COMPLETE and trial.error and trial.speedup
    ]
    for i, encoding in enumerate(encodings):
        own = [trial for trial in complete if trial.encoding == encoding]
        figure.add_trace(_trials(encoding, own, i))
        members = [
            entrant
            for entrant in facts.entrants
            if entrant.trial in {trial.number for trial in own} and entrant.test
        ]
        if members:
            figure.add_trace(_members(f"{encoding}, final heat", members, i))
    baselines = [entrant for entrant in facts.entrants if entrant.trial is None and entrant.test]
    if baselines:
        figure.add_trace(_baselines(baselines))
    front = sorted(
        (entrant for entrant in facts.entrants if entrant.on_front),
        key=lambda entrant: entrant.timing.speedup,
    )
    if front:
        figure.add_trace(
            go.Scatter(
                name="front (final heat)",
                x=[entrant.timing.speedup for entrant in front],
                y=[entrant.test.value for entrant in front if entrant.test],
                mode="lines",
                line={"color": GREY, "dash": "dot", "width": 1.5},
                hoverinfo="skip",
            )
        )
    figure.update_xaxes(title="speed-up over the reference", type="log", dtick=1)
    unit = "" if facts.objective.unit == "1" else f" [{facts.objective.unit}]"
    figure.update_yaxes(title=facts.objective.name.replace("_", " ") + unit, type="log")
    errors = [trial.error for trial in complete if trial.error]
    errors += [entrant.test.value for entrant in facts.entrants if entrant.test]
    if errors:
        # A diverging surrogate may be wrong by 1e4: it stays in the figure, a zoom away.
        lowest = min(errors)
        highest = min(max(errors), lowest * LARGEST_SPAN)
        figure.update_yaxes(range=[math.log10(lowest / 2.0), math.log10(highest * 2.0)])
    return plain(figure, 520)


def _trials(encoding: str, trials: Sequence[TrialView], i: int) -> go.Scatter:
    networks = harmless([trial.network for trial in trials])
    return go.Scatter(
        name=f"{encoding}, trials (validation)",
        x=[trial.speedup for trial in trials],
        y=[trial.error for trial in trials],
        mode="markers",
        marker={
            "symbol": f"{SYMBOLS[i % len(SYMBOLS)]}-open",
            "color": COLOURS[i % len(COLOURS)],
            "size": 8,
            "opacity": 0.6,
        },
        text=[
            f"trial {trial.number}<br>{network}<br>{trial.deployment}"
            for trial, network in zip(trials, networks, strict=True)
        ],
        hovertemplate="%{text}<br>error %{y:.3g}, %{x:,.0f}x<extra></extra>",
    )


def _members(name: str, members: Sequence[EntrantView], i: int) -> go.Scatter:
    marker = {"symbol": SYMBOLS[i % len(SYMBOLS)], "color": COLOURS[i % len(COLOURS)], "size": 11}
    return _with_intervals(name, members, marker, "markers")


def _baselines(baselines: Sequence[EntrantView]) -> go.Scatter:
    marker = {"symbol": "diamond", "color": "#E69F00", "size": 12}
    return _with_intervals("baselines", baselines, marker, "markers+text")


def _with_intervals(
    name: str, entrants: Sequence[EntrantView], marker: dict[str, Any], mode: str
) -> go.Scatter:
    tests = [entrant.test for entrant in entrants if entrant.test]
    timings = [entrant.timing for entrant in entrants]
    return go.Scatter(
        name=name,
        x=[timing.speedup for timing in timings],
        y=[test.value for test in tests],
        error_x={
            "array": [timing.speedup_high - timing.speedup for timing in timings],
            "arrayminus": [timing.speedup - timing.speedup_low for timing in timings],
            "thickness": 1,
        },
        error_y={
            "array": [test.high - test.value for test in tests],
            "arrayminus": [test.value - test.low for test in tests],
            "thickness": 1,
        },
        mode=mode,
        marker=marker,
        text=harmless([entrant.name for entrant in entrants]),
        textposition="top center",
        hovertemplate="%{text}<br>test error %{y:.3g}, %{x:,.0f}x<extra></extra>",
    )


def picture(facts: Picture) -> go.Figure:
    """Return a case study's own drawing: reference solid, prediction dashed, one colour a pair."""
    figure = go.Figure()
    colours: dict[str, str] = {}
    for curve in facts.curves:
        subject = curve.name.rpartition(",")[0]
        colour = colours.setdefault(subject, COLOURS[len(colours) % len(COLOURS)])
        figure.add_trace(
            go.Scatter(
                name=harmless([curve.name])[0],
                x=list(curve.x),
                y=list(curve.y),
                mode="lines",
                opacity=0.55 if curve.reference else 1.0,
                line={
                    "color": colour,
                    "dash": "solid" if curve.reference else "dash",
                    "width": 3 if curve.reference else 1.5,
                },
            )
        )
    across, up = harmless([facts.x_label, facts.y_label])
    figure.update_xaxes(title=across)
    figure.update_yaxes(title=up)
    if facts.equal_axes:
        figure.update_yaxes(scaleanchor="x", scaleratio=1)
    return plain(figure, 400)


def plain(figure: go.Figure, height: int, *, legend: bool = True) -> go.Figure:
    """Give a figure the page's quiet looks: no box, no background, a legend above."""
    figure.update_layout(
        template="none",
        height=height,
        # Plotly's buttons lie above the legend.
        margin={"l": 70, "r": 20, "t": 70 if legend else 40, "b": 60},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        showlegend=legend,
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom"},
        hovermode="closest",
    )
    # Unseen ticks keep labels clear of each other and of marks on the edge.
    axis = {"ticks": "outside", "ticklen": 8, "tickcolor": "rgba(0,0,0,0)", "zeroline": False}
    axis["gridcolor"] = "rgba(128,128,128,0.25)"
    figure.update_xaxes(axis)
    figure.update_yaxes(axis)
    return figure


def harmless(names: Sequence[str]) -> list[str]:
    """Return names that plotly, which reads some markup in any text, shows as they are."""
    return [html.escape(name, quote=False) for name in names]
