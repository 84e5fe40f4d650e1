"""What the stopwatch is given: surrogate, baseline and reference, as the host would call them."""

from pathlib import Path

import numpy as np

from problems import Array, Dataset, Problem, Run, Split, UserError
from problems.core import repeated, rows
from search.directory import Run as RunDirectory
from search.records import Record, Timing
from search.stopwatch import Contender, Spread, exclusive_slot, time_in_turn
from spaces.artefact import Manifest, load_surrogate, read_manifest


def measure(problem: Problem, data: Dataset, artefact: Path, rounds: int) -> Timing:
    """Time a surrogate, end to end, in turn with the reference's calibration run."""
    surrogate = load_surrogate(artefact, problem)
    contenders = {
        "surrogate": contender(surrogate.run, problem, data.test),
        "reference": calibration_contender(problem, data.test),
    }
    with exclusive_slot():
        seconds = time_in_turn(contenders, rounds)
    reference = seconds["reference"] / problem.calibration.share
    return timing_of(seconds["surrogate"], reference)


def contender(run: Run, problem: Problem, split: Split) -> Contender:
    """Return what the host would do: one call with the deployment's number of samples."""
    inputs = repeated(split.inputs, problem.deployment.batch)
    rng = np.random.default_rng(0)

    def work() -> None:
        with np.errstate(all="ignore"):  # untrained networks may overflow; their time counts alike
            run(inputs, rng)

    return Contender(work, problem.deployment.batch)


def calibration_contender(problem: Problem, split: Split) -> Contender:
    """Return the reference's shorter run, on the same systems for every trial."""
    calibration = problem.calibration
    return run_contender(calibration.simulation.run, split, calibration.samples)


def run_contender(run: Run, split: Split, samples: int) -> Contender:
    """Return one call of a reference or baseline on samples spread evenly over a split."""
    spread = np.linspace(0, len(split) - 1, samples).round().astype(int)
    inputs, rng = rows(split.inputs, spread), np.random.default_rng(0)
    return Contender(lambda: run(inputs, rng), samples)


def timing_of(seconds: Array, reference: Array) -> Timing:
    """Summarise rounds: seconds per sample (rounds,) of a surrogate and of the reference."""
    ratio = Spread.of(reference / seconds)
    return Timing(
        time_s=Spread.of(seconds).median,
        reference_s=Spread.of(reference).median,
        speedup=ratio.median,
        speedup_low=ratio.low,
        speedup_high=ratio.high,
        rounds=len(seconds),
    )


def verified_manifest(run: RunDirectory, record: Record) -> Manifest:
    """Return the manifest of a trial's artefact.

    Raises:
        UserError: The artefact is damaged, or isn't the one that the trial measured.
    """
    folder = run.artefact(record.number)
    manifest = read_manifest(folder)
    if manifest.hash != record.artefact_hash:
        raise UserError(f"{folder} isn't the artefact that trial {record.number} measured")
    return manifest
