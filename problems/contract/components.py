"""Laws of what is built on the data: score, baselines, encodings, host."""

# A user's problem need not keep to its types: these laws look.
# pyright: reportUnnecessaryIsInstance=false

import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np

from problems.contract.evidence import (
    Evidence,
    FittedEncoding,
    MemorisedNetwork,
    MemorisedSampler,
    differing_fields,
    nearest_rows,
)
from problems.data.simulate import finite_samples, run_simulation
from problems.interfaces.batch_checks import mismatches, out_of_range
from problems.interfaces.pictures import Picture
from problems.interfaces.types import (
    Array,
    Batch,
    Encoding,
    Layout,
    Pairs,
    Predict,
    Split,
    Surrogate,
    Target,
    n_samples,
    take_samples,
)

ROUND_TRIP_TOLERANCE = 1e-3
"""Largest objective of a network that knows every answer: what float32 pairs may cost."""

INDEPENDENCE_TOLERANCE = 1e-4
"""Pairs of a sample, in scaled units, may differ by rounding alone with the samples beside it."""


def reference_scores_zero(evidence: Evidence) -> Iterator[str]:
    """Score the reference against itself, and against something else."""
    problem, test = evidence.problem, evidence.data.test
    metrics = problem.score(test.outputs, test.outputs, test.inputs)
    if not isinstance(metrics, Mapping):
        kind = type(metrics).__name__
        yield f"score returns a {kind}; return a dictionary such as {{'error': value}}"
        return
    for metric in problem.metrics:
        if metric.name not in metrics:
            known = ", ".join(metrics) or "none"
            yield f"score lacks the metric {metric.name!r} (it has: {known}); return or rename it"
        elif not np.isscalar(metrics[metric.name]) or not np.isfinite(metrics[metric.name]):
            yield f"score: metric {metric.name!r} of the reference itself isn't a finite number"
    name = problem.objective.name
    if metrics.get(name, 0.0) != 0.0:
        yield f"the reference scores {metrics[name]:g} in {name!r} against itself, not 0"
    if any(encoding.target is Target.DISTRIBUTION for encoding in problem.encodings.values()):
        # Samples of a distribution may stand in any order: exchanged, they are as good.
        what, others = "are all alike", np.zeros(len(test), dtype=int)
    else:
        what, others = "belong to other samples", np.roll(np.arange(len(test)), 1)
    wrong = problem.score(take_samples(test.outputs, others), test.outputs, test.inputs).get(
        name, 1.0
    )
    if not wrong > 0.0:
        yield (
            f"score: {name!r} is {wrong:g} for predictions that {what}; it must be above 0 where "
            "a prediction is wrong"
        )


def baselines_are_valid(evidence: Evidence) -> Iterator[str]:
    """Call every baseline as the reference is called; it may fail on some samples, as NaN.

    So does the ceiling stand in, where there is one.
    """
    problem, inputs = evidence.problem.fitted(evidence.data.train), evidence.data.test.inputs
    runs = {f"baseline {name!r}": run for name, run in problem.baseline_runs.items()}
    if problem.ceiling is not None:
        runs["ceiling"] = problem.ceiling
    for what, run in runs.items():
        kept = {key: np.array(array) for key, array in inputs.items()}
        outputs = run(kept, np.random.default_rng(0))
        wrong = [*mismatches(outputs, problem.outputs, n_samples(inputs))]
        yield from (f"{what}: {words}" for words in wrong)
        if wrong:
            continue
        finite = np.flatnonzero(finite_samples(outputs, n_samples(inputs)))
        if not len(finite):
            yield f"{what} fails on every sample of the test split"
        for words in out_of_range(take_samples(outputs, finite), problem.outputs):
            yield f"{what}: {words}"


def pairs_are_valid(evidence: Evidence) -> Iterator[str]:
    """Look at statistics, and at what networks would learn from."""
    for candidate in evidence.fitted:
        label, encoding = candidate.label, candidate.encoding
        for name, values in encoding.statistics.items():
            if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiub":
                yield f"{label}: statistic {name!r} is {type(values).__name__}; measure an array"
            elif not np.isfinite(values).all():
                yield f"{label}: statistic {name!r} is not finite; look at its transform and data"
        pairs = encoding.pairs(evidence.data.train)
        yield from (f"{label}: {words}" for words in _no_pairs(encoding, pairs))


