"""Checks of the components that use the data: score, baselines, encodings, host."""

# The objects of a user's problem may have other types than declared: these checks test that.
# pyright: reportUnnecessaryIsInstance=false

import pickle
from collections.abc import Iterator, Mapping
from typing import cast

import numpy as np

from problems.contract.evidence import (
    Evidence,
    FittedEncoding,
    differing_fields,
    nearest_rows,
)
from problems.data.simulate import finite_samples, run_isolating_failures
from problems.encodings.finiteness import explain_not_finite, is_finite
from problems.errors import UserError
from problems.interfaces.batch_checks import mismatches, out_of_range
from problems.interfaces.pictures import Picture
from problems.interfaces.types import (
    Batch,
    Encoding,
    Layout,
    Pairs,
    Split,
    Target,
    n_samples,
    take_samples,
)

ROUND_TRIP_TOLERANCE = 1e-3
"""Largest error of a network that returns every target: the error of float32 pairs."""

SMALLEST_ERROR = 1e-12
"""A search takes the logarithm of an error, and smaller ones count as this."""

INDEPENDENCE_TOLERANCE = 1e-4
"""Largest difference of the pairs of a sample between two batches, in scaled units: rounding."""


def reference_scores_zero(evidence: Evidence) -> Iterator[str]:
    """Check that the reference scores 0 against itself, and wrong outputs score more."""
    problem, test = evidence.problem, evidence.data.test
    score = problem.fitted_score(evidence.data.train)
    metrics = score(test.outputs, test.outputs, test.inputs)
    if not isinstance(metrics, Mapping):
        kind = type(metrics).__name__
        yield f"score returns a {kind}; return a dictionary such as {{'error': value}}"
        return
    for metric in problem.metrics:
        if metric.name not in metrics:
            names = ", ".join(metrics) or "none"
            yield f"score lacks the metric {metric.name!r} (it has: {names}); return or rename it"
        elif not np.isscalar(metrics[metric.name]) or not np.isfinite(metrics[metric.name]):
            yield f"score: metric {metric.name!r} of the reference itself isn't a finite number"
    name = problem.objective.name
    if metrics.get(name, 0.0) != 0.0:
        yield f"the reference scores {metrics[name]:g} in {name!r} against itself, not 0"
    if any(encoding.target is Target.DISTRIBUTION for encoding in problem.encodings.values()):
        # Samples of a distribution are as good in any order, so exchanged samples are not wrong.
        error_kind, index = "are all alike", np.zeros(len(test), dtype=int)
    else:
        error_kind, index = "belong to other samples", np.roll(np.arange(len(test)), 1)
    error = score(take_samples(test.outputs, index), test.outputs, test.inputs).get(name, 1.0)
    if not error > 0.0:
        yield (
            f"score: {name!r} is {error:g} for predictions that {error_kind}; it must be above 0 "
            "where a prediction is wrong"
        )
    elif not SMALLEST_ERROR <= error < np.inf:
        yield (
            f"score: {name!r} is {error:g} for predictions that {error_kind}; errors below "
            f"{SMALLEST_ERROR:g} count as none, and an infinite one as a failure: divide it by a "
            "scale of the outputs"
        )


def baselines_are_valid(evidence: Evidence) -> Iterator[str]:
    """Check the outputs of every baseline, and of the ceiling if there is one.

    A baseline may fail on some samples, for which it returns NaN.
    """
    problem = evidence.problem.fitted(evidence.data.train)
    inputs = evidence.data.test.inputs
    runs = {f"baseline {name!r}": run for name, run in problem.baseline_runs.items()}
    if problem.ceiling is not None:
        runs["ceiling"] = problem.ceiling
    for label, run in runs.items():
        try:
            outputs, reasons = run_isolating_failures(
                run, problem.outputs, inputs, np.random.default_rng(0), label
            )
        except UserError as error:
            yield str(error)
            continue
        finite = np.flatnonzero(finite_samples(outputs, n_samples(inputs)))
        if not len(finite):
            yield f"{label} fails on every sample of the test split: {reasons[0]}"
        for message in out_of_range(take_samples(outputs, finite), problem.outputs):
            yield f"{label}: {message}"


