"""Would cross-validation on the training split choose better teachers than the validation split?

    .venv/bin/python benchmarks/teacher_choice.py [--simulators NAME ...] [--samples 128 512]
        [--splits 3] [--folds 5]

For each simulator of the suite (benchmarks/simulators), the standard baselines of its flat encoding
are fitted to the training split. Two teachers are chosen: the baseline with the smallest validation
error, as a search does, and that with the smallest mean error of cross-validation on the training
split. Their errors on 512 test samples are compared.

Target: the choice by validation has at most 1.1 times the test error of that by cross-validation
in nine of ten cases. Exits with 1 if the target is missed.
"""

import sys
import warnings
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from arguments import argument_parser
from results import save_results
from simulators import SUITE, suite_problem

from problems import Problem, Split, UserError
from problems.baselines.fitting import encode_rows, fit_model
from problems.baselines.standard import REGRESSIONS
from problems.data.cache import default_cache
from problems.data.dataset import generate
from search.trial.scoring import score_split

MAX_RATIO, SHARE_WITHIN = 1.1, 0.9
ENCODING = "flat"


class Choice(NamedTuple):
    """The two teachers of a case.

    Args:
        case: Simulator, number of training samples and split.
        validated: The baseline with the smallest validation error.
        cross_validated: The one with the smallest error of cross-validation.
        ratio: Test error of the first one over that of the second.
    """

    case: str
    validated: str
    cross_validated: str
    ratio: float


def errors_of(
    problem: Problem, train: Split, scored: Sequence[Split]
) -> dict[str, tuple[float, ...]]:
    """Return the errors on some splits of each baseline that can be fitted, by its name.

    Args:
        problem: The problem.
        train: What the baselines are fitted to.
        scored: What they are scored on.
    """
    encoded, errors = encode_rows(problem, train, ENCODING), dict[str, tuple[float, ...]]()
    for name, method in REGRESSIONS.items():
        try:
            run = fit_model(method, encoded).run
            results = [score_split(problem, run, split) for split in scored]
        except UserError:
            continue
        if not any(result.failed for result in results):
            errors[name] = tuple(r.metrics[problem.objective.name] for r in results)
    return errors


def compare_choices(name: str, samples: int, split: int, folds: int) -> Choice:
    """Return the two teachers of a case.

    Args:
        name: Name of the simulator.
        samples: Number of training samples.
        split: Number of the split.
        folds: Number of folds of cross-validation.
    """
    problem = suite_problem(name, samples, split)
    data = generate(problem, default_cache())
    whole = errors_of(problem, data.train, (data.validation, data.test))
    parts = np.array_split(np.random.default_rng(0).permutation(len(data.train)), folds)
    of_folds = [
        errors_of(
            problem,
            data.train.take(np.concatenate(parts[:fold] + parts[fold + 1 :])),
            (data.train.take(parts[fold]),),
        )
        for fold in range(folds)
    ]
    means = {
        baseline: float(np.mean([errors[baseline][0] for errors in of_folds]))
        for baseline in whole
        if all(baseline in errors for errors in of_folds)
    }
    validated = min(whole, key=lambda baseline: whole[baseline][0])
    cross_validated = min(means, key=means.__getitem__)
    ratio = whole[validated][1] / whole[cross_validated][1]
    return Choice(f"{name}-{samples}-{split}", validated, cross_validated, ratio)


def main() -> int:
    """Compare the choices, print and store them; return 1 if the target is missed."""
    parser = argument_parser(__doc__)
    parser.add_argument("--simulators", nargs="+", choices=SUITE, default=list(SUITE))
    parser.add_argument("--samples", nargs="+", type=int, default=[128, 512])
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--folds", type=int, default=5)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of fits that stop at the bounds of a length
    choices: list[Choice] = []
    for case in product(arguments.simulators, arguments.samples, range(arguments.splits)):
        choices.append(compare_choices(*case, arguments.folds))
        print("  ".join(map(str, choices[-1])), flush=True)
    ratios = np.array([choice.ratio for choice in choices])
    within = float(np.mean(ratios <= MAX_RATIO))
    print(
        f"the same teacher in {sum(c.validated == c.cross_validated for c in choices)} of "
        f"{len(choices)}; at most {MAX_RATIO:g} times the error in {within:.0%}; geometric mean "
        f"{np.exp(np.mean(np.log(ratios))):.3f}, largest {ratios.max():.3f}, smallest "
        f"{ratios.min():.3f}"
    )
    figure = go.Figure(go.Bar(x=[choice.case for choice in choices], y=ratios))
    figure.update_yaxes(type="log", title="test error, validation over cross-validation")
    save_results(__file__, [choice._asdict() for choice in choices], figure)
    return int(within < SHARE_WITHIN)


if __name__ == "__main__":
    sys.exit(main())
