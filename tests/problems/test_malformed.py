"""Malformed problems, each with the contract check that it violates and part of the message."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from problems import (
    Array,
    BaselineMargin,
    Batch,
    Calibration,
    Deployment,
    Field,
    FlatEncoding,
    Goals,
    Metric,
    NormalisedError,
    Pairs,
    Problem,
    Profile,
    Recorded,
    RollOutEncoding,
    Samples,
    Simulation,
    Split,
    Target,
    UserError,
)
from problems.contract import CHECKS, CheckStage, Evidence
from problems.encodings.rollout import unused_network
from problems.template.problem import INPUTS, OUTPUTS, DampedOscillator
from problems.template.problem import problem as template

GOOD = replace(template, samples=Samples(32, 8, 8, 8))
POSITION = OUTPUTS[0]


@dataclass(frozen=True)
class Oscillator(DampedOscillator):
    """The good simulation; what a test replaces stands in a subclass."""


def simulating(**parts: Any) -> Problem:
    """The problem with a simulation of which some attributes are others."""
    kind = dataclass(frozen=True)(type("Oscillator", (Oscillator,), parts))
    kind.__module__ = __name__
    return replace(GOOD, simulation=kind(), shifted=None, host=None)


def drawing(change: Callable[[dict[str, Any], np.random.Generator], Any]) -> Problem:
    def draw(self: DampedOscillator, n: int, rng: np.random.Generator) -> Any:
        return change(dict(DampedOscillator.draw(self, n, rng)), rng)

    return simulating(draw=draw)


def running(change: Callable[[dict[str, Any], Batch], Any]) -> Problem:
    def run(self: DampedOscillator, inputs: Batch, rng: np.random.Generator) -> Any:
        return change(dict(DampedOscillator.run(self, inputs, rng)), inputs)

    return simulating(run=run)


def reference_of(problem: Problem) -> Simulation:
    assert problem.simulation is not None
    return problem.simulation


def declaring(side: str, *fields: Any) -> Problem:
    return simulating(**{side: fields})


def encoding(**methods: Any) -> Problem:
    """The problem with one encoding of which some methods are others."""
    parts = {"__doc__": "One encoding.", **methods}
    kind = dataclass(frozen=True, eq=False)(type("Own", (FlatEncoding,), parts))
    kind.__module__ = __name__
    return replace(GOOD, encodings={"own": kind(INPUTS, OUTPUTS)})


def labelling(value: float, count: int) -> Problem:
    """The problem with one encoding of so many labels, all of one value."""

    def pairs(self: FlatEncoding, split: Split) -> Pairs:
        labels = np.full((len(split), count), value, np.float32)
        return Pairs(FlatEncoding.pairs(self, split).inputs, labels)

    return encoding(target=Target.LABEL, __post_init__=lambda _: None, pairs=pairs)


def rolling(change: Callable[[Pairs], Pairs], stage: int) -> Problem:
    """The problem with one roll-out, whose pairs of a stage are others."""

    def unrolled(self: RollOutEncoding, split: Split, network: Any, stages: int) -> Pairs:
        pairs = RollOutEncoding.unrolled(self, split, network, stages)
        return change(pairs) if stages == stage else pairs

    def measured(self: RollOutEncoding, split: Split) -> Pairs:
        return RollOutEncoding.unrolled(self, split, unused_network, 1)

    parts = {"__doc__": "One roll-out.", "unrolled": unrolled, "pairs": measured}
    kind = dataclass(frozen=True, eq=False)(type("Rolling", (RollOutEncoding,), parts))
    kind.__module__ = __name__
    starts = {"position": "start_position", "velocity": "start_velocity"}
    return replace(GOOD, encodings={"own": kind(INPUTS, OUTPUTS, start=starts)})


def shifted_targets(pairs: Pairs) -> Pairs:
    return Pairs(pairs.inputs, pairs.targets + np.float32(0.5))


def put(batch: Batch, **fields: Any) -> dict[str, Any]:
    return {**batch, **fields}


def writing(inputs: Batch, out: dict[str, Any]) -> dict[str, Any]:
    inputs["damping"][:] = 0.0
    return out


def raising(out: dict[str, Any], inputs: Batch) -> Any:  # noqa: ARG001 - a change's signature
    raise ZeroDivisionError("the step is zero")


def centred_on_itself(self: FlatEncoding, split: Split) -> Pairs:
    pairs = FlatEncoding.pairs(self, split)
    return replace(pairs, inputs=pairs.inputs - pairs.inputs.mean(axis=0))


def batch_mean(self: FlatEncoding, network: Any, inputs: Batch, rng: Any) -> Batch:
    outputs = FlatEncoding.apply(self, network, inputs, rng)
    return {name: array + 1e-4 * len(array) for name, array in outputs.items()}


def doubled(self: FlatEncoding, network: Any, inputs: Batch, rng: Any) -> Batch:
    outputs = FlatEncoding.apply(self, network, inputs, rng)
    return {name: 2.0 * array for name, array in outputs.items()}


def in_place(self: FlatEncoding, network: Any, inputs: Any, rng: Any) -> Batch:
    inputs["damping"][:] += 1.0
    return FlatEncoding.apply(self, network, {**inputs, "damping": inputs["damping"] - 1.0}, rng)


def deaf(self: FlatEncoding, network: Any, inputs: Batch, rng: Any) -> Batch:  # noqa: ARG001 - apply's signature
    return DampedOscillator().run(inputs, rng)


def in_double(self: FlatEncoding, network: Any, inputs: Batch, rng: Any) -> Batch:
    return FlatEncoding.apply(self, lambda x: network(x.astype(float)), inputs, rng)


def not_finite(self: FlatEncoding, train: Split) -> Batch:
    return {**FlatEncoding.measure(self, train), "output_scale": np.full(80, np.nan)}


def halved(batch: dict[str, Any]) -> dict[str, Any]:
    return {name: np.repeat(array[: (len(array) + 1) // 2], 2, axis=0)[: len(array)]
            for name, array in batch.items()}  # fmt: skip


def first_of_three_fails(out: dict[str, Any], inputs: Batch) -> dict[str, Any]:
    failed = inputs["damping"] > 0.2
    return {name: np.where(failed[:, None], np.nan, array) for name, array in out.items()}


def cost_of_the_batch(outputs: Batch) -> Any:
    return np.sum(outputs["position"])


def host_of_nothing(kernel: Any, rng: Any) -> Batch:  # noqa: ARG001 - a host's signature
    return {"height": np.zeros(3)}


def host_of_half(kernel: Any, rng: np.random.Generator) -> Batch:
    return kernel({"frequency": rng.uniform(1.0, 2.0, 3)}, rng)


def host_of_all(kernel: Any, rng: np.random.Generator) -> Batch:
    return kernel(DampedOscillator().draw(2, rng), rng)


def float_scored(*_: Batch) -> float:
    return 0.0


def nan_scored(*_: Batch) -> dict[str, float]:
    return {"error": float("nan")}


def host_returning_nothing(kernel: Any, rng: np.random.Generator) -> None:
    kernel(DampedOscillator().draw(2, rng), rng)


def host_blowing_up(kernel: Any, rng: np.random.Generator) -> Batch:
    kernel(DampedOscillator().draw(2, rng), rng)
    return {"height": np.array([1.0, np.inf])}


def nothing_scored(*_: Batch) -> dict[str, float]:
    return {"other": 0.0}


def one_scored(*_: Batch) -> dict[str, float]:
    return {"error": 1.0}


def zero_scored(*_: Batch) -> dict[str, float]:
    return {"error": 0.0}


def number_scored(*_: Batch) -> Any:
    return 0.0


def reading_drag(predicted: Batch, *_: Batch) -> dict[str, float]:
    return {"error": float(predicted["drag"].mean())}


def short(inputs: Batch, rng: Any) -> Batch:  # noqa: ARG001 - a run's signature
    return {"position": np.zeros((len(inputs["damping"]), 3)), "velocity": np.zeros((1, 40))}


def failing(inputs: Batch, rng: Any) -> Batch:  # noqa: ARG001 - a run's signature
    return {f.name: np.full((len(inputs["damping"]), 40), np.nan) for f in OUTPUTS}


def text_pictures(*_: Batch) -> list[Any]:
    return ["a drawing"]


@dataclass(frozen=True)
class WithArray(DampedOscillator):
    table: Any = field(default_factory=lambda: np.zeros(3))


class Plain:
    """A simulation that isn't a dataclass."""

    inputs, outputs = INPUTS, OUTPUTS
    draw, run = DampedOscillator.draw, DampedOscillator.run


