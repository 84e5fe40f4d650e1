"""How does a search compare with the emulators that users fit today, on a suite of simulators?

    .venv/bin/python benchmarks/emulators.py FOLDER [--simulators NAME ...] [--samples 128 512]
        [--splits 5] [--trials 16] [--autoemulate PYTHON] [--limit SECONDS]

For each simulator, number of training samples and split, the same samples go to a search of 16
networks, to scikit-learn's Gaussian process and to AutoEmulate, if PYTHON is the interpreter of an
environment that has it (docs/emulators.md tells how to make one). AutoEmulate begins no fit after
--limit seconds (600), and what it has fitted by then counts. Errors are those of the problem's
score on 512 test samples; times are per sample, of calls with 64 samples on one thread, timed in
turn. What has finished in FOLDER isn't repeated. `--trials 0` leaves the searches out.

Target: for each simulator and number of samples, the front holds a network whose error is at most
1.2 times that of the best other emulator at a fifth of its time (medians over the splits), and for
half of them the error is smaller. Exits with 1 if the target is missed or wasn't measured.
"""

import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import plotly.graph_objects as go
from arguments import argument_parser
from emulator_cases import measure_case
from emulator_results import (
    AUTOEMULATE,
    BASELINE,
    GAUSSIAN_PROCESS,
    MAX_ERROR_RATIO,
    MAX_TIME_RATIO,
    SEARCH,
    Case,
    CaseResult,
    EmulatorResult,
    Request,
    compare_splits,
    count_within,
)
from results import save_results
from simulators import SUITE


def describe_emulator(tool: str, result: EmulatorResult) -> str:
    """Return a line of the table."""
    found = "" if result.found_s is None else f"{result.found_s:8.1f} s"
    figures = f"{result.error:10.3g} {1e6 * result.time_s:10.3g} us {found:>10}"
    return f"    {tool:24} {figures}  {result.name}"


def describe_case(result: CaseResult) -> str:
    """Return the table of a case."""
    lines = [f"{result.case.title}: error, time for a sample, time to find it"]
    tools = [tool for tool in (BASELINE, GAUSSIAN_PROCESS, AUTOEMULATE) if tool in result.others]
    lines += [describe_emulator(tool, result.others[tool]) for tool in tools]
    for title, member in (("most accurate", result.accurate), ("fast", result.fast)):
        if member:
            lines.append(describe_emulator(f"{SEARCH}, {title}", member))
    lines += [f"    {tool:24} failed: {reason}" for tool, reason in result.failures.items()]
    if result.trials:
        lines.append(
            f"    error over that of the {result.best_tool}: {result.accurate_ratio:.3g}; "
            f"at {MAX_TIME_RATIO:g} of its time {result.fast_ratio:.3g}"
        )
    return "\n".join(lines)


def plot_results(results: Sequence[CaseResult]) -> go.Figure:
    """Return a plot of errors and times over those of the best other emulator of each case."""
    points: dict[str, list[tuple[float, float, str]]] = {}
    for result in results:
        best = result.best_other
        emulators = [*result.others.items(), *((SEARCH, member) for member in result.front)]
        for tool, each in emulators:
            ratios = (each.time_s / best.time_s, each.error / best.error)
            points.setdefault(tool, []).append((*ratios, f"{result.case.title}, {each.name}"))
    figure = go.Figure()
    for tool, values in points.items():
        times, errors, texts = zip(*values, strict=True)
        figure.add_trace(go.Scatter(x=times, y=errors, text=texts, name=tool, mode="markers"))
    figure.add_vline(MAX_TIME_RATIO, line_dash="dot")
    figure.add_hline(MAX_ERROR_RATIO, line_dash="dot")
    figure.update_xaxes(type="log", title="time over that of the best other emulator")
    figure.update_yaxes(type="log", title="error over that of the best other emulator")
    return figure


def main() -> int:
    """Measure the cases, print and store the figures; return 1 if the target isn't met."""
    parser = argument_parser(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--simulators", nargs="+", choices=SUITE, default=list(SUITE))
    parser.add_argument("--samples", nargs="+", type=int, default=[128, 512])
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--autoemulate", type=Path)
    parser.add_argument("--limit", type=float, default=600.0)
    arguments = parser.parse_args()
    request = Request(
        arguments.folder.absolute(), arguments.trials, arguments.autoemulate, arguments.limit
    )
    cases = [
        Case(*values)
        for values in product(arguments.simulators, arguments.samples, range(arguments.splits))
    ]
    results: list[CaseResult] = []
    for number, case in enumerate(cases, 1):
        print(f"{number} of {len(cases)}: {case.title}", file=sys.stderr, flush=True)
        results.append(measure_case(case, request))
        print(describe_case(results[-1]), flush=True)
    comparisons = compare_splits(results)
    for comparison in comparisons:
        print("  ".join(f"{name} {value}" for name, value in comparison._asdict().items()))
    counts = count_within(comparisons)
    print(
        f"at {MAX_TIME_RATIO:g} of the best other emulator's time, the error is at most "
        f"{MAX_ERROR_RATIO:g} times its error in {counts.near} of {counts.total}, smaller in "
        f"{counts.better}"
    )
    facts = {
        "cases": [result.facts for result in results],
        "comparisons": [comparison._asdict() for comparison in comparisons],
        "counts": counts._asdict(),
    }
    save_results(__file__, facts, plot_results(results))
    return int(not counts.meet_target)


if __name__ == "__main__":
    sys.exit(main())
