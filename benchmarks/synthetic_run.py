"""A synthetic run directory of any size, for tests of reports and recommendations.

    .venv/bin/python benchmarks/synthetic_run.py FOLDER [TRIALS]

Errors and times are simple functions of the settings with noise; nothing is trained.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from problems import Metric, Size
from problems.interfaces.pictures import Curve, Picture
from search.objectives.recommendation import recommendation, select_finalists
from search.run.directory import RunDirectory
from search.run.environment import Environment
from search.run.finalists import (
    BatchTiming,
    ComputeCost,
    FinalEvaluation,
    Finalist,
    HostResult,
    HostTiming,
    PairedComparison,
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
from search.run.simulations import (
    BoughtPoint,
    Replay,
    ReplayPoint,
    SimulationsPlan,
    SimulationsSummary,
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
    """Options of a synthetic run.

    Args:
        trials: Number of trials, including further deployments.
        final_evaluation: Whether there is a final evaluation; a run without one was interrupted or
            still runs.
        failing_share: Share of the trials that fail.
        mark: Text in every string that a user may have written.
        seed: Seed of all random numbers.
        names: Names of the encodings.
        limits: Goals of the problem.
        memory: Whether memory is an objective.
        ties: Whether errors and speed-ups are powers of two, so that many are equal.
        scatter: Standard deviation of the natural logarithm of times measured again.
    """

    trials: int = 60
    final_evaluation: bool = True
    failing_share: float = 0.08
    mark: str = ""
    seed: int = 0
    names: tuple[str, ...] = field(default=("series", "pattern", "grid"))
    limits: Limits = GOALS
    memory: bool = False
    ties: bool = False
    scatter: float = 0.0


def write_run(folder: Path, options: SyntheticRunOptions) -> RunDirectory:
    """Write a run directory and return it.

    Args:
        folder: Folder of the run, which is created.
        options: Options of the run.
    """
    spec = Spec(
        problem=f"synthetic{options.mark}",
        problem_version=1,
        source=f"synthetic{options.mark}",
        origin_hash="0123456789abcdef0123",
        size=Size.TINY,
        seed=options.seed,
        trials=max(1, -(-options.trials // 3)),
        workers=4,
        extra_objectives=(ExtraObjective.MEMORY,) if options.memory else (),
    )
    run = RunDirectory.start(folder, spec)
    run.add_session(_environment(options.mark))
    run.write("data.json", _dataset(options))
    rng = np.random.default_rng(options.seed)
    records: list[Record] = []
    for number in range(options.trials):
        records.append(_record(number, records, rng, options))
        # Synchronised to disk one by one, as in a search, 5,000 records would take minutes.
        text = records[-1].model_dump_json(indent=1)
        (run.folder / "trials" / f"{number:04d}.json").write_text(text)
    if options.final_evaluation:
        run.write("heat.json", _final_evaluation(records, rng, options))
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


def _simulations(mark: str) -> SimulationsSummary:
    """Return the samples that the run bought: errors fall as powers of the samples' number."""
    points = tuple(
        ReplayPoint(samples=n, chosen=(12.0 / n, 13.0 / n), random=(3.0 / n**0.5, 3.1 / n**0.5))
        for n in (64, 90, 128)
    )
    whole = ReplayPoint(samples=256, chosen=(0.06, 0.06), random=(0.06, 0.06))
    replay = Replay(emulator=f"emulator{mark}", method="committee", points=(*points, whole))
    return SimulationsSummary(
        plan=SimulationsPlan(simulations=258, sample_s=0.5, replay=replay),
        bought=256,
        failed=2,
        points=tuple(BoughtPoint(samples=n, error=15.0 / n) for n in (256, 384, 512)),
    )


