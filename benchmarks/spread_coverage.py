"""Do the intervals of ensembles hold the share of the values that they state?

    .venv/bin/python benchmarks/spread_coverage.py FOLDER [--simulators NAME ...]
        [--encoding flat] [--samples 512] [--splits 1] [--members 3]

For each simulator of the suite (benchmarks/simulators), ensembles of MLPs are trained, deployed in
ONNX Runtime and calibrated on the validation split, as in a search. Coverage, width, rank
correlation and the errors beside samples left to the simulation are those of 512 test samples,
which take no part. With n validation samples the coverage of a 50 % interval scatters by
50 / sqrt(n) points for a field of one value, even if the errors are distributed alike: 4 points for
128.

Target: coverage of the 50 % and 90 % intervals within 5 points in four of five cases, and within 2
points on average. Exits with 1 if the target is missed.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import plotly.graph_objects as go
import torch
from arguments import argument_parser
from results import save_results
from simulators import SUITE, suite_problem
from torch import nn

from problems import Dataset, Problem, Size
from problems.data.dataset import generate
from search.final.spread import evaluate_spread
from search.run.spread_results import SplitSpread
from search.trial.preparation import (
    BestWeights,
    TrainingTask,
    initialise_learner,
    prepare_training,
    training_epochs,
)
from search.trial.scoring import score_split
from spaces.artefact import calibration_inputs, write_artefact
from spaces.candidate import Candidate, Precision, Pruning, Training
from spaces.ensemble import NetworkMean
from spaces.members import EnsembleMembers
from spaces.surrogate import Surrogate

TOLERANCE, MEAN_TOLERANCE, SHARE_WITHIN = 0.05, 0.02, 0.8
SETTINGS = {"width": 64, "depth": 3, "residual": False, "activation": "silu"}
TRAINING = Training(learning_rate=3e-3, batch_size=64, weight_decay=1e-4)
MAX_EPOCHS = 200


def candidate_of(problem: Problem, encoding: str, seed: int, members: int = 0) -> Candidate:
    """Return an MLP in ONNX Runtime, or the ensemble of several."""
    return Candidate(
        problem=problem.name,
        problem_version=problem.version,
        size=Size.STANDARD,
        encoding=encoding,
        encoding_settings={},
        architecture="mlp",
        architecture_settings=SETTINGS,
        training=TRAINING,
        pruning=Pruning.NONE,
        pruning_settings={},
        precision=Precision.FP32,
        runtime="onnxruntime",
        seed=seed,
        ensemble_seeds=tuple(range(members)),
    )


def trained_network(
    problem: Problem, data: Dataset, task: TrainingTask, candidate: Candidate
) -> nn.Module:
    """Return a network with the weights that are best on the validation split."""
    learner = initialise_learner(candidate, task.shape)
    best = BestWeights(problem, task, data.validation)
    epochs = min(training_epochs(problem, task, learner), MAX_EPOCHS)
    for _ in task.trainer(learner, TRAINING, epochs, candidate.seed):
        best.update(learner.network)
    best.restore(learner.network)
    return learner.network.eval()


def measure(problem: Problem, encoding: str, members: int, cache: Path) -> SplitSpread:
    """Return the figures of an ensemble on the test split."""
    data = generate(problem, cache)
    candidate = candidate_of(problem, encoding, 0, members)
    task = prepare_training(problem, candidate, data)
    alone = [candidate_of(problem, encoding, seed) for seed in range(members)]
    networks = [trained_network(problem, data, task, each) for each in alone]
    calibration = calibration_inputs(task.pairs, problem.deployment.batch, task.noise)
    trained = task.trained(NetworkMean(networks).eval(), calibration, data.validation.inputs)
    trained = trained._replace(members=EnsembleMembers(networks, data.validation))
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / "artefact"
        write_artefact(trained, candidate, problem, folder)
        surrogate = Surrogate.load(folder, problem)
        score = score_split(problem, surrogate.run, data.test)
        result = evaluate_spread(problem, surrogate, {"test": score}, None)
    if result is None or result.test is None:
        raise RuntimeError(f"{problem.name}: no figures ({result and result.reason})")
    return result.test


def describe(name: str, spread: SplitSpread) -> str:
    """Return a line of the table."""
    half, most = (held.value for held in spread.coverage)
    width = np.mean([field.width[-1] or 0.0 for field in spread.fields.values()])
    errors = {deferral.share: deferral.error or 0.0 for deferral in spread.deferrals}
    return (
        f"{name:28} 50 %: {100 * half:5.1f}  90 %: {100 * most:5.1f}  width {width:6.3g}  "
        f"rank {spread.rank_correlation or 0.0:+.2f}  error {errors[0.0]:.3g}, "
        f"{errors[0.1]:.3g} beside a tenth"
    )


def coverages(results: dict[str, SplitSpread]) -> Iterator[tuple[float, float]]:
    """Yield the stated and the measured share of every case."""
    for spread in results.values():
        for level, held in zip(spread.levels, spread.coverage, strict=True):
            yield level, held.value


def main() -> int:
    """Measure the cases, save and print them; return 1 if the target is missed, else 0."""
    parser = argument_parser(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--simulators", nargs="+", default=list(SUITE), choices=list(SUITE))
    parser.add_argument("--encoding", default="flat")
    parser.add_argument("--samples", type=int, default=512)
    parser.add_argument("--splits", type=int, default=1)
    parser.add_argument("--members", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[str, SplitSpread] = {}
    for name in arguments.simulators:
        for split in range(arguments.splits):
            problem = suite_problem(name, arguments.samples, split)
            title = f"{name}, {arguments.encoding}, {split}"
            results[title] = measure(
                problem, arguments.encoding, arguments.members, arguments.folder / "cache"
            )
            print(describe(title, results[title]), flush=True)
    pairs = list(coverages(results))
    distances = np.array([held - level for level, held in pairs])
    within = float(np.mean(np.abs(distances) <= TOLERANCE))
    print(
        f"within 5 points: {within:.0%} of {len(pairs)}; mean {100 * distances.mean():+.1f} points"
    )
    figure = go.Figure(go.Scatter(x=[p[0] for p in pairs], y=[p[1] for p in pairs], mode="markers"))
    facts = {title: spread.model_dump(mode="json") for title, spread in results.items()}
    save_results(str(arguments.folder / Path(__file__).name), facts, figure)
    return int(within < SHARE_WITHIN or abs(distances.mean()) > MEAN_TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