def _no_pairs(encoding: Encoding, pairs: Pairs) -> Iterator[str]:
    """Say what keeps pairs from being learned from."""
    for what, array in (("inputs", pairs.inputs), ("targets", pairs.targets)):
        if array.dtype != np.float32:
            yield f"{what} are {array.dtype}; return float32"
        if not np.isfinite(array).all():
            yield f"{what} are not finite; look at its statistics"
    if len(pairs.inputs) != len(pairs.targets):
        yield f"{len(pairs.inputs)} inputs but {len(pairs.targets)} targets; pair them"
    elif pairs.targets.ndim != 2:
        yield f"targets have shape {pairs.targets.shape}; return (n, o)"
    elif encoding.target is Target.LABEL:
        yield from _no_labels(encoding, pairs)


def _no_labels(encoding: Encoding, pairs: Pairs) -> Iterator[str]:
    """Say what keeps targets from being probabilities: of an event, or of classes, at a place."""
    shape = pairs.inputs.shape[1:]
    places = (shape[:1] if encoding.layout is Layout.GRAPH else shape[:-1]) * encoding.aligned
    each = pairs.targets.reshape(len(pairs.targets), int(np.prod(places)), -1)
    classes, sums = each.shape[2], each.sum(axis=2)
    empty = encoding.aligned & (sums == 0.0)  # a place where there is nothing has no class
    if not ((each >= 0.0) & (each <= 1.0)).all():
        yield "labels are no probabilities; return numbers from 0 to 1"
    elif classes > 1 and not (np.isclose(sums, 1.0, atol=1e-5) | empty).all():
        yield (
            f"the {classes} labels of a sample don't add up to 1, but a network answers with "
            "classes that exclude each other; give every combination a class of its own"
        )