def _dataset(options: SyntheticRunOptions) -> DatasetSummary:
    mark = options.mark
    sides = (("position", True, "m"), ("speed", True, "m/s"), ("flux", False, "W/m2"))
    return DatasetSummary(
        summary=f"a synthetic simulation{mark}",
        samples={"train": 512, "validation": 128, "test": 128, "shifted": 64},
        failed={"train": 2},
        reasons={f"it diverged{mark}": 2},
        metrics=(
            Metric(ERROR, "1", f"root mean square error{mark}"),
            Metric(SECOND_METRIC, "J", f"change of the energy{mark}"),
        ),
        exclusions=(("", f"lstm{mark}", "", "int8", "no kernel"),),
        limits=options.limits,
        baseline_errors={f"persistence{mark}": 0.4, "linear": 0.11},
        simulations=_simulations(mark),
        fields=tuple(
            FieldSummary(
                name=f"{name}{mark}",
                is_input=is_input,
                unit=unit,
                shape=(3,),
                low=-1.5,
                high=2.5,
                valid=(-math.inf, math.inf),
            )
            for name, is_input, unit in sides
        ),
    )


def _candidate(
    rng: np.random.Generator, options: SyntheticRunOptions, trained: Record | None
) -> Candidate:
    deployment = {
        "pruning": (Pruning.NONE, Pruning.STRUCTURED)[int(rng.integers(2))],
        "precision": (Precision.FP32, Precision.BF16, Precision.INT8)[int(rng.integers(3))],
        "runtime": RUNTIMES[int(rng.integers(len(RUNTIMES)))],
    }
    ratio = {"ratio": float(rng.choice([0.25, 0.5, 0.75])), "criterion": "magnitude"}
    deployment["pruning_settings"] = ratio if deployment["pruning"] is Pruning.STRUCTURED else {}
    if trained is not None:
        return trained.candidate.model_copy(update=deployment)
    family = ("mlp", "tcn", "gru")[int(rng.integers(3))]
    width = int(rng.choice([16, 32, 64, 128]))
    return Candidate(
        problem=f"synthetic{options.mark}",
        problem_version=1,
        size=Size.TINY,
        encoding=options.names[int(rng.integers(len(options.names)))] + options.mark,
        encoding_settings={"window": int(rng.choice([4, 8, 16])), "axes": f"polar{options.mark}"},
        architecture=family,
        architecture_settings={"width": width, "depth": int(rng.integers(1, 5))},
        training=Training(
            learning_rate=float(10.0 ** rng.uniform(-4, -2)), batch_size=64, weight_decay=1e-5
        ),
        seed=options.seed,
        **deployment,
    )


def _record(
    number: int, earlier: Sequence[Record], rng: np.random.Generator, options: SyntheticRunOptions
) -> Record:
    networks = [
        record for record in earlier[-40:] if record.training is None and record.eager_error
    ]
    is_deployment = number % 3 > 0 and bool(networks)
    trained = networks[int(rng.integers(len(networks)))] if is_deployment else None
    candidate = _candidate(rng, options, trained)
    ended = START_TIME + timedelta(seconds=30.0 + 8.0 * number + float(rng.uniform(0.0, 6.0)))
    fields = {
        "number": number,
        "key": candidate.key,
        "candidate": candidate,
        "training": None if trained is None else trained.number,
        "ended": ended.isoformat(timespec="seconds"),
    }
    error = (trained and trained.unpruned_error) or _error(candidate, rng)
    if rng.uniform() < options.failing_share:
        reason = REASONS[int(rng.integers(len(REASONS)))] + options.mark
        spent = {"prepare": 0.1, "train": 4.0}
        failed = {"state": State.INFEASIBLE, "stage": "train", "reason": reason}
        if "Error at " in reason:
            failed["traceback"] = f"Traceback (most recent call last):\n  File ...\n{reason}\n"
        return Record(**fields, **failed, durations_s=spent)
    rungs = tuple(
        Rung(epoch=int(40 * share), share=share, error=error * (1.0 + 1.5 * (1.0 - share)))
        for share in (0.25, 0.5)
    )
    if trained is None and rng.uniform() < 0.3:
        stopped = {"state": State.STOPPED, "stage": "train", "reason": "in the worse half at 25 %"}
        spent = {"prepare": 0.1, "train": 4.5}
        return Record(**fields, **stopped, rungs=rungs[:1], durations_s=spent)
    record = _complete(fields, candidate, error, () if trained else rungs, rng)
    return _with_options(record, options)


