"""How many simulations does a chosen batch save, compared with random draws?

    .venv/bin/python benchmarks/active_learning.py [--simulators NAME ...] [--start 64]
        [--simulations 192] [--splits 3] [--pool 0]

For each simulator of the suite and each split, an emulator (the Gaussian process among the standard
baselines) begins with the same 64 random samples and gets 192 more in four rounds, as `simstead
search --simulations 192` buys them: by the integrated variance that it uses, by the largest
variance, and at random. Errors are those of the problem's score on 512 test samples, geometric
means over the splits. `--pool` sets the size of the pool in place of that of a search.

Target: for half of the simulators, the rule needs at most half as many simulations, of those that
are bought, for the error that random draws reach with all of them. Exits with 1 if it is missed.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from arguments import argument_parser
from results import save_results
from simulators import SUITE, suite_problem

from problems import Array, Dataset, Problem, Split
from problems.data.dataset import concatenate_splits, generate
from problems.interfaces.types import take_samples
from search.active_learning.batch import choose_batch
from search.active_learning.budget import batch_sizes, pool_size
from search.active_learning.emulator import ChoosingEmulator, PoolCovariance

EMULATOR = "Gaussian process"
RANDOM, INTEGRATED, LARGEST = "random", "integrated variance", "largest variance"
MAX_SHARE, MIN_SIMULATORS = 0.5, 0.5

Rule = Callable[[ChoosingEmulator, Mapping[str, Array], int], Array]


class Saving(NamedTuple):
    """What a rule saves on one simulator.

    Args:
        simulator: Name of the simulator.
        rule: Name of the rule.
        samples: Numbers of training samples.
        errors: Errors with these numbers.
        random_errors: Errors with random draws.
        bought_share: Bought simulations for the last error of random draws, over those of these.
        total_share: The same of all training samples.
    """

    simulator: str
    rule: str
    samples: tuple[int, ...]
    errors: tuple[float, ...]
    random_errors: tuple[float, ...]
    bought_share: float
    total_share: float


def _covariance(emulator: ChoosingEmulator, pool: Mapping[str, Array]) -> PoolCovariance:
    covariance = emulator.covariance(pool, np.random.default_rng(0))
    if covariance is None:
        raise SystemExit("the covariance of the emulator isn't finite")
    return covariance


def by_integrated_variance(emulator: ChoosingEmulator, pool: Mapping[str, Array], n: int) -> Array:
    """Return the indices that the rule of a search chooses (n,)."""
    return choose_batch(*_covariance(emulator, pool), n)


def by_largest_variance(emulator: ChoosingEmulator, pool: Mapping[str, Array], n: int) -> Array:
    """Return the indices of the largest variances (n,), each given those before."""
    covariance = _covariance(emulator, pool)
    remaining, chosen = covariance.matrix.copy(), list[int]()
    for _ in range(n):
        variances = np.diag(remaining).copy()
        variances[chosen] = -np.inf
        best = int(np.argmax(variances))
        column = remaining[:, best] / np.sqrt(max(variances[best], 0.0) + covariance.noise + 1e-12)
        remaining -= np.outer(column, column)
        chosen.append(best)
    return np.array(chosen)


def at_random(emulator: ChoosingEmulator, pool: Mapping[str, Array], n: int) -> Array:  # noqa: ARG001 - a rule's signature
    """Return the first indices of a pool (n,), which is drawn at random."""
    return np.arange(n)


RULES: Mapping[str, Rule] = {
    RANDOM: at_random,
    INTEGRATED: by_integrated_variance,
    LARGEST: by_largest_variance,
}


def measure_errors(
    problem: Problem, data: Dataset, rule: Rule, sizes: Sequence[int], pool: int
) -> list[float]:
    """Return the error before each round and after the last.

    Args:
        problem: The problem.
        data: Its data, with the training samples at the start.
        rule: Chooses inputs of a pool.
        sizes: Simulations of each round.
        pool: Size of the pool; 0 for that of a search.
    """
    simulation, rng = problem.simulation, np.random.default_rng(1)
    if simulation is None:
        raise ValueError("the suite has simulations")
    train, errors = data.train, list[float]()
    for size in sizes:
        emulator = ChoosingEmulator.fit(problem, train, EMULATOR)
        errors.append(emulator.error(data.test))
        drawn = simulation.draw(pool or pool_size(size), rng)
        inputs = take_samples(drawn, rule(emulator, drawn, size))
        bought = Split(inputs, simulation.run(inputs, rng))
        train = concatenate_splits([train, bought])
    return [*errors, ChoosingEmulator.fit(problem, train, EMULATOR).error(data.test)]


def samples_for(error: float, samples: Array, errors: Array) -> float:
    """Return the number of samples with an error, log-linear between the points; at most the last.

    Args:
        error: The error.
        samples: Numbers of samples (n,), ascending.
        errors: Errors with these numbers (n,).
    """
    best = np.minimum.accumulate(errors)
    if error < best[-1]:
        return float("inf")
    reached = int(np.argmax(best <= error))
    if reached == 0:
        return float(samples[0])
    (x0, x1), (y0, y1) = (np.log(values[reached - 1 : reached + 1]) for values in (samples, best))
    return float(np.exp(x0 + (x1 - x0) * (np.log(error) - y0) / (y1 - y0)))


def measure_simulator(
    name: str, start: int, simulations: int, splits: int, pool: int
) -> list[Saving]:
    """Return what each rule saves on a simulator.

    Args:
        name: Key of the suite.
        start: Training samples at the start.
        simulations: Simulations that are bought.
        splits: Number of independent splits.
        pool: Size of the pool; 0 for that of a search.
    """
    sizes = batch_sizes(simulations)
    logs: dict[str, list[Array]] = {rule: [] for rule in RULES}
    for split in range(splits):
        problem = suite_problem(name, start, split)
        with tempfile.TemporaryDirectory() as folder:
            data = generate(problem, Path(folder))
        for rule, choose in RULES.items():
            errors = measure_errors(problem, data, choose, sizes, pool)
            logs[rule].append(np.log(errors))
    samples = start + np.concatenate([[0], np.cumsum(sizes)])
    curves = {rule: np.exp(np.mean(values, axis=0)) for rule, values in logs.items()}
    savings: list[Saving] = []
    for rule in (INTEGRATED, LARGEST):
        needed = samples_for(float(curves[RANDOM][-1]), samples, curves[rule])
        savings.append(
            Saving(
                name,
                rule,
                tuple(samples.tolist()),
                tuple(curves[rule].tolist()),
                tuple(curves[RANDOM].tolist()),
                (needed - start) / simulations,
                needed / float(samples[-1]),
            )
        )
    return savings


def describe_saving(saving: Saving) -> str:
    """Return a line of the table."""
    return (
        f"{saving.simulator:18} {saving.rule:22} error {saving.errors[0]:.3g} -> "
        f"{saving.errors[-1]:.3g} (random {saving.random_errors[-1]:.3g}); simulations for the "
        f"error at random: {saving.bought_share:.2f} of the bought ones, "
        f"{saving.total_share:.2f} of all"
    )


def plot_savings(savings: list[Saving]) -> go.Figure:
    """Return errors against training samples, of the rules and of random draws."""
    figure = go.Figure()
    for saving in savings:
        title = f"{saving.simulator}, {saving.rule}"
        figure.add_scatter(x=saving.samples, y=saving.errors, name=title)
        if saving.rule == INTEGRATED:
            title = f"{saving.simulator}, {RANDOM}"
            figure.add_scatter(
                x=saving.samples, y=saving.random_errors, name=title, line_dash="dot"
            )
    figure.update_xaxes(type="log", title="training samples")
    figure.update_yaxes(type="log", title="error")
    return figure


def main() -> int:
    """Measure the simulators, print and store the figures; return 1 if the target is missed."""
    parser = argument_parser(__doc__)
    parser.add_argument("--simulators", nargs="+", choices=SUITE, default=list(SUITE))
    parser.add_argument("--start", type=int, default=64)
    parser.add_argument("--simulations", type=int, default=192)
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--pool", type=int, default=0)
    arguments = parser.parse_args()
    savings: list[Saving] = []
    for name in arguments.simulators:
        started = time.monotonic()
        savings += measure_simulator(
            name, arguments.start, arguments.simulations, arguments.splits, arguments.pool
        )
        print("\n".join(map(describe_saving, savings[-2:])), flush=True)
        print(f"    {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    shares = [saving.bought_share for saving in savings if saving.rule == INTEGRATED]
    reached = sum(share <= MAX_SHARE for share in shares)
    print(
        f"at most {MAX_SHARE:g} of the bought simulations in {reached} of {len(shares)} "
        f"simulators; median {float(np.median(shares)):.2f}"
    )
    facts = {"savings": [saving._asdict() for saving in savings], "arguments": vars(arguments)}
    save_results(__file__, facts, plot_savings(savings))
    return int(reached < MIN_SIMULATORS * len(shares))


if __name__ == "__main__":
    sys.exit(main())
