"""Data of the report's scripts: every trial as JSON, for the table, the front and the drawer."""

import json
import math
from typing import Any

from markupsafe import Markup

from problems.errors import printable
from reports.views import FinalistView, ReportData, TrialView
from reports.views.encodings import front_trials, typical_max_error
from reports.views.trials import rerun_command
from search.run.records import State

NUMBER_PLACEHOLDER = "NUMBER"
"""Placeholder of a trial's number in the command."""

STATE_LABELS = {
    State.COMPLETE: "complete",
    State.STOPPED: "stopped early",
    State.INFEASIBLE: "failed",
}


def explorer_data(facts: ReportData) -> Markup:
    """Return the data that the scripts read, as JSON that can't end its script element."""
    front = {trial.number for trial in front_trials(facts.trials)}
    # Many trials fail in the same way: each traceback is listed once, and trials hold its index.
    tracebacks = list(dict.fromkeys(trial.traceback for trial in facts.trials if trial.traceback))
    indices = {trace: index for index, trace in enumerate(tracebacks)}
    # Trials hold their parameters, which are half of a row.
    chosen = dict.fromkeys(name for trial in facts.trials for name in trial.parameters)
    data = {
        "objective": {"name": facts.objective.name, "unit": facts.objective.unit},
        "speed": facts.speed_scale.title,
        "speed_noun": facts.speed_scale.noun,
        "memory": bool(facts.spec.extra_objectives),
        "encodings": [view.name for view in facts.encodings],
        "command": rerun_command(facts.spec, NUMBER_PLACEHOLDER),
        "typical_max": typical_max_error(facts.trials, facts.finalists),
        "recommended": facts.recommendation.trial.number if facts.recommendation else None,
        "tracebacks": tracebacks,
        "trials": [_trial(trial, front, indices) for trial in facts.trials],
        "columns": list(facts.rows[0]) if facts.rows else [],
        "chosen": list(chosen),
        "rows": {
            str(row["trial"]): [cell for name, cell in row.items() if name not in chosen]
            for row in facts.rows
        },
        "differing": [f.trial for f in facts.finalists if f.search_speedup is not None],
        "finalists": [_finalist(finalist) for finalist in facts.finalists if finalist.test],
    }
    return json_for_script(data)


def json_for_script(value: object) -> Markup:
    """Return a value as JSON that neither ends its script element nor begins a comment."""
    text = json.dumps(_finite(value), separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704 - JSON, its "<" escaped


def _finite(value: Any) -> Any:
    """Return a value that JSON has: None in place of NaN and infinity, texts made printable."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {printable(str(name)): _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def _trial(trial: TrialView, front: set[int], traceback_indices: dict[str, int]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "number": trial.number,
        "training": trial.training,
        "resumes": trial.resumes,
        "state": STATE_LABELS[trial.state],
        "encoding": trial.encoding,
        "family": trial.family,
        "network": trial.network,
        "deployment": trial.deployment,
        "error": trial.error,
        "speedup": trial.speedup,
        "low": trial.speedup_low,
        "high": trial.speedup_high,
        "time": trial.time_us,
        "memory": None if trial.memory_bytes is None else trial.memory_bytes / 1e3,
        "stage": trial.stage,
        "reason": trial.reason,
        "traceback": traceback_indices.get(trial.traceback),
        "key": trial.key,
        "parameters": trial.parameters,
        "rungs": [(rung.share, rung.error) for rung in trial.rungs],
        "metrics": trial.metrics,
        "seconds": {stage: round(seconds, 3) for stage, seconds in trial.durations_s.items()},
        "ended": trial.ended,
        "weights": trial.weights,
        "hash": trial.artefact_hash,
        "front": trial.number in front or None,
        "derived": trial.derived or None,
    }
    return {name: value for name, value in fields.items() if value not in (None, "", [], {})}


def _finalist(finalist: FinalistView) -> dict[str, Any]:
    test, timing = finalist.test, finalist.timing
    return {
        "name": finalist.name,
        "trial": finalist.trial,
        "encoding": finalist.encoding,
        "error": [test.value, test.low, test.high] if test else None,
        "speedup": [timing.speedup, timing.speedup_low, timing.speedup_high],
        "front": finalist.on_front,
    }
