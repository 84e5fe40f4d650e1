"""Laws of the reference, tried on as few samples of it as will do: it may be expensive."""

from collections.abc import Iterator

import numpy as np

from problems.contract.evidence import FEW_SEED, N_FEW_SAMPLES, Evidence, differing_fields
from problems.data.simulate import draw, finite_samples, run_simulation
from problems.interfaces.batch_checks import mismatches, out_of_range
from problems.interfaces.types import Array, take_samples

OTHER_SEED = 2
ROUNDING, SINGLE_ROUNDING = 1e-8, 1e-4
"""What the order of sums in a batch may cost, over a field's largest value; in single precision."""


def _agree(one: Array, other: Array) -> bool:
    tolerance = SINGLE_ROUNDING if one.dtype == np.float32 else ROUNDING
    scale = float(np.max(np.abs(other), initial=0.0))
    return np.allclose(one, other, rtol=0.0, atol=tolerance * scale, equal_nan=True)


def runs_as_declared(evidence: Evidence) -> Iterator[str]:
    """Draw and run a few samples and look at their fields, shapes and failures."""
    for what, simulation in evidence.simulations:
        drawn = simulation.draw(N_FEW_SAMPLES, np.random.default_rng(FEW_SEED))
        wrong = [
            f"{what}.draw: {words}" for words in mismatches(drawn, simulation.inputs, N_FEW_SAMPLES)
        ]
        if wrong:
            yield from wrong
            continue
        sample_run = evidence.sample_run(what)
        for name in differing_fields(drawn, sample_run.inputs):
            yield f"{what}.run changes its input {name!r}; copy it before you write to it"
        for words in out_of_range(drawn, simulation.inputs):
            yield f"{what}.draw: {words}; correct the draw, or valid= of the Field"
        if all(sample_run.reasons):
            yield f"{what}.run fails on each of {N_FEW_SAMPLES} samples: {sample_run.reasons[0]}"
            continue
        good = np.flatnonzero(finite_samples(sample_run.outputs, N_FEW_SAMPLES))
        for words in out_of_range(take_samples(sample_run.outputs, good), simulation.outputs):
            yield f"{what}.run: {words}; correct the run, or valid= of the Field"


def same_seed_same_data(evidence: Evidence) -> Iterator[str]:
    """Draw and run twice from one seed, and draw once from another."""
    for what, simulation in evidence.simulations:
        sample_run = evidence.sample_run(what)
        rng = np.random.default_rng(FEW_SEED)
        inputs = draw(simulation, N_FEW_SAMPLES, rng)
        again = {**inputs, **run_simulation(simulation, inputs, rng)[0]}
        for name in differing_fields({**sample_run.inputs, **sample_run.outputs}, again):
            yield (
                f"{what}: field {name!r} differs under one seed; take every random number from "
                "the generator that is passed in"
            )
        if not differing_fields(
            sample_run.inputs, draw(simulation, N_FEW_SAMPLES, np.random.default_rng(FEW_SEED + 1))
        ):
            yield f"{what}.draw: two seeds give the same inputs; draw them from the generator"


def samples_are_independent(evidence: Evidence) -> Iterator[str]:
    """Run one sample alone and compare it with the same sample of a batch."""
    for what, simulation in evidence.simulations:
        sample_run = evidence.sample_run(what)
        alone = run_simulation(
            simulation, take_samples(sample_run.inputs, slice(1)), np.random.default_rng(0)
        )[0]
        odd = [
            name
            for name, array in alone.items()
            if not _agree(array[0], sample_run.outputs[name][0])
        ]
        if not odd:
            continue
        other = run_simulation(simulation, sample_run.inputs, np.random.default_rng(OTHER_SEED))[0]
        if differing_fields(sample_run.outputs, other):
            continue  # stochastic: the samples of a batch share its generator, as they should
        for name in odd:
            yield (
                f"{what}.run: output {name!r} of a sample depends on the samples beside it; "
                "keep the first axis of every array apart"
            )
