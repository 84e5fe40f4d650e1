"""A run directory as a search would leave it, of any size, without a search: for reports' tests.

    .venv/bin/python benchmarks/synthetic_run.py FOLDER [TRIALS]

Errors and times follow simple laws of the settings with noise upon them; nothing was trained.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from problems import Metric, Size
from problems.interfaces.pictures import Curve, Picture
from search.objectives.recommendation import select_finalists, recommendation
from search.run.directory import Run
from search.run.environment import Environment
from search.run.finalists import (
    BatchTiming,
    ComputeCost,
    FinalEvaluation,
    Finalist,
    HostResult,
    HostTiming,
    RetrainingResult,
)
from search.run.records import (
    ConfidenceInterval,
    DatasetSummary,
    FieldSummary,
    Limits,
    Record,
    Rung,
    State,
    Timing,
)
from search.run.spec import ExtraObjective, Spec
from spaces.candidate import Candidate, Precision, Pruning, Training

START_TIME = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
ERROR, SECOND_METRIC = "error", "drift"
REFERENCE_S = 1e-2
GOALS = Limits(error=0.08, speedup=20.0)
RUNTIMES = ("eager", "onnxruntime", "openvino", "aotinductor")
RUNTIME_SPEEDUPS = {"eager": 1.0, "onnxruntime": 4.0, "openvino": 3.0, "aotinductor": 3.5}
REASONS = (
    "RuntimeError at recurrent.py:41: expected 32 channels but got 16",
    "3 of 8 predictions failed: values outside [0, 1]",
    "element_error of its predictions is not a finite number",
    "it ended after 300 s without a word",
)


@dataclass(frozen=True)
class SyntheticRunOptions:
    """What the run is like.

    Args:
        trials: How many, further deployments counted.
        heat: Whether it got to its final heat; without one it was interrupted, or still runs.
        failing: Share of the trials that fail.
        mark: Stands in every string that a user may have written.
        seed: Of everything.
        names: The encodings.
        limits: The problem's goals.
        memory: Whether memory is an objective.
        ties: Whether errors and speed-ups are powers of two, so that many are equal.
        scatter: Standard deviation of the natural logarithm of times measured again.
    """

    trials: int = 60
    heat: bool = True
    failing_share: float = 0.08
    mark: str = ""
    seed: int = 0
    names: tuple[str, ...] = field(default=("series", "pattern", "grid"))
    limits: Limits = GOALS
    memory: bool = False
    ties: bool = False
    scatter: float = 0.0


def write_run(folder: Path, made: SyntheticRunOptions) -> Run:
    """Write a run directory and return it."""
    spec = Spec(
        problem=f"synthetic{made.mark}",
        problem_version=1,
        source=f"synthetic{made.mark}",
        origin="0123456789abcdef0123",
        size=Size.TINY,
        seed=made.seed,
        trials=max(1, -(-made.trials // 3)),
        workers=4,
        extra_objectives=(ExtraObjective.MEMORY,) if made.memory else (),
    )
    run = Run.start(folder, spec)
    run.add_session(_environment(made.mark))
    run.write("data.json", _data(made))
    rng = np.random.default_rng(made.seed)
    records: list[Record] = []
    for number in range(made.trials):
        records.append(_record(number, records, rng, made))
        # One by one, synced, as a search writes them, 5,000 would take minutes.
        text = records[-1].model_dump_json(indent=1)
        (run.folder / "trials" / f"{number:04d}.json").write_text(text)
    if made.heat:
        run.write("heat.json", _heat(records, rng, made))
    return run


def _environment(mark: str) -> Environment:
    return Environment(
        started=START_TIME.isoformat(timespec="seconds"),
        python="3.11.2",
        system="Linux-6.1",
        processor=f"a processor{mark}",
        cores=4,
        memory_gib=16.0,
        commit="0123456789ab",
        command=("simstead", "search", f"synthetic{mark}"),
        versions={"numpy": "2.4.6", "torch": "2.13.0"},
    )


def _data(made: SyntheticRunOptions) -> DatasetSummary:
    mark = made.mark
    sides = (("position", True, "m"), ("speed", True, "m/s"), ("flux", False, "W/m2"))
    return DatasetSummary(
        summary=f"a made-up simulation{mark}",
        samples={"train": 512, "validation": 128, "test": 128, "shifted": 64},
        failed={"train": 2},
        reasons={f"it diverged{mark}": 2},
        metrics=(
            Metric(ERROR, "1", f"root mean square error{mark}"),
            Metric(SECOND_METRIC, "J", f"change of the energy{mark}"),
        ),
        exclusions=(("", f"lstm{mark}", "", "int8", "no kernel"),),
        limits=made.limits,
        fields=tuple(
            FieldSummary(
                name=f"{name}{mark}",
                given=given,
                unit=unit,
                shape=(3,),
                low=-1.5,
                high=2.5,
                valid=(-math.inf, math.inf),
            )
            for name, given, unit in sides
        ),
    )


def _candidate(rng: np.random.Generator, made: SyntheticRunOptions, of: Record | None) -> Candidate:
    deployed = {
        "pruning": (Pruning.NONE, Pruning.STRUCTURED)[int(rng.integers(2))],
        "precision": (Precision.FP32, Precision.BF16, Precision.INT8)[int(rng.integers(3))],
        "runtime": RUNTIMES[int(rng.integers(len(RUNTIMES)))],
    }
    ratio = {"ratio": float(rng.choice([0.25, 0.5, 0.75])), "criterion": "magnitude"}
    deployed["pruning_settings"] = ratio if deployed["pruning"] is Pruning.STRUCTURED else {}
    if of is not None:
        return of.candidate.model_copy(update=deployed)
    family = ("mlp", "tcn", "gru")[int(rng.integers(3))]
    width = int(rng.choice([16, 32, 64, 128]))
    return Candidate(
        problem=f"synthetic{made.mark}",
        problem_version=1,
        size=Size.TINY,
        encoding=made.names[int(rng.integers(len(made.names)))] + made.mark,
        encoding_settings={"window": int(rng.choice([4, 8, 16])), "axes": f"polar{made.mark}"},
        architecture=family,
        architecture_settings={"width": width, "depth": int(rng.integers(1, 5))},
        training=Training(
            learning_rate=float(10.0 ** rng.uniform(-4, -2)), batch_size=64, weight_decay=1e-5
        ),
        seed=made.seed,
        **deployed,
    )


def _record(
    number: int, earlier: Sequence[Record], rng: np.random.Generator, made: SyntheticRunOptions
) -> Record:
    trained = [each for each in earlier[-40:] if each.training is None and each.eager_error]
    again = number % 3 > 0 and bool(trained)
    of = trained[int(rng.integers(len(trained)))] if again else None
    candidate = _candidate(rng, made, of)
    ended = START_TIME + timedelta(seconds=30.0 + 8.0 * number + float(rng.uniform(0.0, 6.0)))
    known = {
        "number": number,
        "key": candidate.key,
        "candidate": candidate,
        "training": None if of is None else of.number,
        "ended": ended.isoformat(timespec="seconds"),
    }
    error = of.unpruned_error if of and of.unpruned_error else _error(candidate, rng)
    if rng.uniform() < made.failing_share:
        reason = REASONS[int(rng.integers(len(REASONS)))] + made.mark
        spent = {"prepare": 0.1, "train": 4.0}
        failed = {"state": State.INFEASIBLE, "stage": "train", "reason": reason}
        if "Error at " in reason:
            failed["traceback"] = f"Traceback (most recent call last):\n  File ...\n{reason}\n"
        return Record(**known, **failed, durations_s=spent)
    rungs = tuple(
        Rung(epoch=int(40 * share), share=share, error=error * (1.0 + 1.5 * (1.0 - share)))
        for share in (0.25, 0.5)
    )
    if of is None and rng.uniform() < 0.3:
        stopped = {"state": State.STOPPED, "stage": "train", "reason": "in the worse half at 25 %"}
        spent = {"prepare": 0.1, "train": 4.5}
        return Record(**known, **stopped, rungs=rungs[:1], durations_s=spent)
    record = _complete(known, candidate, error, () if of else rungs, rng)
    return _adapted(record, made)


def _error(candidate: Candidate, rng: np.random.Generator) -> float:
    settings, rate = candidate.architecture_settings, math.log10(candidate.training.learning_rate)
    base = {"mlp": 0.12, "tcn": 0.05, "gru": 0.07}[candidate.architecture]
    wide = (float(settings["width"]) / 32.0) ** -0.5
    return base * wide * (1.0 + 0.8 * (rate + 3.0) ** 2) * float(rng.lognormal(0.0, 0.2))


def _complete(
    known: dict[str, object],
    candidate: Candidate,
    unpruned: float,
    rungs: tuple[Rung, ...],
    rng: np.random.Generator,
) -> Record:
    ratio = float(candidate.pruning_settings.get("ratio", 0.0))
    lost = {Precision.FP32: 1.0, Precision.BF16: 1.01, Precision.INT8: 1.15}[candidate.precision]
    exact = unpruned * (1.0 + 0.2 * ratio)
    work = float(candidate.architecture_settings["width"]) * (1.0 - 0.6 * ratio)
    gained = {Precision.FP32: 1.0, Precision.BF16: 1.6, Precision.INT8: 2.2}[candidate.precision]
    slow = {"mlp": 1.0, "tcn": 4.0, "gru": 12.0}[candidate.architecture]
    speedup = 4e3 * RUNTIME_SPEEDUPS[candidate.runtime] * gained / slow / work
    spent = {"prepare": 0.1, "deploy": 2.0, "validate": 0.2, "measure": 1.0}
    return Record(
        **known,
        state=State.COMPLETE,
        stage="measure",
        rungs=rungs,
        metrics={ERROR: exact * lost, SECOND_METRIC: exact * 3.0},
        timing=_timing(speedup * float(rng.lognormal(0.0, 0.1)), noisy=True),
        unpruned_error=unpruned,
        eager_error=exact,
        disagreement=lost - 1.0,
        parameters=int(work * work),
        zeros=0,
        artefact=f"artefacts/{known['number']:04}",
        artefact_hash="abcdef0123456789abcd",
        durations_s=spent | ({"train": 18.0} if rungs else {"load": 0.1}),
    )


def _adapted(record: Record, made: SyntheticRunOptions) -> Record:
    """Return a complete record with memory, where that is an objective, and with ties, if asked."""
    changes: dict[str, object] = {}
    if made.memory:
        size = {Precision.FP32: 4, Precision.BF16: 2, Precision.INT8: 1}
        weights = size[record.candidate.precision] * (record.parameters or 0)
        changes["memory_bytes"] = 2 ** math.ceil(math.log2(20_000 + weights))
    if made.ties:
        error = 2.0 ** round(math.log2(record.metrics[ERROR]))
        changes["metrics"] = {ERROR: error, SECOND_METRIC: 3.0 * error}
        changes["timing"] = _timing(2.0 ** round(math.log2(record.timing.speedup)), noisy=True)
    return record.model_copy(update=changes)


def _timing(speedup: float, *, noisy: bool) -> Timing:
    time_s = REFERENCE_S / speedup
    return Timing(
        time_s=time_s,
        reference_s=REFERENCE_S,
        speedup=speedup,
        speedup_low=speedup * 0.97,
        speedup_high=speedup * 1.04,
        rounds=24,
        time_p5_s=time_s * 0.9,
        time_p95_s=time_s * 1.3,
        noisy=noisy,
    )


def _heat(
    records: Sequence[Record], rng: np.random.Generator, made: SyntheticRunOptions
) -> FinalEvaluation:
    mark, again = made.mark, np.random.default_rng(made.seed)
    members = [
        (record, _timing(record.timing.speedup * scatter, noisy=False))
        for record in select_finalists(records, ERROR, made.limits)
        for scatter in (float(again.lognormal(0.0, made.scatter)) if made.scatter else 1.0,)
    ]
    timings = {record.number: timing for record, timing in members}
    found = recommendation([record for record, _ in members], ERROR, made.limits, timings)
    chosen = None if found is None else found.knee
    finalists = [
        _entrant(f"persistence{mark}", None, 0.4, 900.0),
        _entrant("linear", None, 0.11, 60.0),
        *(_member(record, timing, rng, chosen, mark) for record, timing in members),
    ]
    return FinalEvaluation(
        recommendation=found,
        knee=chosen,
        finalists=tuple(finalists),
        pictures=(_picture(f"Flux along the axis{mark}", mark),) if members else (),
        left_out={f"a third baseline{mark}": f"it failed on every sample{mark}"},
        host=HostTiming(time_s=2.0, fraction=0.83, calls=40),
        sample_errors=tuple(rng.lognormal(-2.7, 0.5, 128).tolist()) if members else (),
        worst=(_picture(f"The worst sample{mark}", mark),) if members else (),
        ended=(START_TIME + timedelta(seconds=60.0 + 8.0 * len(records))).isoformat(
            timespec="seconds"
        ),
    )


def _entrant(name: str, trial: int | None, error: float, speedup: float) -> Finalist:
    test = ConfidenceInterval(value=error, low=error * 0.93, high=error * 1.08)
    shifted = ConfidenceInterval(value=error * 1.6, low=error * 1.4, high=error * 1.9)
    return Finalist(
        name=name,
        trial=trial,
        timing=_timing(speedup, noisy=False),
        test={ERROR: test, SECOND_METRIC: test},
        shifted={ERROR: shifted, SECOND_METRIC: shifted},
        failed={"test": 0, "shifted": 0},
        host_result=HostResult(scores={"departure of flux": error * 0.7}, time_s=0.5, speedup=4.0),
    )


def _member(
    record: Record, timing: Timing, rng: np.random.Generator, chosen: int | None, mark: str
) -> Finalist:
    error = record.metrics[ERROR] * 1.05
    own = _entrant(f"trial {record.number}", record.number, error, timing.speedup)
    if record.number != chosen:
        drawn = _picture(f"Flux along the axis{mark}", mark)
        return own.model_copy(update={"pictures": (drawn,)})
    again = tuple(
        RetrainingResult(
            trial=record.number,
            seed=seed,
            reason=f"it diverged{mark}" if seed == 3 else "",
            test={} if seed == 3 else {ERROR: error * float(rng.lognormal(0.0, 0.1))},
        )
        for seed in (1, 2, 3)
    )
    batches = tuple(
        BatchTiming(batch=n, call_time_s=call, low_s=0.95 * call, high_s=1.1 * call)
        for n in (1, 8, 64, 512)
        for call in (2e-5 + n * own.timing.time_s,)
    )
    return own.model_copy(
        update={
            "retrained": again,
            "batches": batches,
            "work": ComputeCost(flops_per_sample=2e5, peak=6e10),
        }
    )


def _picture(title: str, mark: str) -> Picture:
    x = tuple(i / 10.0 for i in range(60))
    truth = tuple(math.sin(value) for value in x)
    found = tuple(math.sin(value) + 0.05 * value for value in x)
    curves = (
        Curve(f"sample 1{mark}, reference", x, truth, reference=True),
        Curve(f"sample 1{mark}, predicted", x, found),
    )
    return Picture(title, f"position [m]{mark}", "flux [W/m2]", curves)


if __name__ == "__main__":
    from asking import argument_parser  # tests import this file, and not from its folder

    asked = argument_parser(__doc__)
    asked.add_argument("folder", type=Path, metavar="FOLDER")
    asked.add_argument(
        "trials", nargs="?", type=int, default=SyntheticRunOptions().trials, metavar="TRIALS"
    )
    given = asked.parse_args()
    print(write_run(given.folder, SyntheticRunOptions(trials=given.trials)).folder)
