"""Checks of the declarations of a problem, which need no compute."""

# The objects of a user's problem may have other types than declared: these checks test that.
# pyright: reportUnnecessaryIsInstance=false

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from problems.contract.evidence import Evidence
from problems.data.dataset import MIN_SAMPLES
from problems.data.recorded import check_recorded
from problems.errors import UserError
from problems.interfaces.policies import PolicyEncoding
from problems.interfaces.problem import BaselineMargin, FittedBaseline, Metric, Problem
from problems.interfaces.types import Encoding, Field, Layout, Target
from problems.provenance import identity

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
"""Pattern of names that are used for folders in the cache and for branches of the search."""


def names_are_valid(evidence: Evidence) -> Iterator[str]:
    """Check the names of problem, encodings and baselines."""
    problem = evidence.problem
    for label, name in (
        ("name", problem.name),
        *((f"encodings: {name!r}", name) for name in _keys(problem.encodings)),
    ):
        if not isinstance(name, str) or not NAME.fullmatch(name):
            yield f"{label} {name!r} should be letters, digits, '-', '_' and '.', such as 'my-case'"
    for name in _keys(problem.baselines):
        if not isinstance(name, str) or not name.strip() or name.startswith("trial "):
            yield f"baselines: {name!r} is no name for a baseline; give the method's name"


def fields_are_complete(evidence: Evidence) -> Iterator[str]:
    """Check the names, units, axes and ranges of the declared fields."""
    for label, source in (*evidence.simulations, ("data", evidence.problem.data)):
        if source is None:
            continue
        for side in ("inputs", "outputs"):
            fields = getattr(source, side, None)
            if not isinstance(fields, Sequence) or not fields:
                yield f"{label}.{side} is {fields!r}; give a tuple of at least one Field"
                continue
            for field in fields:
                yield from (f"{label}.{side}: {message}" for message in _field_violations(field))
            counted = Counter(field.name for field in fields if isinstance(field, Field))
            for name, times in counted.items():
                if times > 1:
                    yield f"{label}.{side}: field {name!r} is declared {times} times; rename one"


def _field_violations(field: Any) -> Iterator[str]:
    if not isinstance(field, Field):
        yield f"{field!r} is a {type(field).__name__}; declare it as Field(name, shape, unit)"
        return
    if not str(field.name).isidentifier():
        yield f"field {field.name!r} needs a name of letters, digits and '_'"
    if not field.unit:
        yield f"field {field.name!r} has no unit; state it, '1' where there is none"
    if not all(isinstance(n, int) and n > 0 for n in field.shape):
        yield f"field {field.name!r} has shape {field.shape}; give whole numbers above 0"
    if field.axes and len(field.axes) != len(field.shape):
        yield (
            f"field {field.name!r} has {len(field.shape)} axes, {len(field.axes)} named "
            f"({', '.join(field.axes)}); name each axis of its shape once"
        )
    low, high = field.valid
    if not low < high:
        yield f"field {field.name!r} has the empty range [{low:g}, {high:g}]; put the smaller first"


def simulation_is_identifiable(evidence: Evidence) -> Iterator[str]:
    """Check the methods of simulations, and the parameters from which their hash is computed."""
    for label, simulation in evidence.simulations:
        for method in ("draw", "run"):
            if not callable(getattr(simulation, method, None)):
                yield f"{label}: {type(simulation).__name__} has no method {method!r}; write one"
        try:
            identity(simulation)
        except UserError as error:
            yield f"{label}: {error}"
    yield from _split_violations(evidence.problem)


def _split_violations(problem: Problem) -> Iterator[str]:
    for split in problem.held_out:
        if split not in ("validation", "test"):
            yield f"held_out: {split!r} isn't held out; give 'validation', 'test' or both"
    for split, simulation in problem.split_simulations.items() if problem.simulation else ():
        for side in ("inputs", "outputs"):
            if getattr(problem.simulation, side) != getattr(simulation, side):
                yield f"{split}: its {side} differ from the simulation's; declare the same fields"
    if problem.held_out and problem.data:
        yield "held_out: data are given; hold out groups with Recorded(group=NAME)"
    if problem.shifted and problem.data:
        yield "shifted: data are given; hold some of them out with Recorded(shifted=Beyond(FIELD))"


def encodings_are_valid(evidence: Evidence) -> Iterator[str]:
    """Check the encodings without fitting them."""
    encodings = evidence.problem.encodings
    if not encodings:
        yield "encodings is empty; give at least one: {'flat': FlatEncoding(INPUTS, OUTPUTS)}"
        return
    if not isinstance(encodings, Mapping):
        yield f"encodings is a {type(encodings).__name__}; give a dictionary from name to encoding"
        return
    for name, encoding in encodings.items():
        if not isinstance(encoding, Encoding):
            text = "a class; call it" if isinstance(encoding, type) else f"{encoding!r}"
            yield f"encoding {name!r} is {text}; give an instance of a subclass of Encoding"
            continue
        if "__dataclass_fields__" not in vars(type(encoding)):
            yield (
                f"encoding {name!r}: {type(encoding).__name__} is no dataclass; decorate it with "
                "@dataclass(frozen=True, eq=False)"
            )
        for attribute, kind in (("layout", Layout), ("target", Target)):
            value = getattr(encoding, attribute, None)
            if value not in list(kind):
                members = ", ".join(f"{kind.__name__}.{member.name}" for member in kind)
                yield f"encoding {name!r} has {attribute} {value!r}; set it to one of {members}"
        is_policy = getattr(encoding, "target", None) == Target.POLICY
        if is_policy and not isinstance(encoding, PolicyEncoding):
            yield f"encoding {name!r} is a policy without environment; use a PolicyEncoding"


