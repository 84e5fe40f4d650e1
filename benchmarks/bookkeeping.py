"""What a trial's bookkeeping costs, ours over Ray Tune's alone, with trials that do nothing.

    .venv/bin/python benchmarks/bookkeeping.py

Two workers report two rungs and an end, at once. Ours goes through the study, the halving, the
records on disk and the journal; Ray Tune's through its own search, without loggers and checkpoints
and with its actors used again, as ours are. Both ask at random: what other samplers take is told by
`ask_time.py`. They take turns; counted is the time from the first few ends to the last, so that
starting workers has no part in it. Printed, kept as JSON and drawn: milliseconds a trial.
Ends with 1 where it is too large.
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
from asking import argument_parser
from keeping import save_results
from rich.console import Console

from problems import Dataset, Size
from problems.data.dataset import generate
from problems.data.shards import default_cache
from problems.template.problem import problem
from search.progress import ProgressDisplay
from search.run.directory import Run
from search.run.records import NO_LIMITS, Record, Rung, State, Timing, timestamp
from search.run.spec import SamplerName, Spec
from search.sampling.study import SearchStudy
from search.sampling.trial_queue import TrialQueue
from search.timing.reference import ReferenceTiming
from search.trial.lifecycle import RUNG_SHARES, RungReport, SearchContext
from search.workers import tune_adapter
from search.workers.ray_cluster import cluster
from search.workers.successive_halving import SuccessiveHalving
from search.workers.tune_adapter import StudySearcher, TrialActor, run_trials, tune
from spaces.candidate import Candidate

WORKERS, TRIALS, ROUNDS = 2, 300, 5
WARM_UP_TRIALS = 30
"""Trials that end before the time is taken."""

START_DELAY_S = 8.0
"""A worker's first trial lasts until the others are there: Tune gives a free worker the trial that
another is being started for, and starts that one again, for ever where trials take no time."""

MAX_RATIO = 1.5


def idle_trial(number: int, candidate: Candidate) -> Iterator[RungReport | Record]:
    """Yield the rungs of a trial, and its record, with figures that hang on its number alone."""
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
    """Our worker, whose trials do nothing."""

    _begun = False

    def _begin(self, config: dict[str, Any]) -> None:
        candidate = Candidate.model_validate_json(config["candidate"])
        self._life = idle_trial(config["number"], candidate)

    def step(self) -> dict[str, Any]:
        """Go on, the first time once the other workers are there."""
        if not self._begun:
            self._begun = True
            time.sleep(START_DELAY_S)
        return super().step()


class NeverStopping(SuccessiveHalving):
    """Notes arrivals and ranks them, but stops nobody: every trial makes all its reports."""

    def should_continue(self, share: float, error: float, *costs: float) -> bool:
        """Return true."""
        super().should_continue(share, error, *costs)
        return True


class TimedProgress(ProgressDisplay):
    """Shows what a search shows, and notes when trials end."""

    def __init__(self) -> None:
        super().__init__(problem, TRIALS, Console(file=io.StringIO()))
        self.times: list[float] = []

    def trial_finished(self, record: Record) -> None:
        """Note the time."""
        super().trial_finished(record)
        self.times.append(time.perf_counter())


def run_simstead(data: Dataset, folder: Path, seed: int) -> list[float]:
    """Return when each of our trials ended."""
    spec = Spec(
        problem=problem.name,
        problem_version=problem.version,
        size=Size.TINY,
        seed=seed,
        trials=TRIALS,
        workers=WORKERS,
        deployments=1,
        sampler=SamplerName.RANDOM,
        opening=0,
    )
    run = Run.start(folder, spec)
    context = SearchContext(problem, data, ReferenceTiming(None, 1.0), NO_LIMITS, run)
    ends = TimedProgress()
    agenda = TrialQueue(SearchStudy(run.journal, problem, spec), run, spec, [])
    run_trials(context, StudySearcher(agenda, run, ends, WORKERS), NeverStopping())
    return ends.times


class IdleTrainable(tune.Trainable):
    """Ray Tune's worker, whose trials do nothing, in as many reports."""

    def setup(self, config: dict[str, Any]) -> None:
        """Begin."""
        self._begun = False
        self.reset_config(config)

    def step(self) -> dict[str, Any]:
        """Report; the one after the rungs is the last. The first waits for the other workers."""
        if not self._begun:
            self._begun = True
            time.sleep(START_DELAY_S)
        self._reports += 1
        return {"error": self._x, "time": self._x, "done": self._reports > len(RUNG_SHARES)}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take up another trial."""
        self._x, self._reports = new_config["x"], 0
        return True


class EndTimeCallback(tune.Callback):
    """Notes when trials end."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:  # noqa: ARG002
        """Note the time."""
        self.times.append(time.perf_counter())


def run_ray_tune(scratch: str) -> list[float]:
    """Return when each of Ray Tune's trials ended."""
    noted = EndTimeCallback()
    tuner = tune.Tuner(
        tune.with_resources(IdleTrainable, {"cpu": 1}),
        param_space={"x": tune.uniform(0.0, 1.0)},
        tune_config=tune.TuneConfig(
            num_samples=TRIALS, max_concurrent_trials=WORKERS, reuse_actors=True
        ),
        run_config=tune.RunConfig(
            storage_path=scratch,
            verbose=0,
            callbacks=[noted],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    tuner.fit()
    return noted.times


def per_trial_ms(ends: list[float]) -> float:
    """Return milliseconds a trial once the workers are there."""
    return 1e3 * (ends[-1] - ends[WARM_UP_TRIALS - 1]) / (len(ends) - WARM_UP_TRIALS)


def _plot(found: dict[str, list[float]]) -> go.Figure:
    """Return what every round took a trial."""
    names = {"ours_ms": "simstead", "ray_tune_ms": "Ray Tune alone"}
    figure = go.Figure(
        [go.Box(y=each, name=names[name], boxpoints="all") for name, each in found.items()]
    )
    return figure.update_yaxes(title="milliseconds a trial", rangemode="tozero")


def main() -> int:
    """Measure in turn, print, keep beside this file; return 1 where ours is too large."""
    argument_parser(__doc__).parse_args()
    tune_adapter.TrialActor = IdleActor
    data = generate(problem, default_cache())
    found: dict[str, list[float]] = {"ours_ms": [], "ray_tune_ms": []}
    with tempfile.TemporaryDirectory() as scratch, cluster(WORKERS, Path(scratch)):
        for turn in range(ROUNDS):
            found["ours_ms"].append(
                per_trial_ms(run_simstead(data, Path(scratch) / f"run{turn}", turn))
            )
            found["ray_tune_ms"].append(per_trial_ms(run_ray_tune(f"{scratch}/alone{turn}")))
    facts = {name: median(each) for name, each in found.items()}
    pairs = zip(found["ours_ms"], found["ray_tune_ms"], strict=True)
    facts["ratio"] = median(mine / its for mine, its in pairs)
    facts["trials"] = ROUNDS * TRIALS
    print(json.dumps(facts, indent=1))
    save_results(
        __file__, facts | {f"{name}_each": each for name, each in found.items()}, _plot(found)
    )
    return 1 if facts["ratio"] > MAX_RATIO else 0


if __name__ == "__main__":
    sys.exit(main())