def pairs_are_valid(evidence: Evidence) -> Iterator[str]:
    """Check the statistics of every encoding, and its training pairs."""
    for fitted in evidence.fitted_encodings:
        label, encoding = fitted.label, fitted.encoding
        for name, values in encoding.statistics.items():
            if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiub":
                yield f"{label}: statistic {name!r} is a {type(values).__name__}; measure an array"
            elif not np.isfinite(values).all():
                yield f"{label}: statistic {name!r} is not finite; check its transform and data"
        pairs = encoding.pairs(evidence.data.train)
        yield from (f"{label}: {message}" for message in _pair_violations(encoding, pairs))
        if not is_finite(pairs):
            problem, train = evidence.problem, evidence.data.train
            reason = explain_not_finite(encoding, train, problem.inputs, problem.outputs)
            yield f"{label}: {reason}"


def _pair_violations(encoding: Encoding, pairs: Pairs) -> Iterator[str]:
    """Yield a message for each property that makes pairs unusable for training."""
    for side, array in (("inputs", pairs.inputs), ("targets", pairs.targets)):
        if array.dtype != np.float32:
            yield f"{side} are {array.dtype}; return float32"
    if len(pairs.inputs) != len(pairs.targets):
        yield f"{len(pairs.inputs)} inputs but {len(pairs.targets)} targets; pair them"
    elif pairs.targets.ndim != 2:
        yield f"targets have shape {pairs.targets.shape}; return (n, o)"
    elif encoding.target is Target.LABEL:
        yield from _label_violations(encoding, pairs)


def _label_violations(encoding: Encoding, pairs: Pairs) -> Iterator[str]:
    """Yield a message if targets are not probabilities of an event, or of classes, per place."""
    shape = pairs.inputs.shape[1:]
    places = (shape[:1] if encoding.layout is Layout.GRAPH else shape[:-1]) * encoding.aligned
    labels = pairs.targets.reshape(len(pairs.targets), int(np.prod(places)), -1)
    classes, sums = labels.shape[2], labels.sum(axis=2)
    empty = encoding.aligned & (sums == 0.0)  # an empty place has no class
    if not ((labels >= 0.0) & (labels <= 1.0)).all():
        yield "labels are no probabilities; return numbers from 0 to 1"
    elif classes > 1 and not (np.isclose(sums, 1.0, atol=1e-5) | empty).all():
        yield (
            f"the {classes} labels of a sample don't add up to 1, but a network predicts "
            "classes that exclude each other; define one class for every combination"
        )


