"""Is a surrogate of a run more accurate than every baseline that is at least as fast?

    .venv/bin/python benchmarks/equally_fast_baselines.py RUN [--calls 9] [--without WORD ...]

Every trained surrogate of a run, which may be unfinished, and the problem's own baselines are
scored on the test split and timed in turn, in processor time of one call of the deployment's batch
(the smallest of several calls), which other processes disturb least. Each surrogate is compared
with the baselines that take no more time: difference of errors with its 90 % interval, paired over
the samples, and the share of samples on which the surrogate has the smaller error.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from arguments import argument_parser

from problems import Problem, Run, Split, load_problem
from problems.data.cache import default_cache
from problems.data.dataset import generate
from search.final.comparison import Comparisons, sample_errors
from search.run.directory import RunDirectory
from search.trial.scoring import bootstrap_intervals, score_split
from simstead import open_run


def processor_times(
    runs: dict[str, Run], problem: Problem, split: Split, calls: int
) -> dict[str, float]:
    """Return the smallest processor time of a sample [s] by name, in calls that take turns.

    Args:
        runs: Surrogates and baselines.
        problem: The problem, whose deployment states the batch.
        split: Samples to call them with.
        calls: Calls of each.
    """
    batch = split.take(np.arange(min(len(split), problem.deployment.batch))).inputs
    size, smallest = len(next(iter(batch.values()))), dict.fromkeys(runs, float("inf"))
    for _ in range(calls):
        for name, run in runs.items():
            began = time.process_time()
            run(batch, np.random.default_rng(0))
            smallest[name] = min(smallest[name], (time.process_time() - began) / size)
    return smallest


def compare(folder: Path, calls: int, without: Sequence[str]) -> dict[str, dict[str, object]]:
    """Return what is printed, by name of surrogate or baseline.

    Args:
        folder: The run directory.
        calls: Calls of each that are timed.
        without: Baselines whose names contain one of these words are left out.
    """
    directory = RunDirectory.open(folder)
    spec = directory.spec()
    problem = load_problem(spec.problem, spec.size)
    data = generate(problem, default_cache())
    baselines = {
        name: run
        for name, run in problem.fitted(data.train).baseline_runs.items()
        if not any(word in name for word in without)
    }
    records = {
        f"trial {record.number}, {record.candidate.encoding}": record
        for record in directory.surrogate_records()
        if record.artefact is not None  # not stopped early, nor refused
    }
    opened = open_run(str(folder))
    surrogates = {name: opened.surrogate(record.number).run for name, record in records.items()}
    runs: dict[str, Run] = {**baselines, **surrogates}
    scores = {name: score_split(problem, run, data.test, name) for name, run in runs.items()}
    encodings = {name: record.candidate.encoding for name, record in records.items()}
    errors = {name: sample_errors(problem, encodings.get(name), scores[name]) for name in runs}
    comparisons = Comparisons(problem, scores, errors)
    seconds = processor_times(runs, problem, data.test, calls)
    objective = problem.objective.name
    found: dict[str, dict[str, object]] = {}
    for name in sorted(runs, key=lambda each: seconds[each]):
        error = bootstrap_intervals(problem, scores[name])[objective]
        found[name] = {"s": seconds[name], "error": error.model_dump()}
        print(
            f"{name:34} {1e3 * seconds[name]:9.3f} ms  {error.value:.3f} "
            f"({error.low:.3f} to {error.high:.3f})",
            flush=True,
        )
    for name in surrogates:
        rows: dict[str, object] = {}
        print(f"{name}, against baselines that take no more time:")
        for other in (each for each in baselines if seconds[each] <= seconds[name]):
            comparison = comparisons.compare(name, other)
            if comparison is not None:
                rows[other] = comparison.model_dump()
                difference, share = comparison.difference, comparison.better_share
                smaller = "" if share is None else f", smaller on {100.0 * share:.0f} %"
                print(
                    f"    {other:30} {difference.value:+.3f} ({difference.low:+.3f} to "
                    f"{difference.high:+.3f}){smaller}",
                    flush=True,
                )
        found[name]["against"] = rows
    return found


def main() -> None:
    """Compare, print and store."""
    parser = argument_parser(__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--calls", default=9, type=int)
    parser.add_argument("--without", nargs="*", default=())
    options = parser.parse_args()
    found = compare(options.run, options.calls, options.without)
    stored = Path(__file__).with_suffix(".json")
    stored.write_text(f"{json.dumps(found, indent=1)}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