class Undecorated(FlatEncoding):
    """An encoding that is no dataclass of its own."""


def scoring(score: Any) -> Problem:
    return replace(GOOD, score=score, metrics=(Metric("error"),))


F = INPUTS[0]


def recorded_positions(values: Callable[[int], Array]) -> Problem:
    """Return a problem of 200 recorded samples with these outputs."""
    path = Path(tempfile.mkdtemp()) / "runs.csv"
    rows = np.stack([np.linspace(0.0, 1.0, 200), values(200)], axis=1)
    np.savetxt(path, rows, delimiter=",", header="force,position", comments="")
    inputs, outputs = (Field("force", unit="N"),), (Field("position", unit="m"),)
    return Problem(
        data=Recorded(path, inputs, outputs, cost_s=1.0),
        encodings={"flat": FlatEncoding(inputs, outputs)},
        score=NormalisedError(outputs),
    )


MALFORMED: dict[str, tuple[Callable[[], Problem], str, str]] = {
    # Declared: nothing is computed.
    "a name with a slash": (
        lambda: replace(GOOD, name="my/case"),
        "names_are_valid", "name 'my/case' should be letters"),
    "an encoding's name with a space": (
        lambda: replace(GOOD, encodings={"my path": FlatEncoding(INPUTS, OUTPUTS)}),
        "names_are_valid", "'my path' should be letters"),
    "a baseline without a name": (
        lambda: replace(GOOD, baselines={"": template.baselines["undamped"]}),
        "names_are_valid", "is no name for a baseline"),
    "no inputs": (
        lambda: declaring("inputs"),
        "fields_are_complete", "simulation.inputs is (); give a tuple of at least one Field"),
    "a field without a unit": (
        lambda: declaring("inputs", replace(F, unit=""), *INPUTS[1:]),
        "fields_are_complete", "field 'frequency' has no unit; state it, '1' where there is none"),
    "a string for a field": (
        lambda: declaring("inputs", "frequency", *INPUTS[1:]),
        "fields_are_complete", "'frequency' is a str; declare it as Field(name, shape, unit)"),
    "a field's name with a space": (
        lambda: declaring("inputs", replace(F, name="the frequency"), *INPUTS[1:]),
        "fields_are_complete", "needs a name of letters, digits and '_'"),
    "a field twice": (
        lambda: declaring("inputs", F, *INPUTS),
        "fields_are_complete", "field 'frequency' is declared 2 times; rename one"),
    "axes that don't fit": (
        lambda: declaring("outputs", replace(POSITION, axes=("time", "place")), OUTPUTS[1]),
        "fields_are_complete", "field 'position' has 1 axes, 2 named (time, place)"),
    "a shape that is no shape": (
        lambda: declaring("outputs", replace(POSITION, shape=(0,)), OUTPUTS[1]),
        "fields_are_complete", "field 'position' has shape (0,); give whole numbers above 0"),
    "an empty range": (
        lambda: declaring("inputs", replace(F, valid=(10.0, 0.1)), *INPUTS[1:]),
        "fields_are_complete", "the empty range [10, 0.1]; put the smaller first"),
    "no draw": (
        lambda: simulating(draw=None),
        "simulation_is_identifiable", "Oscillator has no method 'draw'; write one"),
    "no dataclass": (
        lambda: replace(GOOD, simulation=Plain()),
        "simulation_is_identifiable", "Plain must be a dataclass"),
    "an array as parameter": (
        lambda: replace(GOOD, simulation=WithArray()),
        "simulation_is_identifiable", "parameter 'table' of simulation WithArray is a ndarray"),
    "a shifted simulation of something else": (
        lambda: replace(declaring("inputs", *INPUTS[1:]), shifted=DampedOscillator()),
        "simulation_is_identifiable", "shifted: its inputs differ from the simulation's"),
    "a training split held out": (
        lambda: replace(GOOD, held_out={"train": DampedOscillator()}),
        "simulation_is_identifiable", "held_out: 'train' isn't held out"),
    "a held-out simulation of something else": (
        lambda: replace(
            declaring("inputs", *INPUTS[1:]), held_out={"test": DampedOscillator()}, shifted=None
        ),
        "simulation_is_identifiable", "test: its inputs differ from the simulation's"),
    "no encodings": (
        lambda: replace(GOOD, encodings={}),
        "encodings_are_valid", "encodings is empty; give at least one"),
    "a list of encodings": (
        lambda: replace(GOOD, encodings=[FlatEncoding(INPUTS, OUTPUTS)]),
        "encodings_are_valid", "encodings is a list; give a dictionary from name to encoding"),
    "a class for an encoding": (
        lambda: replace(GOOD, encodings={"flat": FlatEncoding}),
        "encodings_are_valid", "encoding 'flat' is a class; call it"),
    "an encoding that is no dataclass": (
        lambda: replace(GOOD, encodings={"own": Undecorated(INPUTS, OUTPUTS)}),
        "encodings_are_valid", "Undecorated is no dataclass; decorate it with"),
    "a layout that there isn't": (
        lambda: encoding(layout="flatt"),
        "encodings_are_valid", "encoding 'own' has layout 'flatt'; set it to one of Layout"),
    "a setting that is no field": (
        lambda: encoding(settings=lambda *_: {"width": 3}),
        "settings_are_fields", "encoding 'own': setting 'width' is no field of Own"),
    "a setting that is a list": (
        lambda: encoding(settings=lambda *_: {"axes": ["time"]}),
        "settings_are_fields", "setting 'axes' is a list; choose among numbers"),
    "settings that fail": (
        lambda: encoding(settings=lambda _, choose: choose.choice("a", [1])),
        "settings_are_fields", "the check could not run: AttributeError"),
    "a score that is no function": (
        lambda: scoring("rmse"),
        "score_and_metrics_are_valid", "score is a str; give a function"),
    "a class for a score": (
        lambda: replace(GOOD, score=NormalisedError, metrics=()),
        "score_and_metrics_are_valid", "score is the class NormalisedError; call it"),
    "a baseline that is no function": (
        lambda: replace(GOOD, baselines={"old": 3.0}),
        "score_and_metrics_are_valid", "baseline 'old' is a float; give a function"),
    "metrics as strings": (
        lambda: replace(GOOD, metrics=("error", "rmse")),
        "score_and_metrics_are_valid", "'error' is no Metric"),
    "a metric twice": (
        lambda: replace(GOOD, metrics=(Metric("error"), Metric("error"))),
        "score_and_metrics_are_valid", "'error' is declared twice; rename one"),
    "an objective to be made large": (
        lambda: replace(GOOD, metrics=(Metric("skill", higher_is_better=True),)),
        "score_and_metrics_are_valid", "'skill', is the objective and must be lower when better"),
    "too few samples": (
        lambda: replace(GOOD, samples=Samples(train=4)),
        "sizes_are_valid", "samples: train is 4; give 16 or more"),
    "half an epoch": (
        lambda: replace(GOOD, epochs=0.5),
        "sizes_are_valid", "epochs is 0.5; give a whole number, 1 or more"),
    "no thread": (
        lambda: replace(GOOD, deployment=Deployment(threads=0)),
        "sizes_are_valid", "deployment: threads is 0; give a whole number, 1 or more"),
    "a calibration longer than the reference": (
        lambda: replace(GOOD, calibration=Calibration(DampedOscillator(), 2.0, 4)),
        "sizes_are_valid", "calibration: share is 2; give it in (0, 1]"),
    "a batch without samples": (
        lambda: replace(GOOD, deployment=Deployment(batches=(0, 64))),
        "sizes_are_valid", "deployment: a batch is 0; give a whole number, 1 or more"),
    "a speed over what has no time": (
        lambda: replace(
            GOOD, simulation=None, shifted=None, goals=Goals(speedup=5.0),
            data=Recorded("/nowhere/runs.csv", GOOD.inputs, GOOD.outputs)),
        "goals_are_valid", "speedup is over the reference, which has no time; give cost_s="),
    "a speed over what isn't timed": (
        lambda: replace(GOOD, timed=False, goals=Goals(speedup=5.0)),
        "goals_are_valid", "over the reference, which has no time; leave timed=False out"),
    "a calibration of what isn't timed": (
        lambda: replace(GOOD, timed=False, calibration=Calibration(DampedOscillator(), 0.5, 4)),
        "sizes_are_valid", "what timed=False says isn't timed; remove one of them"),
    "a goal relative to nothing": (
        lambda: replace(
            GOOD, baselines={}, standard_baselines=False, goals=Goals(error=BaselineMargin(0.01))
        ),
        "goals_are_valid", "relative to a baseline, and there is none; add baselines="),
    "a margin that leaves nothing": (
        lambda: replace(GOOD, goals=Goals(error=BaselineMargin(-1.0))),
        "goals_are_valid", "worse_by is -1; give a number above -1"),
    "a goal of no error": (
        lambda: replace(GOOD, goals=Goals(error=0.0)),
        "goals_are_valid", "goals: error is 0; give a positive figure in error [1]"),
    "a negative speed-up": (
        lambda: replace(GOOD, goals=Goals(speedup=-10.0)),
        "goals_are_valid", "goals: speedup is -10; give a factor above 0"),
    "a profile without its kernel": (
        lambda: replace(GOOD, profile=Profile({"dynamics": 3.0}, "radiation")),
        "goals_are_valid", "kernel 'radiation' is none of its parts; name one of dynamics"),
    "data that aren't there": (
        lambda: Problem(
            data=Recorded("/nowhere/runs.csv", (F,), (POSITION,), cost_s=1.0),
            encodings={"flat": FlatEncoding((F,), (POSITION,))},
            score=GOOD.score,
        ),
        "recorded_data_exist", "/nowhere/runs.csv"),
    # Simulated: a few samples.
    "a draw that returns a tuple": (
        lambda: drawing(lambda batch, _: tuple(batch.values())),
        "runs_as_declared", "Oscillator.draw: returned a tuple, not a batch"),
    "a field that isn't drawn": (
        lambda: drawing(lambda batch, _: {k: v for k, v in batch.items() if k != "damping"}),
        "runs_as_declared", "field 'damping' is missing; return it or remove its Field"),
    "a field that isn't declared": (
        lambda: drawing(lambda batch, _: put(batch, colour=batch["damping"])),
        "runs_as_declared", "field 'colour' isn't declared; declare a Field for it"),
    "a list for an array": (
        lambda: drawing(lambda batch, _: put(batch, damping=list(batch["damping"]))),
        "runs_as_declared", "field 'damping' is a list; return a NumPy array"),
    "text for numbers": (
        lambda: drawing(lambda batch, _: put(batch, damping=batch["damping"].astype(str))),
        "runs_as_declared", "return real numbers"),
    "truth for numbers": (
        lambda: running(lambda out, _: put(out, position=out["position"] > 0.0)),
        "runs_as_declared", "return real numbers, with 0.0 and 1.0 for false and true"),
    "axes the other way round": (
        lambda: running(lambda out, _: put(out, position=out["position"].T)),
        "runs_as_declared", "field 'position' has shape (40, 3), declared (3, 40)"),
    "inputs out of range": (
        lambda: drawing(lambda batch, _: put(batch, damping=batch["damping"] + 1.0)),
        "runs_as_declared", "field 'damping' is outside its range [0, 1] 1 in 3 of 3 samples"),
    "a run that writes into its inputs": (
        lambda: running(lambda out, inputs: writing(inputs, out)),
        "runs_as_declared", "copy an array before you write to it"),
    "a run that always raises": (
        lambda: running(raising),
        "runs_as_declared", "fails on each of 3 samples: ZeroDivisionError: the step is zero"),
    "randomness of its own": (
        lambda: drawing(
            lambda batch, _: put(batch, damping=np.random.default_rng().uniform(0.1, 0.4, 3))
        ),
        "same_seed_same_data", "field 'damping' differs between two runs with one seed"),
    "no randomness": (
        lambda: drawing(
            lambda batch, _: DampedOscillator().draw(
                len(batch["damping"]), np.random.default_rng(0)
            )
        ),
        "same_seed_same_data", "two seeds give the same inputs; draw them from the generator"),
    "a sample that sees its neighbours": (
        lambda: running(lambda out, _: put(out, position=out["position"] - out["position"].mean())),
        "samples_are_independent", "output 'position' of a sample depends on the samples beside"),
    # Sampled: data.
    "now and then out of range": (
        lambda: declaring("outputs", replace(POSITION, valid=(-0.2, 9.0)), OUTPUTS[1]),
        "most_samples_succeed", "output 'position' is outside its range [-0.2, 9] m"),
    "numbers that stand for missing ones": (
        lambda: recorded_positions(lambda n: np.where(np.arange(n) % 20, np.arange(n), -9999.0)),
        "values_are_plausible", "read=ReadOptions(missing=(-9999.0,))"),
    "recorded outputs that are all equal": (
        lambda: recorded_positions(np.ones),
        "values_are_plausible", "no output varies in the train split (position is 1 in each"),
    "a reference that often fails": (
        lambda: running(first_of_three_fails),
        "most_samples_succeed", "the reference failed on"),
    "samples that stand twice": (
        lambda: drawing(lambda batch, _: halved(batch)),
        "most_samples_succeed", "samples are duplicates and were left out"),
    "a constant input": (
        lambda: drawing(lambda batch, _: put(batch, damping=np.full_like(batch["damping"], 0.2))),
        "fields_are_distinct", "input 'damping' never varies (it is 0.2 in every sample)"),
    "two inputs that say the same": (
        lambda: drawing(lambda batch, _: put(batch, start_velocity=3.0 * batch["start_position"])),
        "fields_are_distinct", "inputs 'start_position' and 'start_velocity' are the same up to"),
    "a sample in two splits": (
        lambda: drawing(
            lambda batch, rng: put(
                DampedOscillator().draw(len(batch["damping"]), np.random.default_rng(0)),
                damping=0.1 + 1e-9 * rng.uniform(size=len(batch["damping"]))
                + 0.01 * np.arange(len(batch["damping"])),
            )
        ),
        "splits_are_disjoint", "keep samples of one group in one split"),
    "a shifted split that isn't": (
        lambda: replace(GOOD, shifted=DampedOscillator(frequency=(1.2, 1.3))),
        "shifted_split_is_outside", "of shifted lies within the training range in every input"),
    # Used: what is built on the data.
    "a score without its metric": (
        lambda: scoring(nothing_scored),
        "reference_scores_zero", "score lacks the metric 'error' (it has: other)"),
    "a score that returns a number": (
        lambda: scoring(number_scored),
        "reference_scores_zero", "score returns a float; return a dictionary"),
    "a score that is never zero": (
        lambda: scoring(one_scored),
        "reference_scores_zero", "the reference scores 1 in 'error' against itself, not 0"),
    "a score that is always zero": (
        lambda: scoring(zero_scored),
        "reference_scores_zero", "'error' is 0 for predictions that belong to other samples"),
    "a score that reads a field that isn't there": (
        lambda: scoring(reading_drag),
        "reference_scores_zero", "the check could not run: KeyError: 'drag'"),
    "a baseline of another shape": (
        lambda: replace(GOOD, baselines={"short": short}),
        "baselines_are_valid", "baseline 'short': field 'position' has shape (8, 3)"),
    "a baseline that fails": (
        lambda: replace(GOOD, baselines={"failing": failing}),
        "baselines_are_valid", "baseline 'failing' fails on every sample of the test split"),
    "a ceiling of another shape": (
        lambda: replace(GOOD, ceiling=short),
        "baselines_are_valid", "ceiling: field 'position' has shape (8, 3)"),
    "labels that don't exclude each other": (
        lambda: labelling(1.0, 2),
        "pairs_are_valid", "the 2 labels of a sample don't add up to 1"),
    "labels that are no probabilities": (
        lambda: labelling(2.0, 1),
        "pairs_are_valid", "labels are no probabilities; return numbers from 0 to 1"),
    "statistics that are not finite": (
        lambda: encoding(measure=not_finite),
        "pairs_are_valid", "statistic 'output_scale' is not finite"),
    "pairs in double precision": (
        lambda: encoding(
            pairs=lambda self, split: Pairs(
                FlatEncoding.pairs(self, split).inputs.astype(float),
                FlatEncoding.pairs(self, split).targets,
            )
        ),
        "pairs_are_valid", "inputs are float64; return float32"),
    "pairs that don't pair": (
        lambda: encoding(
            pairs=lambda self, split: Pairs(
                FlatEncoding.pairs(self, split).inputs[1:], FlatEncoding.pairs(self, split).targets
            )
        ),
        "pairs_are_valid", "31 inputs but 32 targets; pair them"),
    "statistics of the split itself": (
        lambda: encoding(pairs=centred_on_itself),
        "statistics_come_from_training", "take centres and scales in measure(train)"),
    "a decoding that doesn't undo": (
        lambda: encoding(apply=doubled),
        "decoding_inverts_encoding", "with exact targets, error is still"),
    "a floor that decoding doesn't keep": (
        lambda: encoding(apply=doubled, floor=0.01),
        "decoding_inverts_encoding", "(at most 0.01)"),
    "an apply that writes into its inputs": (
        lambda: encoding(apply=in_place),
        "decoding_inverts_encoding", "apply changes the input 'damping'; copy it first"),
    "an apply that never asks": (
        lambda: encoding(apply=deaf),
        "decoding_inverts_encoding", "apply never calls the network"),
    "an apply that asks in double precision": (
        lambda: encoding(apply=in_double),
        "decoding_inverts_encoding", "calls the network with float64 (4,)"),
    "a decoding that sees the batch": (
        lambda: encoding(apply=batch_mean),
        "surrogate_samples_are_independent", "of a sample depends on the samples beside it"),
    "a baseline that isn't what zeros decode to": (
        lambda: encoding(corrected_baseline=property(lambda _: DampedOscillator().run)),
        "zero_outputs_are_baseline", "let zeros decode to what it returns"),
    "unrolling that begins elsewhere": (
        lambda: rolling(shifted_targets, 1),
        "unrolling_follows_reference", "unrolled over 1 stage differs from pairs"),
    "unrolling that goes astray": (
        lambda: rolling(shifted_targets, 2),
        "unrolling_follows_reference", "roll forward as apply does"),
    "a lambda": (
        lambda: replace(GOOD, score=lambda *_: zero_scored()),
        "problem_is_picklable", "score= can't be sent to workers"),
    "a calibration that fails": (
        lambda: replace(GOOD, calibration=Calibration(reference_of(running(raising)), 0.5, 4)),
        "calibration_runs", "its simulation fails on every sample: ZeroDivisionError"),
    "a cost for the whole batch": (
        lambda: replace(GOOD, cost=cost_of_the_batch),
        "costs_are_positive", "return one positive number for each sample"),
    "a host that doesn't ask": (
        lambda: replace(GOOD, host=host_of_nothing),
        "host_runs_with_reference", "host never calls its kernel"),
    "a host that asks for half": (
        lambda: replace(GOOD, host=host_of_half),
        "host_runs_with_reference", "KeyError: 'damping'"),
    "a host that returns nothing": (
        lambda: replace(GOOD, host=host_returning_nothing),
        "host_runs_with_reference", "host returns NoneType; return a dictionary of arrays"),
    "a host that blows up": (
        lambda: replace(GOOD, host=host_blowing_up),
        "host_runs_with_reference", "'height' is not finite with the reference"),
    "a host whose score is no dictionary": (
        lambda: replace(GOOD, host=host_of_all, host_score=float_scored),
        "host_runs_with_reference", "host_score returns float; return a dictionary of figures"),
    "a host whose score is not finite": (
        lambda: replace(GOOD, host=host_of_all, host_score=nan_scored),
        "host_runs_with_reference", "host_score: 'error' of the reference's own run is nan"),
    "pictures of another kind": (
        lambda: replace(GOOD, pictures=text_pictures),
        "pictures_are_valid", "pictures returns a str; return Picture values"),
}  # fmt: skip