def statistics_come_from_training(evidence: Evidence) -> Iterator[str]:
    """Check that the pairs of half a split are among the pairs of the whole split."""
    test = evidence.data.test
    half = test.take(np.arange(len(test) // 2))
    for fitted in evidence.fitted_encodings:
        all_pairs, half_pairs = fitted.test_pairs, fitted.encoding.pairs(half)
        for side, rows, all_rows in (
            ("inputs", half_pairs.inputs, all_pairs.inputs),
            ("targets", half_pairs.targets, all_pairs.targets),
        ):
            if np.any(nearest_rows(rows, all_rows)[1] > INDEPENDENCE_TOLERANCE):
                yield (
                    f"{fitted.label}: {side} of a sample change with the samples beside it; "
                    "take centres and scales in measure(train), not in pairs"
                )
                break


def _decoding_is_random(fitted: FittedEncoding) -> bool:
    """Return whether decoding a distribution draws random numbers."""
    if fitted.encoding.target is not Target.DISTRIBUTION:
        return False
    outputs = fitted.call(fitted.test.inputs, seed=1).outputs
    return bool(differing_fields(fitted.test_call.outputs, outputs))


def decoding_inverts_encoding(evidence: Evidence) -> Iterator[str]:
    """Check that an encoding around a network that returns every target gives the reference."""
    problem, test = evidence.problem, evidence.data.test
    metric = problem.objective.name
    for fitted in evidence.fitted_encodings:
        label, pairs = fitted.label, fitted.test_pairs
        outputs, recorded_inputs, changed_inputs = fitted.test_call
        for name in changed_inputs:
            yield f"{label}: apply changes the input {name!r}; copy it first"
        if not recorded_inputs:
            yield f"{label}: apply never calls the network"
            continue
        unexpected = {(str(x.dtype), x.shape[1:]) for x in recorded_inputs} - {
            ("float32", pairs.inputs.shape[1:])
        }
        for dtype, shape in unexpected:
            yield (
                f"{label}: apply calls the network with {dtype} {shape}, but it is trained on "
                f"float32 {pairs.inputs.shape[1:]}; encode alike in pairs and apply"
            )
        messages = [*mismatches(outputs, problem.outputs, len(test))]
        yield from (f"{label}: apply: {message}" for message in messages)
        if messages:
            continue
        if _decoding_is_random(fitted):
            targets = fitted.encoding.pairs(Split(test.inputs, outputs)).targets
            if not np.allclose(targets, pairs.targets, rtol=0.0, atol=ROUND_TRIP_TOLERANCE):
                yield (
                    f"{label}: outputs that apply decodes from targets don't encode to these "
                    "targets; let apply draw only what pairs leaves out"
                )
            continue
        error = problem.score(outputs, test.outputs, test.inputs)[metric]
        allowed = max(ROUND_TRIP_TOLERANCE, fitted.encoding.floor)
        if not error <= allowed:
            yield (
                f"{label}: with exact targets, {metric} is still {error:.3g} (at most "
                f"{allowed:g}); let apply invert what pairs does"
            )


def surrogate_samples_are_independent(evidence: Evidence) -> Iterator[str]:
    """Check that the outputs of a sample alone equal its outputs in a batch."""
    test = evidence.data.test
    for fitted in evidence.fitted_encodings:
        batch = fitted.test_call.outputs
        alone = fitted.call(take_samples(test.inputs, slice(1))).outputs
        if _decoding_is_random(fitted):
            for message in mismatches(alone, evidence.problem.outputs, 1):
                yield f"{fitted.label}: apply to one sample: {message}"
            continue
        for name, array in alone.items():
            if not np.allclose(array[0], batch[name][0], rtol=1e-6, atol=1e-9, equal_nan=True):
                yield (
                    f"{fitted.label}: output {name!r} of a sample depends on the samples beside "
                    "it; decode every sample separately"
                )


def problem_is_picklable(evidence: Evidence) -> Iterator[str]:
    """Check that every part of the problem can be pickled, as it is for workers."""
    for name, part in vars(evidence.problem).items():
        try:
            pickle.loads(pickle.dumps(part))  # noqa: S301 - bytes that were just written
        except (pickle.PickleError, AttributeError, TypeError) as error:
            yield f"{name}= can't be sent to workers: {error}; use module-level names, no lambda"


def calibration_runs(evidence: Evidence) -> Iterator[str]:
    """Check that the simulation of the calibration runs on two samples."""
    calibration = evidence.problem.calibration
    if calibration is not None:
        inputs = take_samples(evidence.data.test.inputs, slice(2))
        _, reasons = evidence.run(calibration.simulation, inputs, np.random.default_rng(0))
        if all(reasons):
            yield f"calibration: its simulation fails on every sample: {reasons[0]}"


def costs_are_positive(evidence: Evidence) -> Iterator[str]:
    """Check the costs of the samples of the test split; `Problem.costs` raises otherwise."""
    evidence.problem.costs(evidence.data.test.outputs)
    yield from ()


def host_runs_with_reference(evidence: Evidence) -> Iterator[str]:
    """Check that the host runs with the reference as its kernel."""
    problem = evidence.problem
    if problem.host is None or problem.simulation is None:
        return
    recorded_inputs: list[Batch] = []
    run = problem.simulation.run

    def kernel(inputs: Batch, rng: np.random.Generator) -> Batch:
        recorded_inputs.append(inputs)
        return run(inputs, rng)

    outputs = problem.host(kernel, np.random.default_rng(0))
    if not recorded_inputs:
        yield "host never calls its kernel; call kernel(inputs, rng) in place of the simulation"
        return
    for message in mismatches(recorded_inputs[0], problem.inputs, n_samples(recorded_inputs[0])):
        yield f"host: inputs of the kernel: {message}"
    if not isinstance(outputs, Mapping) or not outputs:
        yield f"host returns {type(outputs).__name__}; return a dictionary of arrays"
        return
    for name, array in outputs.items():
        if not np.isfinite(array).all():
            yield f"host: {name!r} is not finite with the reference as its kernel"
            return
    if problem.host_score is not None:
        yield from _host_score_violations(problem.host_score(outputs, outputs))


def _host_score_violations(scores: object) -> Iterator[str]:
    if not isinstance(scores, Mapping) or not scores:
        yield f"host_score returns {type(scores).__name__}; return a dictionary of figures"
        return
    for name, value in cast("Mapping[str, float]", scores).items():
        if not np.isfinite(value):
            yield f"host_score: {name!r} of the reference's own run is {value}"


def pictures_are_valid(evidence: Evidence) -> Iterator[str]:
    """Check that the pictures of the reference against itself are `Picture` values."""
    problem, test = evidence.problem, evidence.data.test
    if problem.pictures is not None:
        for picture in problem.pictures(test.outputs, test.outputs, test.inputs):
            if not isinstance(picture, Picture):
                yield f"pictures returns a {type(picture).__name__}; return Picture values"
                return