def _error(candidate: Candidate, rng: np.random.Generator) -> float:
    settings, rate = candidate.architecture_settings, math.log10(candidate.training.learning_rate)
    base = {"mlp": 0.12, "tcn": 0.05, "gru": 0.07}[candidate.architecture]
    wide = (float(settings["width"]) / 32.0) ** -0.5
    return base * wide * (1.0 + 0.8 * (rate + 3.0) ** 2) * float(rng.lognormal(0.0, 0.2))


def _complete(
    fields: dict[str, object],
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
        **fields,
        state=State.COMPLETE,
        stage="measure",
        rungs=rungs,
        metrics={ERROR: exact * lost, SECOND_METRIC: exact * 3.0},
        timing=_timing(speedup * float(rng.lognormal(0.0, 0.1)), noisy=True),
        unpruned_error=unpruned,
        eager_error=exact,
        disagreement=lost - 1.0,
        parameters=int(work * work),
        zero_parameters=0,
        artefact=f"artefacts/{fields['number']:04}",
        artefact_hash="abcdef0123456789abcd",
        durations_s=spent | ({"train": 18.0} if rungs else {"load": 0.1}),
    )


def _with_options(record: Record, options: SyntheticRunOptions) -> Record:
    """Return a complete record with memory and with ties, if the options say so."""
    changes: dict[str, object] = {}
    if options.memory:
        size = {Precision.FP32: 4, Precision.BF16: 2, Precision.INT8: 1}
        weights = size[record.candidate.precision] * (record.parameters or 0)
        changes["memory_bytes"] = 2 ** math.ceil(math.log2(20_000 + weights))
    if options.ties:
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


def _final_evaluation(
    records: Sequence[Record], rng: np.random.Generator, options: SyntheticRunOptions
) -> FinalEvaluation:
    mark, again = options.mark, np.random.default_rng(options.seed)
    members = [
        (record, _timing(record.timing.speedup * scatter, noisy=False))
        for record in select_finalists(records, ERROR, options.limits)
        for scatter in (float(again.lognormal(0.0, options.scatter)) if options.scatter else 1.0,)
    ]
    timings = {record.number: timing for record, timing in members}
    found = recommendation([record for record, _ in members], ERROR, options.limits, timings)
    chosen = None if found is None else found.recommended
    finalists = [
        _finalist(f"persistence{mark}", None, 0.4, 900.0),
        _finalist("linear", None, 0.11, 60.0),
        *(_recommended_finalist(record, timing, rng, chosen, mark) for record, timing in members),
    ]
    return FinalEvaluation(
        recommendation=found,
        recommended=chosen,
        finalists=tuple(finalists),
        pictures=(_picture(f"Flux along the axis{mark}", mark),) if members else (),
        left_out={f"a third baseline{mark}": f"it failed on every sample{mark}"},
        host=HostTiming(time_s=2.0, fraction=0.83, calls=40),
        sample_errors=tuple(rng.lognormal(-2.7, 0.5, 128).tolist()) if members else (),
        worst_pictures=(_picture(f"The worst sample{mark}", mark),) if members else (),
        ended=(START_TIME + timedelta(seconds=60.0 + 8.0 * len(records))).isoformat(
            timespec="seconds"
        ),
    )


def _finalist(name: str, trial: int | None, error: float, speedup: float) -> Finalist:
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


def _recommended_finalist(
    record: Record, timing: Timing, rng: np.random.Generator, chosen: int | None, mark: str
) -> Finalist:
    error = record.metrics[ERROR] * 1.05
    own = _finalist(f"trial {record.number}", record.number, error, timing.speedup)
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
    difference = ConfidenceInterval(
        value=error - 0.11, low=error - 0.11 - 0.01, high=error - 0.11 + 0.01
    )
    return own.model_copy(
        update={
            "against_baseline": PairedComparison(
                other=f"linear{mark}", difference=difference, samples=128
            ),
            "retrainings": again,
            "batches": batches,
            "compute_cost": ComputeCost(flops_per_sample=2e5, peak_flops_per_s=6e10),
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
    from arguments import argument_parser  # tests import this file from another folder

    parser = argument_parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument(
        "trials", nargs="?", type=int, default=SyntheticRunOptions().trials, metavar="TRIALS"
    )
    arguments = parser.parse_args()
    print(write_run(arguments.folder, SyntheticRunOptions(trials=arguments.trials)).folder)
