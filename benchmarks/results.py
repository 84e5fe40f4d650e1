"""Storage of the results of benchmarks: figures as JSON and a plot, beside the file."""

import json
from pathlib import Path

import plotly.graph_objects as go


def save_results(file: str, facts: object, figure: go.Figure) -> None:
    """Write NAME.json and NAME.html beside NAME.py; infinity becomes null."""
    text = json.dumps(facts, indent=1).replace("Infinity", "null")
    Path(file).with_suffix(".json").write_text(f"{text}\n", encoding="utf-8")
    figure.update_layout(template="plotly_white")
    figure.write_html(Path(file).with_suffix(".html"), include_plotlyjs=True)
