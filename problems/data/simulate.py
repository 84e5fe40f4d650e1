"""Drawing and running of simulations and baselines; a faulty sample fails alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from problems.entrance.calls import Call, CallFailedError, call_here
from problems.entrance.values import lent, received
from problems.errors import UserError
from problems.interfaces.batch_checks import first_out_of_range
from problems.interfaces.types import Array, Batch, Field, Run, Simulation, n_samples, take_samples

NOT_FINITE = "an output is not finite"

TIME = "time"
"""Name of the axis of frames."""

CALL_LIMIT_S = 900.0
"""Time that a call of a simulation may take besides the time limit of its samples [s]."""


@dataclass(frozen=True)
class Caller:
    """How users' code is called: in which process, and with which time limit.

    Args:
        call: Calls a function.
        sample_limit_s: Longest time for one sample [s], where the call has its own process.
    """

    call: Call = call_here
    sample_limit_s: float = 0.0

    def limit_s(self, n: int) -> float:
        """Return the longest duration of a call with n samples [s]."""
        return CALL_LIMIT_S + n * self.sample_limit_s


HERE = Caller()
"""Calls users' code in this process."""


def draw(simulation: Simulation, n: int, rng: np.random.Generator, caller: Caller = HERE) -> Batch:
    """Return n inputs of a simulation (n, ...), with NaN for masked values.

    Args:
        simulation: The simulation.
        n: Number of samples.
        rng: Generator of the inputs.
        caller: Calls users' code.

    Raises:
        UserError: `draw` fails, or the inputs don't match the declared fields.
    """
    method = f"{type(simulation).__name__}.draw"
    try:
        inputs, advanced = caller.call(_draw, simulation, n, rng, method, limit_s=caller.limit_s(n))
    except CallFailedError as error:
        raise UserError(f"{method} failed: {error}") from error
    _advance(rng, advanced)
    return inputs


def run_simulation(
    simulation: Simulation,
    inputs: Batch,
    rng: np.random.Generator,
    caller: Caller = HERE,
) -> tuple[Batch, list[str]]:
    """Return the outputs of a simulation (b, ...) and the reason of failure of each sample (b,).

    A sample has failed if the simulation fails on it, or if a value of it isn't finite or lies
    outside the declared range.

    Args:
        simulation: The simulation.
        inputs: Inputs of b samples.
        rng: Generator for a stochastic simulation.
        caller: Calls users' code.

    Raises:
        UserError: The outputs don't match the declared fields.
    """
    name = f"{type(simulation).__name__}.run"
    outputs, reasons = run_isolating_failures(
        simulation.run, simulation.outputs, inputs, rng, name, caller
    )
    for i, reason in enumerate(_range_failures(simulation, inputs, outputs)):
        unknown = not reasons[i] or reasons[i].startswith(NOT_FINITE)
        reasons[i] = reason if unknown else reasons[i]
    failed = np.array([bool(reason) for reason in reasons])
    return {name: _without_failed(array, failed) for name, array in outputs.items()}, reasons


def _without_failed(array: Array, failed: Array) -> Array:
    """Return an array (b, ...) with NaN for the samples that failed (b,)."""
    if not failed.any():
        return array
    array = array.astype(array.dtype if array.dtype.kind == "f" else np.float64)
    array[failed] = np.nan
    return array


def _range_failures(simulation: Simulation, inputs: Batch, outputs: Batch) -> list[str]:
    """Return for each sample which value isn't finite or is out of range, "" for none (b,)."""
    reasons = [""] * n_samples(inputs)
    for side, batch, fields in (
        ("input", inputs, simulation.inputs),
        ("output", outputs, simulation.outputs),
    ):
        for field in fields:
            for i, reason in first_out_of_range(batch[field.name], field):
                reasons[i] = reasons[i] or f"{side} {reason}"
    return reasons


