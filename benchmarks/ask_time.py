"""Time in which the study suggests a candidate and is told its result, by number of trials.

    .venv/bin/python benchmarks/ask_time.py

A study of `planets` is filled with synthetic results of random candidates, three in five of which
were stopped early. At each number of trials every sampler suggests a few candidates. The medians in
milliseconds are printed, stored as JSON and plotted. Exits with 1 if the default sampler is too
slow.
"""

import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import plotly.graph_objects as go
from arguments import argument_parser
from results import save_results

from problems import Problem, Size, load_problem
from search.run.records import Record, Rung, State, Timing
from search.run.spec import SamplerName, Spec
from search.sampling.study import SearchStudy
from search.trial.lifecycle import RUNG_SHARES
from spaces.candidate import Candidate

TRIALS = (100, 300, 1000, 3000, 10_000)
ASKS = 5
STOPPED_SHARE = 0.6
"""Share of the networks that are stopped early."""

TARGET_MS, TARGET_TRIALS = 50.0, 3000
SAMPLERS = (SamplerName.ADDITIVE, SamplerName.TPE, SamplerName.NSGA2, SamplerName.AUTO)


def synthetic_record(problem: Problem, number: int, candidate: Candidate) -> Record:
    """Return a record whose figures depend on the candidate alone.

    Args:
        problem: The problem.
        number: Number of the trial.
        candidate: Its candidate.
    """
    error, time_s = (1.0 / (1 + int(candidate.key[i : i + 4], 16)) for i in (0, 4))
    timing = Timing(
        time_s=time_s,
        reference_s=1.0,
        speedup=1.0 / time_s,
        speedup_low=1.0 / time_s,
        speedup_high=1.0 / time_s,
        rounds=1,
    )
    record = Record(
        number=number,
        key=candidate.key,
        candidate=candidate,
        state=State.STOPPED,
        stage="train",
        rungs=(Rung(epoch=1, share=RUNG_SHARES[0], error=error),),
        untrained_relative_time=time_s,
        ended="",
    )
    if int(candidate.key[8:12], 16) < STOPPED_SHARE * 16**4:
        return record
    results = {
        "state": State.COMPLETE,
        "stage": "measure",
        "unpruned_error": error,
        "timing": timing,
    }
    return record.model_copy(update={**results, "metrics": {problem.objective.name: error}})


def fill_study(
    study: SearchStudy, problem: Problem, trials: int, records: dict[int, Record]
) -> list[float]:
    """Return the time of each `tell` while a study is filled up to a number of trials [s].

    Args:
        study: The study.
        problem: Its problem.
        trials: Number of trials.
        records: Records of the trials so far, to which the new ones are added.
    """
    seconds: list[float] = []
    while study.position < trials:
        record = synthetic_record(problem, *study.ask())
        records[record.number] = record
        start = time.perf_counter()
        study.tell(record)
        seconds.append(time.perf_counter() - start)
    return seconds


def median_ask_s(study: SearchStudy, problem: Problem, records: dict[int, Record]) -> float:
    """Return the median time of a few suggestions of a study that knows the records so far [s].

    Args:
        study: The study.
        problem: Its problem.
        records: Records of the trials so far, to which the new ones are added.
    """
    study.interrupted_trials(records)
    seconds: list[float] = []
    for _ in range(ASKS):
        start = time.perf_counter()
        number, candidate = study.ask()
        seconds.append(time.perf_counter() - start)
        records[number] = synthetic_record(problem, number, candidate)
        study.tell(records[number])
    return median(seconds)


def _plot(facts: dict[int, dict[str, float]]) -> go.Figure:
    """Return a plot of the times against the number of trials."""
    figure = go.Figure()
    for name in next(iter(facts.values())):
        y = [times[name] for times in facts.values()]
        figure.add_scatter(x=list(facts), y=y, name=name.removesuffix("_ms").replace("_", ", "))
    figure.add_hline(y=TARGET_MS, line_dash="dot", annotation_text=f"target at {TARGET_TRIALS:,}")
    figure.update_xaxes(title="trials", type="log")
    return figure.update_yaxes(title="milliseconds", type="log")


def main() -> int:
    """Measure, print and store the times; return 1 if the default sampler is too slow."""
    argument_parser(__doc__).parse_args()
    problem = load_problem("planets", Size.TINY)
    facts: dict[int, dict[str, float]] = {}
    records: dict[int, Record] = {}
    with tempfile.TemporaryDirectory() as scratch:
        journal = Path(scratch) / "journal.log"

        def study(sampler: SamplerName) -> SearchStudy:
            spec = Spec(
                problem=problem.name,
                problem_version=problem.version,
                size=Size.TINY,
                seed=0,
                trials=TRIALS[-1],
                workers=1,
                sampler=sampler,
            )
            return SearchStudy(journal, problem, spec)

        for trials in TRIALS:
            tell_s = fill_study(study(SamplerName.RANDOM), problem, trials, records)
            facts[trials] = {
                f"{sampler}_ask_ms": 1e3 * median_ask_s(study(sampler), problem, records)
                for sampler in SAMPLERS
            } | {"tell_ms": 1e3 * median(tell_s[-ASKS:])}
            figures = ", ".join(f"{name} {figure:.1f}" for name, figure in facts[trials].items())
            print(f"{trials} trials: {figures}", flush=True)
    save_results(__file__, facts, _plot(facts))
    return 1 if facts[TARGET_TRIALS][f"{SamplerName.AUTO}_ask_ms"] > TARGET_MS else 0


if __name__ == "__main__":
    sys.exit(main())
