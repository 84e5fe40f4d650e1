"""Time of the bookkeeping per trial, of simstead and of Ray Tune, with trials that do nothing.

    .venv/bin/python benchmarks/bookkeeping.py

Two workers report two rungs and an end at once. In simstead a trial passes through the study,
successive halving, the records on disk and the journal; in Ray Tune through its own search, without
loggers and checkpoints and with reused actors, as in simstead. Both sample at random;
`ask_time.py` measures other samplers. The two run in turn. The time from the first few ends to the
last is measured, so it doesn't include the start of workers. The milliseconds per trial are
printed, stored as JSON and plotted. Exits with 1 if their ratio is too large.
"""

import io
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import plotly.graph_objects as go
from arguments import argument_parser
from results import save_results
from rich.console import Console

from problems import Dataset, Size
from problems.data.cache import default_cache
from problems.data.dataset import generate
from problems.template.problem import problem
from search.progress import ProgressDisplay
from search.run.directory import RunDirectory
from search.run.records import NO_LIMITS, Record, Rung, State, Timing, timestamp
from search.run.spec import SamplerName, Spec
from search.sampling.study import SearchStudy
from search.sampling.trial_queue import TrialQueue
from search.timing.reference import ReferenceTiming
from search.trial.context import SearchContext
from search.trial.lifecycle import RUNG_SHARES
from search.trial.record_builder import RungReport
from search.workers import trial_runner
from search.workers.ray_cluster import cluster
from search.workers.successive_halving import SuccessiveHalving
from search.workers.trial_runner import TrialActor, run_trials, tune
from search.workers.tune_adapter import StudySearcher
from spaces.candidate import Candidate

WORKERS, TRIALS, ROUNDS = 2, 300, 5
WARM_UP_TRIALS = 30
"""Trials that end before the measurement begins."""

START_DELAY_S = 8.0
"""Duration of a worker's first trial, during which the other workers start.

Tune gives an idle worker the trial for which another worker is being started, and starts that
worker again; if trials take no time, it does so for ever.
"""

MAX_RATIO = 1.5


def idle_trial(number: int, candidate: Candidate) -> Iterator[RungReport | Record]:
    """Yield the rungs of a trial and its record, whose figures depend on its number alone."""
    error, time_s = np.random.default_rng(number).uniform(0.01, 1.0, 2).tolist()
    rungs = [
        Rung(epoch=epoch, share=share, error=error) for epoch, share in enumerate(RUNG_SHARES, 1)
    ]
    for rung in rungs:
        yield RungReport(rung, time_s, {})
    speedup = 1.0 / time_s
    timing = Timing(
        time_s=time_s,
        reference_s=1.0,
        speedup=speedup,
        speedup_low=speedup,
        speedup_high=speedup,
        rounds=1,
    )
    yield Record(
        number=number,
        key=candidate.key,
        candidate=candidate,
        state=State.COMPLETE,
        stage="measure",
        rungs=tuple(rungs),
        metrics={problem.objective.name: error},
        timing=timing,
        untrained_relative_time=time_s,
        ended=timestamp(),
    )


class IdleActor(TrialActor):
    """A worker of simstead whose trials do nothing."""

    _begun = False

    def _start(self, config: dict[str, Any]) -> None:
        candidate = Candidate.model_validate_json(config["candidate"])
        self._events = idle_trial(config["number"], candidate)

    def step(self) -> dict[str, Any]:
        """Continue the trial; the first time after a delay in which the other workers start."""
        if not self._begun:
            self._begun = True
            time.sleep(START_DELAY_S)
        return super().step()


class NeverStopping(SuccessiveHalving):
    """Successive halving that ranks trials but never stops them, so that all make every report."""

    def should_continue(self, share: float, error: float, *costs: float) -> bool:
        """Return True."""
        super().should_continue(share, error, *costs)
        return True


class TimedProgress(ProgressDisplay):
    """The progress display of a search, which also records when trials end."""

    def __init__(self) -> None:
        super().__init__(problem, TRIALS, Console(file=io.StringIO()))
        self.times: list[float] = []

    def trial_finished(self, record: Record) -> None:
        """Record the time."""
        super().trial_finished(record)
        self.times.append(time.perf_counter())


