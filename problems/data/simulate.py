"""Drawing and running of simulations and baselines; a faulty sample fails alone."""

from collections.abc import Sequence

import numpy as np

from problems.errors import UserError
from problems.interfaces.batch_checks import mismatches
from problems.interfaces.types import Array, Batch, Field, Run, Simulation, n_samples, take_samples

NOT_FINITE = "an output is not finite"


def draw(simulation: Simulation, n: int, rng: np.random.Generator) -> Batch:
    """Return n inputs of a simulation.

    Args:
        simulation: The simulation.
        n: Number of samples.
        rng: Generator of the inputs.

    Raises:
        UserError: `draw` raises, or the inputs don't match the declared fields.
    """
    method = f"{type(simulation).__name__}.draw"
    try:
        inputs = simulation.draw(n, rng)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{method} raised {_error_text(error)}") from error
    _refuse_mismatches(method, inputs, simulation.inputs, n)
    return inputs


def run_simulation(
    simulation: Simulation, inputs: Batch, rng: np.random.Generator
) -> tuple[Batch, list[str]]:
    """Return the outputs of a simulation and the reason of failure of each sample.

    Args:
        simulation: The simulation.
        inputs: Inputs of b samples.
        rng: Generator for a stochastic simulation.

    Raises:
        UserError: The outputs don't match the declared fields.
    """
    name = f"{type(simulation).__name__}.run"
    return run_isolating_failures(simulation.run, simulation.outputs, inputs, rng, name)


def run_isolating_failures(
    run: Run, fields: Sequence[Field], inputs: Batch, rng: np.random.Generator, name: str
) -> tuple[Batch, list[str]]:
    """Run a batch; if it raises, run each sample alone, so that only faulty samples fail.

    Args:
        run: Run of a simulation, a baseline or a surrogate.
        fields: The declared output fields.
        inputs: Inputs of b samples.
        rng: Passed to `run`.
        name: Name of `run` in messages.

    Returns:
        The outputs, NaN for failed samples, and a reason for each sample, "" if it didn't fail.

    Raises:
        UserError: The outputs don't match the declared fields.
    """
    n = n_samples(inputs)
    try:
        outputs = run(inputs, rng)
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - any error of a user's code is a failed sample
        if n == 1:
            return failed_sample(fields, _error_text(error))
        samples = (take_samples(inputs, slice(i, i + 1)) for i in range(n))
        results = [run_isolating_failures(run, fields, sample, rng, name) for sample in samples]
        return (
            concatenate_batches([outputs for outputs, _ in results]),
            [reason for _, (reason,) in results],
        )
    _refuse_mismatches(name, outputs, fields, n)
    finite = finite_samples(outputs, n)
    return outputs, ["" if good else NOT_FINITE for good in finite]


def failed_sample(fields: Sequence[Field], reason: str) -> tuple[Batch, list[str]]:
    """Return outputs (1, ...) of NaN for one failed sample, and the reason."""
    return {field.name: np.full((1, *field.shape), np.nan) for field in fields}, [reason]


def _error_text(error: BaseException) -> str:
    """Return type and message of an exception, with the last line of a program's stderr."""
    stderr = getattr(error, "stderr", None) or ""
    stderr = stderr.decode(errors="replace") if isinstance(stderr, bytes) else str(stderr)
    last = f": {stderr.strip().splitlines()[-1]}" if stderr.strip() else ""
    return " ".join(f"{type(error).__name__}: {error}{last}".split())[:300]


def _refuse_mismatches(method: str, batch: Batch, fields: Sequence[Field], n: int) -> None:
    for message in mismatches(batch, fields, n):
        raise UserError(f"{method}: {message}")


def finite_samples(outputs: Batch, n: int) -> Array:
    """Return which of n samples have finite values only (n,)."""
    good = np.ones(n, dtype=bool)
    for array in outputs.values():
        good &= np.isfinite(array).all(axis=tuple(range(1, array.ndim)))
    return good


def concatenate_batches(batches: Sequence[Batch]) -> Batch:
    """Return one batch with the samples of all batches in order."""
    return {name: np.concatenate([b[name] for b in batches]) for name in batches[0]}