def test_there_are_forty_and_every_check_has_one() -> None:
    assert len(MALFORMED) >= 40
    # Those of environments are in test_policies.py: they need an extra.
    environments = {
        name
        for name, check in CHECKS.items()
        if check.find_violations.__module__.endswith("environments")
    }
    assert {check for _, check, _ in MALFORMED.values()} == set(CHECKS) - environments


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_violation_is_reported(name: str, tmp_path: Path) -> None:
    make, check, words = MALFORMED[name]
    violations = CHECKS[check].violations(Evidence(make(), tmp_path))
    assert any(words in message for message in violations), violations
    assert all("\n" not in message for message in violations)


def spawning(self: DampedOscillator, inputs: Batch, rng: np.random.Generator) -> Batch:
    out = dict(DampedOscillator.run(self, inputs, rng))
    noise = np.stack([each.normal(size=40) for each in rng.spawn(len(inputs["damping"]))])
    return {name: array + 0.01 * noise for name, array in out.items()}


def single(self: DampedOscillator, inputs: Batch, rng: np.random.Generator) -> Batch:
    """Return sums that a batch may take in another order, in single precision."""
    out = DampedOscillator.run(self, inputs, rng)
    turn = np.random.default_rng(0).normal(size=(40, 40)).astype(np.float32)
    return {name: array.astype(np.float32) @ turn for name, array in out.items()}


