"""Checks of the simulation on a few samples only, since it may be expensive."""

from collections.abc import Iterator

import numpy as np

from problems.contract.evidence import FEW_SEED, N_FEW_SAMPLES, Evidence, differing_fields
from problems.data.simulate import finite_samples
from problems.interfaces.batch_checks import out_of_range
from problems.interfaces.types import Array, take_samples

OTHER_SEED = 2
ROUNDING, SINGLE_ROUNDING = 1e-8, 1e-4
"""Largest difference due to the order of sums, relative to a field's largest value.

In double and in single precision.
"""


def _agree(alone: Array, in_batch: Array) -> bool:
    tolerance = SINGLE_ROUNDING if alone.dtype == np.float32 else ROUNDING
    scale = float(np.max(np.abs(in_batch), initial=0.0))
    return np.allclose(alone, in_batch, rtol=0.0, atol=tolerance * scale, equal_nan=True)


def runs_as_declared(evidence: Evidence) -> Iterator[str]:
    """Check the fields, shapes and failures of a few samples."""
    for label, simulation in evidence.simulations:
        sample_run = evidence.sample_run(label)
        for message in out_of_range(sample_run.inputs, simulation.inputs):
            yield f"{label}.draw: {message}; correct the draw, or valid= of the Field"
        if all(sample_run.reasons):
            yield f"{label}.run fails on each of {N_FEW_SAMPLES} samples: {sample_run.reasons[0]}"
            continue
        finite = np.flatnonzero(finite_samples(sample_run.outputs, N_FEW_SAMPLES))
        for message in out_of_range(take_samples(sample_run.outputs, finite), simulation.outputs):
            yield f"{label}.run: {message}; correct the run, or valid= of the Field"


def same_seed_same_data(evidence: Evidence) -> Iterator[str]:
    """Check that equal seeds give equal data, and different seeds different inputs."""
    for label, simulation in evidence.simulations:
        sample_run = evidence.sample_run(label)
        rng = np.random.default_rng(FEW_SEED)
        inputs = evidence.draw(simulation, rng)
        repeated = {**inputs, **evidence.run(simulation, inputs, rng)[0]}
        for name in differing_fields({**sample_run.inputs, **sample_run.outputs}, repeated):
            yield (
                f"{label}: field {name!r} differs between two runs with one seed; take every "
                "random number from the generator that is passed in"
            )
        if not differing_fields(
            sample_run.inputs, evidence.draw(simulation, np.random.default_rng(FEW_SEED + 1))
        ):
            yield f"{label}.draw: two seeds give the same inputs; draw them from the generator"


def samples_are_independent(evidence: Evidence) -> Iterator[str]:
    """Check that one sample run alone equals the same sample in a batch."""
    for label, simulation in evidence.simulations:
        sample_run = evidence.sample_run(label)
        alone = evidence.run(
            simulation, take_samples(sample_run.inputs, slice(1)), np.random.default_rng(0)
        )[0]
        differing = [
            name
            for name, array in alone.items()
            if not _agree(array[0], sample_run.outputs[name][0])
        ]
        if not differing:
            continue
        other = evidence.run(simulation, sample_run.inputs, np.random.default_rng(OTHER_SEED))[0]
        if differing_fields(sample_run.outputs, other):
            continue  # stochastic: the samples of a batch share the generator
        for name in differing:
            yield (
                f"{label}.run: output {name!r} of a sample depends on the samples beside it; "
                "compute every sample, along the first axis, separately"
            )