def statistics_come_from_training(evidence: Evidence) -> Iterator[str]:
    """Encode part of a split and look for its pairs among those of the whole."""
    test = evidence.data.test
    some = test.take(np.arange(len(test) // 2))
    for candidate in evidence.fitted:
        whole, part = (candidate.encoding.pairs(split) for split in (test, some))
        for what, few, many in (
            ("inputs", part.inputs, whole.inputs),
            ("targets", part.targets, whole.targets),
        ):
            if np.any(nearest_rows(few, many)[1] > INDEPENDENCE_TOLERANCE):
                yield (
                    f"{candidate.label}: {what} of a sample change with the samples beside it; "
                    "take centres and scales in measure(train), not in pairs"
                )
                break


@dataclass
class RecordingNetwork:
    """A network that knows every answer, and notes what it was asked."""

    network: Predict
    recorded_inputs: list[Array]

    def __call__(self, inputs: Array) -> Array:
        """Return targets (b, o)."""
        self.recorded_inputs.append(inputs)
        return self.network(inputs)


def _applied(
    candidate: FittedEncoding, pairs: Pairs, inputs: Batch, seed: int = 0
) -> tuple[Batch, list[Array]]:
    samples = candidate.encoding.target is Target.DISTRIBUTION
    listener = RecordingNetwork(MemorisedSampler(pairs) if samples else MemorisedNetwork(pairs), [])
    surrogate = Surrogate(candidate.encoding, listener)
    return surrogate.run(inputs, np.random.default_rng(seed)), listener.recorded_inputs


def _draws(candidate: FittedEncoding, pairs: Pairs, inputs: Batch, outputs: Batch) -> bool:
    """Return whether decoding a sample of a distribution draws what encoding took out of it."""
    if candidate.encoding.target is not Target.DISTRIBUTION:
        return False
    return bool(differing_fields(outputs, _applied(candidate, pairs, inputs, seed=1)[0]))


def decoding_inverts_encoding(evidence: Evidence) -> Iterator[str]:
    """Apply each encoding around a network that knows every answer."""
    problem, test = evidence.problem, evidence.data.test
    metric = problem.objective.name
    for candidate in evidence.fitted:
        label, pairs = candidate.label, candidate.encoding.pairs(test)
        kept = {name: np.array(array) for name, array in test.inputs.items()}
        outputs, recorded_inputs = _applied(candidate, pairs, kept)
        for name, array in kept.items():
            if not np.array_equal(array, test.inputs[name]):
                yield f"{label}: apply changes the input {name!r}; copy it first"
        if not recorded_inputs:
            yield f"{label}: apply never calls the network"
            continue
        odd = {(str(x.dtype), x.shape[1:]) for x in recorded_inputs} - {
            ("float32", pairs.inputs.shape[1:])
        }
        for kind, shape in odd:
            yield (
                f"{label}: apply asks the network with {kind} {shape}, it learns from float32 "
                f"{pairs.inputs.shape[1:]}; encode alike in pairs and apply"
            )
        wrong = [*mismatches(outputs, problem.outputs, len(test))]
        yield from (f"{label}: apply: {words}" for words in wrong)
        if wrong:
            continue
        if _draws(candidate, pairs, kept, outputs):
            again = candidate.encoding.pairs(Split(test.inputs, outputs)).targets
            if not np.allclose(again, pairs.targets, rtol=0.0, atol=ROUND_TRIP_TOLERANCE):
                yield (
                    f"{label}: what apply makes of targets doesn't encode to them again; let it "
                    "draw no more than pairs takes out"
                )
            continue
        error = problem.score(outputs, test.outputs, test.inputs)[metric]
        allowed = max(ROUND_TRIP_TOLERANCE, candidate.encoding.floor)
        if not error <= allowed:
            yield (
                f"{label}: knowing every target, {metric} is still {error:.3g} (at most "
                f"{allowed:g}); let apply undo what pairs does"
            )


def surrogate_samples_are_independent(evidence: Evidence) -> Iterator[str]:
    """Apply each encoding to one sample alone and to the same sample in a batch."""
    test = evidence.data.test
    for candidate in evidence.fitted:
        pairs = candidate.encoding.pairs(test)
        batch, _ = _applied(candidate, pairs, test.inputs)
        alone, _ = _applied(candidate, pairs, take_samples(test.inputs, slice(1)))
        if _draws(candidate, pairs, test.inputs, batch):
            for words in mismatches(alone, evidence.problem.outputs, 1):
                yield f"{candidate.label}: apply to one sample: {words}"
            continue
        for name, array in alone.items():
            if not np.allclose(array[0], batch[name][0], rtol=1e-6, atol=1e-9, equal_nan=True):
                yield (
                    f"{candidate.label}: output {name!r} of a sample depends on the samples beside "
                    "it; decode each by itself"
                )


def problem_is_picklable(evidence: Evidence) -> Iterator[str]:
    """Pickle the problem, as it is when it goes to a worker."""
    for name, part in vars(evidence.problem).items():
        try:
            pickle.loads(pickle.dumps(part))  # noqa: S301 - our own bytes, this very moment
        except (pickle.PickleError, AttributeError, TypeError) as error:
            yield f"{name}= can't travel to workers: {error}; use module-level names, no lambda"


def calibration_runs(evidence: Evidence) -> Iterator[str]:
    """Run the calibration's simulation on two samples."""
    calibration = evidence.problem.calibration
    if calibration is not None:
        some = take_samples(evidence.data.test.inputs, slice(2))
        _, reasons = run_simulation(calibration.simulation, some, np.random.default_rng(0))
        if all(reasons):
            yield f"calibration: its simulation fails on every sample: {reasons[0]}"


def costs_are_positive(evidence: Evidence) -> Iterator[str]:
    """Ask what the samples of the test split cost."""
    evidence.problem.costs(evidence.data.test.outputs)
    yield from ()


def host_runs_with_reference(evidence: Evidence) -> Iterator[str]:
    """Run the host with the reference as its kernel."""
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
        yield "host never calls its kernel; call kernel(inputs, rng) where it needs the simulation"
        return
    for words in mismatches(recorded_inputs[0], problem.inputs, n_samples(recorded_inputs[0])):
        yield f"host: what it hands to the kernel: {words}"
    if not isinstance(outputs, Mapping) or not outputs:
        yield f"host returns {type(outputs).__name__}; return a dictionary of arrays"
        return
    for name, array in outputs.items():
        if not np.isfinite(array).all():
            yield f"host: {name!r} is not finite with the reference as its kernel"
            return
    if problem.host_score is not None:
        yield from _figures(problem.host_score(outputs, outputs))


def _figures(scores: object) -> Iterator[str]:
    if not isinstance(scores, Mapping) or not scores:
        yield f"host_score returns {type(scores).__name__}; return a dictionary of figures"
        return
    for name, value in cast("Mapping[str, float]", scores).items():
        if not np.isfinite(value):
            yield f"host_score: {name!r} of the reference's own run is {value}"


def pictures_are_valid(evidence: Evidence) -> Iterator[str]:
    """Draw the reference against itself."""
    problem, test = evidence.problem, evidence.data.test
    if problem.pictures is not None:
        for drawn in problem.pictures(test.outputs, test.outputs, test.inputs):
            if not isinstance(drawn, Picture):
                yield f"pictures returns a {type(drawn).__name__}; return Picture values"
                return