@pytest.mark.parametrize("run", [spawning, single])
def test_good_practice_is_no_violation(run: Callable[..., Batch], tmp_path: Path) -> None:
    evidence = Evidence(simulating(run=run), tmp_path)
    checks = [check for check in CHECKS.values() if check.stage is CheckStage.SIMULATION]
    assert [message for check in checks for message in check.violations(evidence)] == []


def test_a_floor_that_is_kept_is_no_violation(tmp_path: Path) -> None:
    problem = encoding(apply=doubled, floor=10.0)
    assert CHECKS["decoding_inverts_encoding"].violations(Evidence(problem, tmp_path)) == []


LOOSE_FIELD: Any = Field
LOOSE_ENCODING: Any = FlatEncoding
"""Without their types, which forbid what is told here."""

SLIPS: dict[str, tuple[Callable[[], object], str]] = {
    "shape": (lambda: LOOSE_FIELD("a", 3, "m"), "shape is 3; write (3,)"),
    "axes": (lambda: LOOSE_FIELD("a", (3,), "m", "time"), "axes is 'time'; write ('time',)"),
    "axes of numbers": (
        lambda: LOOSE_FIELD("a", (), "m", (0.0, 1.0)),
        "axes have names, a range is given as valid=(0.0, 1.0)",
    ),
    "valid": (lambda: LOOSE_FIELD("a", valid=5.0), "valid is 5.0; write (smallest, largest)"),
    "one field": (
        lambda: LOOSE_ENCODING(INPUTS[0], OUTPUTS),
        "inputs is one Field; write (FREQUENCY",
    ),
}


@pytest.mark.parametrize("name", SLIPS)
def test_a_typing_error_is_reported_where_it_stands(name: str) -> None:
    make, words = SLIPS[name]
    with pytest.raises(UserError) as told:
        make()
    assert words in str(told.value)


def test_a_problem_needs_one_source() -> None:
    with pytest.raises(Exception, match="simulation= or data=, one of the two"):
        Problem(encodings=GOOD.encodings, score=GOOD.score)


def test_all_else_has_a_default() -> None:
    declared: Any = SimpleNamespace(inputs=INPUTS, outputs=OUTPUTS)
    bare = Problem(
        simulation=declared,
        encodings={"flat": FlatEncoding(INPUTS, OUTPUTS)},
        score=zero_scored,
    )
    assert bare.name == "simple-namespace"
    assert bare.objective.name == "error"
    named = replace(bare, score=GOOD.score, metrics=())
    assert named.objective.unit == "1"
    assert [metric.name for metric in named.metrics] == ["error", "position_rmse", "velocity_rmse"]
    assert Field("x").size == 1
