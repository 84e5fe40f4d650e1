"""What the page's own script is given: every trial as plain values, for table, front and drawer."""

import json
import math
from typing import Any

from markupsafe import Markup

from reports.views import FinalistView, ReportData, TrialView
from reports.views.encodings import front_trials, typical_max_error
from reports.views.trials import rerun_command
from search.run.records import State

NUMBER_PLACEHOLDER = "NUMBER"
"""Stands in the command for a trial's number."""

STATES = {State.COMPLETE: "complete", State.STOPPED: "stopped", State.INFEASIBLE: "failed"}
"""In the page's words: "pruned" is said of networks alone."""


def payload(facts: ReportData) -> Markup:
    """Return what the script reads, as JSON that can't end the element it lies in."""
    front = {trial.number for trial in front_trials(facts.trials)}
    # Many trials fail in the same way: each traceback is there once, trials name its place.
    traces = list(dict.fromkeys(each.traceback for each in facts.trials if each.traceback))
    places = {trace: place for place, trace in enumerate(traces)}
    found = {
        "objective": {"name": facts.objective.name, "unit": facts.objective.unit},
        "memory": bool(facts.spec.extra_objectives),
        "encodings": [view.name for view in facts.encodings],
        "command": rerun_command(facts.spec, NUMBER_PLACEHOLDER),
        "usual": typical_max_error(facts.trials, facts.finalists),
        "knee": facts.choice.trial.number if facts.choice else None,
        "traces": traces,
        "trials": [_trial(trial, front, places) for trial in facts.trials],
        "entrants": [_entrant(each) for each in facts.finalists if each.test],
    }
    return json_for_script(found)


def json_for_script(value: object) -> Markup:
    """Return JSON for a script element: nothing in it ends the element or begins a comment."""
    text = json.dumps(_finite(value), separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704 - JSON, its "<" escaped


def _finite(value: Any) -> Any:
    """Return a value with None for what JSON has no number for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(name): _finite(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return value


def _trial(trial: TrialView, front: set[int], traces: dict[str, int]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "number": trial.number,
        "of": trial.training,
        "on": trial.resumes,
        "state": STATES[trial.state],
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
        "trace": traces.get(trial.traceback),
        "key": trial.key,
        "chosen": trial.parameters,
        "rungs": [(rung.share, rung.error) for rung in trial.rungs],
        "metrics": trial.metrics,
        "seconds": {name: round(each, 3) for name, each in trial.durations_s.items()},
        "ended": trial.ended,
        "weights": trial.weights,
        "hash": trial.artefact_hash,
        "front": trial.number in front or None,
    }
    return {name: value for name, value in found.items() if value not in (None, "", [], {})}


def _entrant(each: FinalistView) -> dict[str, Any]:
    test, timing = each.test, each.timing
    return {
        "name": each.name,
        "trial": each.trial,
        "encoding": each.encoding,
        "error": [test.value, test.low, test.high] if test else None,
        "speedup": [timing.speedup, timing.speedup_low, timing.speedup_high],
        "front": each.on_front,
    }
