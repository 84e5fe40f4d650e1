"""Time of encoding and decoding a call, for the suite of simulators or the problems named.

    .venv/bin/python benchmarks/encoding_time.py [PROBLEM ...]

Every encoding of the problems is fitted to 64 samples, and is called around a network that returns
its targets at once. Microseconds of a call with 1 and with 64 samples are printed and stored as
JSON: no network of that encoding can answer sooner.
"""

import json
import sys
from pathlib import Path

import numpy as np
from arguments import argument_parser
from simulators import SUITE, suite_problem

from problems import Encoding, Problem, Size, Split, load_problem
from problems.interfaces.types import Array, EncodedNetwork, take_samples
from problems.registry import known_problems
from search.timing.slot import exclusive_slot
from search.timing.stopwatch import MedianInterval, TimedCall, time_interleaved

SAMPLES = 64
BATCHES = (1, SAMPLES)
ROUNDS = 9


def example_split(problem: Problem) -> Split:
    """Return reference samples of a problem."""
    simulation = problem.simulation
    if simulation is None:
        raise SystemExit(f"{problem.name} has no simulation that could draw samples")
    rng = np.random.default_rng(0)
    inputs = simulation.draw(SAMPLES, rng)
    return Split(inputs, simulation.run(inputs, rng))


def call_times(encoding: Encoding, split: Split) -> dict[int, float]:
    """Return the microseconds of a call by its number of samples."""
    fitted = encoding.fit(split)
    targets = fitted.pairs(split).targets

    def at_once(inputs: Array) -> Array:
        return np.resize(targets, (len(inputs), targets.shape[1]))

    surrogate = EncodedNetwork(fitted, at_once)
    timed = {
        str(batch): TimedCall(lambda inputs=inputs: surrogate.run(inputs), 1)
        for batch in BATCHES
        for inputs in [take_samples(split.inputs, slice(batch))]
    }
    with exclusive_slot():
        seconds = time_interleaved(timed, ROUNDS)
    return {batch: 1e6 * MedianInterval.of(seconds[str(batch)]).median for batch in BATCHES}


def main() -> int:
    """Measure, print and store the times."""
    parser = argument_parser(__doc__)
    names = (*SUITE, *known_problems())
    parser.add_argument("problems", nargs="*", metavar="PROBLEM", help="in place of the suite")
    wanted = parser.parse_args().problems or SUITE
    if unknown := [name for name in wanted if name not in names]:
        parser.error(f"PROBLEM: no {', '.join(unknown)}; there are {', '.join(names)}")
    facts: dict[str, dict[int, float]] = {}
    for name in wanted:
        suite = name in SUITE
        problem = suite_problem(name, 2 * SAMPLES, 0) if suite else load_problem(name, Size.TINY)
        split = example_split(problem)
        for key, encoding in problem.encodings.items():
            facts[f"{name} {key}"] = times = call_times(encoding, split)
            text = ", ".join(f"{us:.1f} us with {batch} a call" for batch, us in times.items())
            print(f"{name} {key}: {text}", flush=True)
    Path(__file__).with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
