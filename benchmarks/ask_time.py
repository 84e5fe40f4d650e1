"""How long the study takes to ask for a candidate, and to be told of it, as trials add up.

    .venv/bin/python benchmarks/ask_time.py

A study of `planets` is filled with made-up results of candidates drawn at random. At each number of
trials every sampler asks a few times; printed and kept as JSON: medians, in milliseconds.
"""

import json
import tempfile
import time
from pathlib import Path
from statistics import median

from problems import Problem, Size, load_problem
from search.records import Record, SamplerName, Spec, State, Timing
from search.study import Study
from spaces.candidate import Candidate

TRIALS = (100, 300, 1000, 3000, 10_000)
ASKS = 5
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
    return Record(
        number=number,
        key=candidate.key,
        candidate=candidate,
        state=State.COMPLETE,
        stage="measure",
        metrics={problem.objective.name: error},
        timing=timing,
        ended="",
    )


def filled(study: Study, problem: Problem, trials: int) -> list[float]:
    """Ask and tell until there are so many trials; return how long each took to tell."""
    told: list[float] = []
    while study.position < trials:
        record = ended(problem, *study.ask())
        started = time.perf_counter()
        study.tell(record)
        told.append(time.perf_counter() - started)
    return told


def asked(study: Study, problem: Problem) -> float:
    """Return the median time of a few asks."""
    seconds: list[float] = []
    for _ in range(ASKS):
        started = time.perf_counter()
        number, candidate = study.ask()
        seconds.append(time.perf_counter() - started)
        study.tell(ended(problem, number, candidate))
    return median(seconds)


def main() -> None:
    """Measure, print, and keep beside this file."""
    problem = load_problem("planets", Size.TINY)
    facts: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        journal = Path(scratch) / "journal.log"

        def study(sampler: SamplerName) -> Study:
            spec = Spec(
                problem=problem.name,
                problem_version=problem.version,
                size=Size.TINY,
                seed=0,
                trials=TRIALS[-1],
                workers=1,
                sampler=sampler,
            )
            return Study(journal, problem, spec)

        for trials in TRIALS:
            told = filled(study(SamplerName.RANDOM), problem, trials)
            facts[trials] = {
                f"{sampler}_ask_ms": 1e3 * asked(study(sampler), problem) for sampler in SAMPLERS
            } | {"tell_ms": 1e3 * median(told[-ASKS:])}
            figures = ", ".join(f"{name} {figure:.1f}" for name, figure in facts[trials].items())
            print(f"{trials} trials: {figures}", flush=True)
    Path(__file__).with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
