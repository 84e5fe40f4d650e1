"""How many events of the reference is a surrogate of `events` worth, over those it was trained on?

    .venv/bin/python benchmarks/event_amplification.py PROBLEM SURROGATE [--draws 10]

Frequencies in 256 cells with equally many validation events are compared with those of the test
events. The training events themselves, and the same smeared by 5 %, stand beside the surrogate.
"""

import json
from pathlib import Path

import numpy as np
from arguments import argument_parser

from problems import Array, Run, Size, load_problem
from problems.cases.events.amplification import Cells, worth
from problems.cases.events.baselines import TrainingEvents
from problems.cases.events.observables import observables
from problems.data.cache import default_cache
from problems.data.dataset import generate
from problems.interfaces.types import Batch
from spaces.surrogate import Surrogate

DEPTH = 8
"""Halvings of the space of events."""


OBSERVABLES = ("mass", "pair_rapidity", "pair_pt", "cos_star", "delta_phi")
"""Those by which the space is halved in turn: errors of a momentum show most in the mass."""


def table(events: Batch) -> Array:
    """Return the observables (n, 5) of events."""
    values = observables(events["leptons"])
    return np.stack([values[name] for name in OBSERVABLES], axis=1)


def drawn_events(run: Run, inputs: Batch, draws: int) -> Array:
    """Return the observables (n, 5) of events drawn several times at each energy."""
    rng = np.random.default_rng(0)
    return np.concatenate([table(run(inputs, rng)) for _ in range(draws)])


def main() -> None:
    """Measure, print and store what the surrogate and the training events are worth."""
    parser = argument_parser(__doc__)
    parser.add_argument("problem")
    parser.add_argument("surrogate")
    parser.add_argument("--size", default=Size.STANDARD, type=Size)
    parser.add_argument("--draws", default=10, type=int)
    options = parser.parse_args()
    problem = load_problem(options.problem, options.size)
    data = generate(problem, default_cache())
    validation, reference, training = (
        table(split.outputs) for split in (data.validation, data.test, data.train)
    )
    cells = Cells.of(validation, DEPTH)
    found = {"training events": worth(training, reference, cells, finite=True)}
    runs = {
        "training events, smeared by 5 %": TrainingEvents(0.05).fit(data.train),
        "surrogate": Surrogate.load(options.surrogate, problem).run,
    }
    for name, run in runs.items():
        drawn = drawn_events(run, data.test.inputs, options.draws)
        found[name] = worth(drawn, reference, cells)
    print(f"{'':32} {'worth':>10} {'at least':>10}   over {len(training):,} training events")
    for name, (events, least) in found.items():
        amplification = f"{events / len(training):.2f} (at least {least / len(training):.2f})"
        print(f"{name:32} {events:10,.0f} {least:10,.0f}   {amplification}")
    text = json.dumps({name: each._asdict() for name, each in found.items()}, indent=1)
    stored = Path(__file__).with_suffix(".json")
    stored.write_text(f"{text.replace('Infinity', 'null')}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