def run_simstead(data: Dataset, folder: Path, seed: int) -> list[float]:
    """Return the times at which the trials of simstead ended [s]."""
    spec = Spec(
        problem=problem.name,
        problem_version=problem.version,
        size=Size.TINY,
        seed=seed,
        trials=TRIALS,
        workers=WORKERS,
        deployments=1,
        sampler=SamplerName.RANDOM,
        initial_design_size=0,
    )
    run = RunDirectory.start(folder, spec)
    context = SearchContext(problem, data, ReferenceTiming(None, 1.0), NO_LIMITS, run)
    progress = TimedProgress()
    queue = TrialQueue(SearchStudy(run.journal, problem, spec), run, spec, [])
    run_trials(context, StudySearcher(queue, run, progress, WORKERS), NeverStopping())
    return progress.times


class IdleTrainable(tune.Trainable):
    """A worker of Ray Tune whose trials do nothing, with as many reports."""

    def setup(self, config: dict[str, Any]) -> None:
        """Begin the first trial."""
        self._begun = False
        self.reset_config(config)

    def step(self) -> dict[str, Any]:
        """Return a report, the last one after all rungs; the first one waits for other workers."""
        if not self._begun:
            self._begun = True
            time.sleep(START_DELAY_S)
        self._reports += 1
        return {"error": self._x, "time": self._x, "done": self._reports > len(RUNG_SHARES)}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial."""
        self._x, self._reports = new_config["x"], 0
        return True


class EndTimeCallback(tune.Callback):
    """Records when trials end."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:  # noqa: ARG002
        """Record the time."""
        self.times.append(time.perf_counter())


def run_ray_tune(scratch: str) -> list[float]:
    """Return the times at which the trials of Ray Tune ended [s]."""
    callback = EndTimeCallback()
    tuner = tune.Tuner(
        tune.with_resources(IdleTrainable, {"cpu": 1}),
        param_space={"x": tune.uniform(0.0, 1.0)},
        tune_config=tune.TuneConfig(
            num_samples=TRIALS, max_concurrent_trials=WORKERS, reuse_actors=True
        ),
        run_config=tune.RunConfig(
            storage_path=scratch,
            verbose=0,
            callbacks=[callback],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    tuner.fit()
    return callback.times


def per_trial_ms(ends: list[float]) -> float:
    """Return the milliseconds per trial after the workers have started."""
    return 1e3 * (ends[-1] - ends[WARM_UP_TRIALS - 1]) / (len(ends) - WARM_UP_TRIALS)


def _plot(results: dict[str, list[float]]) -> go.Figure:
    """Return a plot of the milliseconds per trial of every round."""
    names = {"ours_ms": "simstead", "ray_tune_ms": "Ray Tune alone"}
    figure = go.Figure(
        [go.Box(y=times, name=names[name], boxpoints="all") for name, times in results.items()]
    )
    return figure.update_yaxes(title="milliseconds a trial", rangemode="tozero")


def main() -> int:
    """Measure in turn, print and store the times; return 1 if the ratio is too large."""
    argument_parser(__doc__).parse_args()
    trial_runner.TrialActor = IdleActor
    data = generate(problem, default_cache())
    results: dict[str, list[float]] = {"ours_ms": [], "ray_tune_ms": []}
    with tempfile.TemporaryDirectory() as scratch, cluster(WORKERS, Path(scratch)):
        for index in range(ROUNDS):
            results["ours_ms"].append(
                per_trial_ms(run_simstead(data, Path(scratch) / f"run{index}", index))
            )
            results["ray_tune_ms"].append(per_trial_ms(run_ray_tune(f"{scratch}/tune{index}")))
    facts = {name: median(times) for name, times in results.items()}
    pairs = zip(results["ours_ms"], results["ray_tune_ms"], strict=True)
    facts["ratio"] = median(simstead / ray_tune for simstead, ray_tune in pairs)
    facts["trials"] = ROUNDS * TRIALS
    print(json.dumps(facts, indent=1))
    save_results(
        __file__,
        facts | {f"{name}_rounds": times for name, times in results.items()},
        _plot(results),
    )
    return 1 if facts["ratio"] > MAX_RATIO else 0


if __name__ == "__main__":
    sys.exit(main())