def settings_are_fields(evidence: Evidence) -> Iterator[str]:
    """Check that settings are plain values, and fields where `configured` sets fields."""
    for name, encoding, settings in evidence.configurations():
        sets_fields = type(encoding).configured is Encoding.configured
        for setting, value in settings.items():
            if sets_fields and setting not in type(encoding).__dataclass_fields__:
                yield (
                    f"encoding {name!r}: setting {setting!r} is no field of "
                    f"{type(encoding).__name__}; add it to the dataclass"
                )
            elif not isinstance(value, str | int | float | bool):
                yield (
                    f"encoding {name!r}: setting {setting!r} is a {type(value).__name__}; "
                    "choose among numbers, strings and booleans"
                )


def score_and_metrics_are_valid(evidence: Evidence) -> Iterator[str]:
    """Check the types of score, metrics, baselines and other functions."""
    problem = evidence.problem
    for label, function in (
        ("score", problem.score),
        *((f"baseline {name!r}", run) for name, run in problem.baselines.items()),
        *(
            (name, function)
            for name, function in (
                ("ceiling", problem.ceiling),
                ("cost", problem.cost),
                ("host", problem.host),
                ("host_score", problem.host_score),
                ("pictures", problem.pictures),
            )
            if function is not None
        ),
    ):
        if not callable(function) and not isinstance(function, FittedBaseline):
            yield f"{label} is a {type(function).__name__}; give a function"
        elif isinstance(function, type):
            yield f"{label} is the class {function.__name__}; call it"
    for metric in problem.metrics:
        if not isinstance(metric, Metric):
            yield f"metrics: {metric!r} is no Metric; write Metric(name, unit, description)"
            return
    names = Counter(metric.name for metric in problem.metrics)
    yield from (
        f"metrics: {name!r} is declared twice; rename one" for name, n in names.items() if n > 1
    )
    if problem.objective.higher_is_better:
        yield (
            f"metrics: the first, {problem.objective.name!r}, is the objective and must be "
            "lower when better; put an error first, or return 1 minus it"
        )


def sizes_are_valid(evidence: Evidence) -> Iterator[str]:
    """Check the numbers in samples, epochs, deployment, calibration and version."""
    problem = evidence.problem
    if problem.samples is not None:
        for split, minimum in MIN_SAMPLES.items():
            n = getattr(problem.samples, split)
            if not isinstance(n, int) or n < minimum:
                yield f"samples: {split} is {n!r}; give {minimum} or more"
    for label, value in (
        ("epochs", 1 if problem.epochs is None else problem.epochs),
        ("version", problem.version),
        *(("deployment: a batch", batch) for batch in problem.deployment.batches),
        ("deployment: threads", problem.deployment.threads),
    ):
        if not isinstance(value, int) or value < 1:
            yield f"{label} is {value!r}; give a whole number, 1 or more"
    if problem.calibration:
        if not 0.0 < problem.calibration.share <= 1.0:
            yield f"calibration: share is {problem.calibration.share:g}; give it in (0, 1]"
        if problem.calibration.samples < 1:
            yield f"calibration: samples is {problem.calibration.samples}; give 1 or more"
        if not problem.timed:
            yield "calibration: it times what timed=False says isn't timed; remove one of them"


def goals_are_valid(evidence: Evidence) -> Iterator[str]:
    """Check the values of goals and profile."""
    problem = evidence.problem
    error, speedup = problem.goals.error, problem.goals.speedup
    if isinstance(error, BaselineMargin):
        if not problem.baselines and not problem.standard_baselines:
            yield "goals: the error is relative to a baseline, and there is none; add baselines="
        if not -1.0 < error.worse_by < math.inf:
            yield f"goals: worse_by is {error.worse_by:g}; give a number above -1; 0.01 is 1 %"
    elif error is not None and not 0.0 < error < math.inf:
        yield f"goals: error is {error:g}; give a positive figure in {_unit(problem)}"
    if speedup is not None and not 0.0 < speedup < math.inf:
        yield f"goals: speedup is {speedup:g}; give a factor above 0, such as 10"
    if speedup is not None and not problem.reference_has_time:
        remedy = "give cost_s= of Recorded" if problem.data else "leave timed=False out"
        yield f"goals: speedup is over the reference, which has no time; {remedy}"
    if problem.profile:
        parts = problem.profile.parts
        if problem.profile.kernel not in parts:
            yield (
                f"profile: kernel {problem.profile.kernel!r} is none of its parts; "
                f"name one of {', '.join(parts)}"
            )
        if not parts or any(not time >= 0.0 for time in parts.values()) or not sum(parts.values()):
            yield "profile: parts need times of 0 or more, not all 0"


def recorded_data_exist(evidence: Evidence) -> Iterator[str]:
    """Check that the files of recorded data exist and have the fields, without reading all rows."""
    if evidence.problem.data is not None:
        yield from check_recorded(evidence.problem.data)


def _unit(problem: Problem) -> str:
    return f"{problem.objective.name} [{problem.objective.unit}]"


def _keys(named: Any) -> list[Any]:
    return list(named) if isinstance(named, Mapping) else []
