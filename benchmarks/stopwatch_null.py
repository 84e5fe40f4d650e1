"""A/A test of the stopwatch: the same work timed against itself, with the other core idle and busy.

    .venv/bin/python benchmarks/stopwatch_null.py

An honest stopwatch says 1. Printed as JSON: the median ratio of every repetition's rounds.
"""

import json
import multiprocessing
from pathlib import Path

import numpy as np

from search.stopwatch import Contender, Spread, time_in_turn

REPETITIONS, ROUNDS, SIZE = 20, 9, 160


def burn() -> None:
    """Keep a core busy."""
    matrix = np.random.default_rng(0).random((SIZE, SIZE))
    while True:
        matrix @ matrix


def null_ratios() -> Spread:
    """Return the spread of A/A ratios over the repetitions."""
    matrix = np.random.default_rng(0).random((SIZE, SIZE))
    work = Contender(lambda: matrix @ matrix, 1)
    ratios: list[float] = []
    for _ in range(REPETITIONS):
        seconds = time_in_turn({"a": work, "b": work}, ROUNDS)
        ratios.append(Spread.of(seconds["a"] / seconds["b"]).median)
    return Spread(float(np.median(ratios)), min(ratios), max(ratios))


def main() -> None:
    """Measure, print, and keep beside this file."""
    facts = {"idle": vars(null_ratios())}
    burner = multiprocessing.Process(target=burn, daemon=True)
    burner.start()
    facts["other core busy"] = vars(null_ratios())
    burner.terminate()
    text = json.dumps(facts, indent=1)
    print(text)
    Path(__file__).with_suffix(".json").write_text(text + "\n")


if __name__ == "__main__":
    main()