def run_isolating_failures(  # noqa: PLR0913, PLR0917 - the caller has a default
    run: Run,
    fields: Sequence[Field],
    inputs: Batch,
    rng: np.random.Generator,
    name: str,
    caller: Caller = HERE,
) -> tuple[Batch, list[str]]:
    """Run a batch; if it fails, run each sample alone, so that only faulty samples fail.

    Args:
        run: Run of a simulation, a baseline or a surrogate.
        fields: The declared output fields.
        inputs: Inputs of b samples.
        rng: Passed to `run`.
        name: Name of `run` in messages.
        caller: Calls users' code.

    Returns:
        The outputs, NaN for failed samples, and a reason for each sample, "" if it didn't fail.

    Raises:
        UserError: The outputs don't match the declared fields.
    """
    n = n_samples(inputs)
    limit_s = caller.limit_s(n)
    try:
        outputs, advanced = caller.call(_run, run, fields, inputs, rng, name, limit_s=limit_s)
    except CallFailedError as error:
        if n == 1:
            return failed_sample(fields, str(error))
        samples = (take_samples(inputs, slice(i, i + 1)) for i in range(n))
        results = [
            run_isolating_failures(run, fields, sample, rng, name, caller) for sample in samples
        ]
        return (
            concatenate_batches([outputs for outputs, _ in results]),
            [reason for _, (reason,) in results],
        )
    _advance(rng, advanced)
    finite = finite_samples(outputs, n)
    return outputs, [
        "" if good else _not_finite(outputs, fields, i) for i, good in enumerate(finite)
    ]


def _draw(
    simulation: Simulation, n: int, rng: np.random.Generator, method: str
) -> tuple[Batch, np.random.Generator]:
    """Return n inputs of a simulation, and the generator after them."""
    return received(simulation.draw(n, rng), simulation.inputs, n, method), rng


def _run(
    run: Run, fields: Sequence[Field], inputs: Batch, rng: np.random.Generator, name: str
) -> tuple[Batch, np.random.Generator]:
    """Return the outputs of a run, and the generator after it."""
    return received(run(lent(inputs), rng), fields, n_samples(inputs), name), rng


def _advance(rng: np.random.Generator, advanced: np.random.Generator) -> None:
    """Bring a generator to the state of its copy in another process."""
    if advanced is rng:
        return
    rng.bit_generator.state = advanced.bit_generator.state
    seeds: Sequence[np.random.SeedSequence] = [
        generator.bit_generator.seed_seq  # type: ignore[misc]
        for generator in (rng, advanced)
    ]
    seeds[0].spawn(seeds[1].n_children_spawned - seeds[0].n_children_spawned)


def _not_finite(outputs: Batch, fields: Sequence[Field], i: int) -> str:
    """Return that an output of a sample isn't finite and, where a field has frames, since which."""
    for field in fields:
        if TIME in field.axes:
            finite = np.isfinite(np.moveaxis(outputs[field.name][i], field.axes.index(TIME), 0))
            frames = finite.reshape(len(finite), -1).all(axis=1)
            if not frames.all():
                first = int(np.argmin(frames)) + 1
                return f"{NOT_FINITE}: {field.name!r} from frame {first} of {len(frames)} on"
    return NOT_FINITE


def failed_sample(fields: Sequence[Field], reason: str) -> tuple[Batch, list[str]]:
    """Return outputs (1, ...) of NaN for one failed sample, and the reason."""
    return {field.name: np.full((1, *field.shape), np.nan) for field in fields}, [reason]


def finite_samples(outputs: Batch, n: int) -> Array:
    """Return which of n samples have finite values only (n,)."""
    good = np.ones(n, dtype=bool)
    for array in outputs.values():
        good &= np.isfinite(array).all(axis=tuple(range(1, array.ndim)))
    return good


def concatenate_batches(batches: Sequence[Batch]) -> Batch:
    """Return one batch with the samples of all batches in order."""
    return {name: np.concatenate([b[name] for b in batches]) for name in batches[0]}
