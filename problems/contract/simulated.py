"""Laws of the reference, tried on a few samples of it."""

from collections.abc import Iterator

import numpy as np

from problems.contract.evidence import Evidence, differing
from problems.core import Batch, Simulation, rows
from problems.dataset import draw, finite_samples, run_each
from problems.fields import mismatches, out_of_range

FEW = 3


def _few(simulation: Simulation, seed: int) -> tuple[Batch, Batch]:
    """Return inputs and outputs of a few samples."""
    rng = np.random.default_rng(seed)
    inputs = draw(simulation, FEW, rng)
    return inputs, run_each(simulation, inputs, rng)[0]


def runs_as_declared(evidence: Evidence) -> Iterator[str]:
    """Draw and run a few samples and look at their fields, shapes and failures."""
    for what, simulation in evidence.simulations:
        rng = np.random.default_rng(0)
        drawn = simulation.draw(FEW, rng)
        wrong = [f"{what}.draw: {words}" for words in mismatches(drawn, simulation.inputs, FEW)]
        if wrong:
            yield from wrong
            continue
        kept = {name: array.copy() for name, array in drawn.items()}
        outputs, reasons = run_each(simulation, drawn, rng)
        for name in differing(kept, drawn):
            yield f"{what}.run changes its input {name!r}; copy it before you write to it"
        if all(reasons):
            yield f"{what}.run fails on each of {len(reasons)} samples: {reasons[0]}"
            continue
        good = np.flatnonzero(finite_samples(outputs, FEW))
        for words in out_of_range(drawn, simulation.inputs):
            yield f"{what}.draw: {words}; correct the draw, or valid= of the Field"
        for words in out_of_range(rows(outputs, good), simulation.outputs):
            yield f"{what}.run: {words}; correct the run, or valid= of the Field"


def same_seed_same_data(evidence: Evidence) -> Iterator[str]:
    """Draw and run twice from one seed, and once from another."""
    for what, simulation in evidence.simulations:
        (inputs, outputs), (again, outputs_again) = _few(simulation, 1), _few(simulation, 1)
        for name in differing({**inputs, **outputs}, {**again, **outputs_again}):
            yield (
                f"{what}: field {name!r} differs under one seed; take every random number from "
                "the generator that is passed in"
            )
        other, _ = _few(simulation, 2)
        if not differing(inputs, other):
            yield f"{what}.draw: two seeds give the same inputs; draw them from the generator"


def sample_alone_as_in_batch(evidence: Evidence) -> Iterator[str]:
    """Run one sample alone and compare it with the same sample of a batch."""
    for what, simulation in evidence.simulations:
        inputs = draw(simulation, FEW, np.random.default_rng(1))
        if not _deterministic(simulation, inputs):
            continue  # then the generator is shared by the samples of a batch, as it should be
        batch = run_each(simulation, inputs, np.random.default_rng(0))[0]
        first = rows(inputs, slice(1))
        alone = run_each(simulation, first, np.random.default_rng(0))[0]
        for name, array in alone.items():
            if not np.allclose(array[0], batch[name][0], rtol=1e-9, atol=0.0, equal_nan=True):
                yield (
                    f"{what}.run: output {name!r} of a sample depends on the samples beside it; "
                    "keep the first axis of every array apart"
                )


def _deterministic(simulation: Simulation, inputs: Batch) -> bool:
    one, other = (run_each(simulation, inputs, np.random.default_rng(i))[0] for i in range(2))
    return not differing(one, other)
