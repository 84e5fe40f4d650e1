"""How long the study takes to ask for a candidate, and to be told of it, as trials add up.

    .venv/bin/python benchmarks/ask_time.py

A study of `planets` is filled with made-up results of candidates drawn at random, three in five of
them stopped at a rung. At each number of trials every sampler asks a few times; printed, kept as
JSON and drawn: medians, in milliseconds. Ends with 1 where the default one is too slow.
"""

import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import plotly.graph_objects as go
from asking import argument_parser
from keeping import save_results

from problems import Problem, Size, load_problem
from search.run.records import Record, Rung, State, Timing
from search.run.spec import SamplerName, Spec
from search.sampling.study import SearchStudy
from search.trial.lifecycle import RUNG_SHARES
from spaces.candidate import Candidate

TRIALS = (100, 300, 1000, 3000, 10_000)
ASKS = 5
STOPPED_SHARE = 0.6
"""The share of the networks that are stopped at a rung."""

TARGET_MS, TARGET_TRIALS = 50.0, 3000
SAMPLERS = (SamplerName.ADDITIVE, SamplerName.TPE, SamplerName.NSGA2, SamplerName.AUTO)


def ended(problem: Problem, number: int, candidate: Candidate) -> Record:
    """Return a record with figures that hang on the candidate alone."""
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
    done = {"state": State.COMPLETE, "stage": "measure", "unpruned_error": error, "timing": timing}
    return record.model_copy(update={**done, "metrics": {problem.objective.name: error}})


def fill_study(
    study: SearchStudy, problem: Problem, trials: int, records: dict[int, Record]
) -> list[float]:
    """Ask and tell until there are so many trials; return how long each took to tell."""
    told: list[float] = []
    while study.position < trials:
        record = ended(problem, *study.ask())
        records[record.number] = record
        started = time.perf_counter()
        study.tell(record)
        told.append(time.perf_counter() - started)
    return told


def median_ask_s(study: SearchStudy, problem: Problem, records: dict[int, Record]) -> float:
    """Return the median time of a few asks of a study that is told what ended before."""
    study.interrupted_trials(records)
    seconds: list[float] = []
    for _ in range(ASKS):
        started = time.perf_counter()
        number, candidate = study.ask()
        seconds.append(time.perf_counter() - started)
        records[number] = ended(problem, number, candidate)
        study.tell(records[number])
    return median(seconds)


def _plot(facts: dict[int, dict[str, float]]) -> go.Figure:
    """Return what asking and telling take against the number of trials."""
    figure = go.Figure()
    for name in next(iter(facts.values())):
        y = [each[name] for each in facts.values()]
        figure.add_scatter(x=list(facts), y=y, name=name.removesuffix("_ms").replace("_", ", "))
    figure.add_hline(y=TARGET_MS, line_dash="dot", annotation_text=f"target at {TARGET_TRIALS:,}")
    figure.update_xaxes(title="trials", type="log")
    return figure.update_yaxes(title="milliseconds", type="log")


def main() -> int:
    """Measure, print, and keep beside this file; return 1 where the default takes too long."""
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
            told = fill_study(study(SamplerName.RANDOM), problem, trials, records)
            facts[trials] = {
                f"{sampler}_ask_ms": 1e3 * median_ask_s(study(sampler), problem, records)
                for sampler in SAMPLERS
            } | {"tell_ms": 1e3 * median(told[-ASKS:])}
            figures = ", ".join(f"{name} {figure:.1f}" for name, figure in facts[trials].items())
            print(f"{trials} trials: {figures}", flush=True)
    save_results(__file__, facts, _plot(facts))
    return 1 if facts[TARGET_TRIALS][f"{SamplerName.AUTO}_ask_ms"] > TARGET_MS else 0


if __name__ == "__main__":
    sys.exit(main())
