"""Do networks and trees of `stability`, trained on three planets, rank systems of five?

    .venv/bin/python benchmarks/stability_of_five.py [RUN] [--systems 256] [--size standard]

A system of five planets is a trio of the case's distribution whose outermost planet is the
innermost of another one. The reference integrates them to the horizon. Baselines are fitted to the
training split of three planets; with a run, its recommended surrogate is called as well. Prints
1 - AUC among the systems that outlive the longest short run, with 90 % bootstrap intervals, and the
difference from the boosted trees of the longest run.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from arguments import argument_parser

from problems import Array, Batch, Run, Samples, Size, load_problem
from problems.cases.stability import PRESETS
from problems.cases.stability.simulation import Stability
from problems.cases.stability.validation import SurvivalScore, ranking_error
from problems.data.cache import default_cache
from problems.data.dataset import generate
from problems.interfaces.types import take_samples
from simstead import open_run

RESAMPLES = 1000
OTHER_SPLITS = 8
"""Systems of each split that isn't read; the training split is that of the case."""


@dataclass(frozen=True)
class Ranking:
    """1 - AUC of systems of five planets, with the ends of its 90 % interval.

    Args:
        error: 1 - AUC.
        low: Lower end.
        high: Upper end.
        difference: Error minus that of the trees of the longest run.
        difference_low: Lower end of the difference, paired over the systems.
        difference_high: Upper end of the difference.
    """

    error: float
    low: float
    high: float
    difference: float
    difference_low: float
    difference_high: float


def five_planets(simulation: Stability, systems: int) -> Batch:
    """Return systems of five planets, the innermost first.

    Args:
        simulation: The simulation of three planets.
        systems: Number of systems.
    """
    inner, outer = (simulation.draw(systems, np.random.default_rng([5, part])) for part in (0, 1))
    elements = outer["elements"].copy()
    elements[..., 0] *= inner["elements"][:, -1:, 0]
    return {
        "mass": np.concatenate([inner["mass"], outer["mass"][:, 1:]], axis=1),
        "elements": np.concatenate([inner["elements"], elements[:, 1:]], axis=1),
    }


def predictors(size: Size, run: str | None) -> dict[str, Run]:
    """Return the surrogate of a run, and the fitted baselines, those of the longest run last.

    Args:
        size: Size of the problem of three planets.
        run: A run directory.
    """
    samples = Samples(PRESETS[size].samples.train, OTHER_SPLITS, OTHER_SPLITS, OTHER_SPLITS)
    problem = replace(load_problem("stability", size), samples=samples)
    train = generate(problem, default_cache()).train
    runs = dict(problem.fitted(train).baseline_runs)
    if run is not None:
        # The fields of the problem have three planets, so that the checks of a call are left out.
        surrogate = open_run(run).surrogate()
        runs = {
            "recommended surrogate": lambda inputs, rng: surrogate.encoding.apply(
                surrogate.network, inputs, rng
            ),
            **runs,
        }
    return runs


def rankings(predicted: dict[str, Array], stable: Array) -> dict[str, Ranking]:
    """Return the error of each predictor, and its difference from the last one.

    Args:
        predicted: Probabilities of surviving (n,) by name of the predictor.
        stable: Whether systems survive (n,).
    """
    rng = np.random.default_rng(0)
    resamples = [rng.integers(0, len(stable), len(stable)) for _ in range(RESAMPLES)]
    errors = {
        name: np.array(
            [
                ranking_error(probability[index], stable[index])
                for index in (np.arange(len(stable)), *resamples)
            ]
        )
        for name, probability in predicted.items()
    }
    trees = list(errors.values())[-1]
    found: dict[str, Ranking] = {}
    for name, error in errors.items():
        difference = error - trees
        low, high = map(float, np.quantile(error[1:], (0.05, 0.95)))
        below, above = map(float, np.quantile(difference[1:], (0.05, 0.95)))
        found[name] = Ranking(float(error[0]), low, high, float(difference[0]), below, above)
    return found


def main() -> None:
    """Integrate systems of five planets, predict them, print and store the errors."""
    parser = argument_parser(__doc__)
    parser.add_argument("run", nargs="?")
    parser.add_argument("--systems", default=256, type=int)
    parser.add_argument("--size", default=Size.STANDARD, type=Size)
    options = parser.parse_args()
    preset = PRESETS[options.size]
    simulation, score = (
        Stability(preset.horizon_orbits),
        SurvivalScore(preset.run_lengths[-1]),
    )
    inputs, rng = five_planets(simulation, options.systems), np.random.default_rng(0)
    reference = simulation.run(inputs, rng)
    ahead = score.outlives(reference["survival"])
    stable = reference["stable"][ahead] > 0.5
    print(f"{len(ahead)} systems of five planets; {ahead.sum()} outlive the longest short run, ")
    print(f"of which {stable.sum()} survive the horizon")
    foreseen = take_samples(inputs, np.flatnonzero(ahead))
    predicted = {
        name: run(foreseen, rng)["stable"]
        for name, run in predictors(options.size, options.run).items()
    }
    found = rankings(predicted, stable)
    for name, each in found.items():
        print(
            f"{name:34} {each.error:.3f} ({each.low:.3f} to {each.high:.3f}), difference "
            f"{each.difference:+.3f} ({each.difference_low:+.3f} to {each.difference_high:+.3f})"
        )
    stored = Path(__file__).with_suffix(".json")
    text = json.dumps({name: asdict(each) for name, each in found.items()}, indent=1)
    stored.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
