"""Draw and run a simulation, and anything with its signature: who fails, fails alone."""

from collections.abc import Sequence

import numpy as np

from problems.errors import UserError
from problems.interfaces.batch_checks import mismatches
from problems.interfaces.types import Array, Batch, Field, Run, Simulation, n_samples, take_samples

NOT_FINITE = "an output is not finite"


def draw(simulation: Simulation, n: int, rng: np.random.Generator) -> Batch:
    """Draw n inputs of a simulation.

    Raises:
        UserError: They aren't what the fields declare, or drawing fails.
    """
    method = f"{type(simulation).__name__}.draw"
    try:
        inputs = simulation.draw(n, rng)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{method} raised {_words(error)}") from error
    _refuse_mismatches(method, inputs, simulation.inputs, n)
    return inputs


def run_simulation(
    simulation: Simulation, inputs: Batch, rng: np.random.Generator
) -> tuple[Batch, list[str]]:
    """Run a simulation as `run_each` does."""
    name = f"{type(simulation).__name__}.run"
    return run_isolating_failures(simulation.run, simulation.outputs, inputs, rng, name)


def run_isolating_failures(
    run: Run, declared: Sequence[Field], inputs: Batch, rng: np.random.Generator, name: str
) -> tuple[Batch, list[str]]:
    """Run a batch; where it raises, run every sample alone, so that only the faulty ones fail.

    Args:
        run: A simulation's, a baseline's or a surrogate's.
        declared: The fields that it returns.
        inputs: A batch of b samples.
        rng: Handed to it.
        name: What it is called when something is wrong with it.

    Returns:
        The outputs, NaN where a sample failed, and for each sample why it failed, "" if it didn't.

    Raises:
        UserError: The outputs aren't what the fields declare.
    """
    n = n_samples(inputs)
    try:
        outputs = run(inputs, rng)
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's code: counted and shown
        if n == 1:
            return failed_sample(declared, _words(error))
        each = (take_samples(inputs, slice(i, i + 1)) for i in range(n))
        alone = [run_isolating_failures(run, declared, one, rng, name) for one in each]
        return concatenate_batches([each for each, _ in alone]), [reason for _, (reason,) in alone]
    _refuse_mismatches(name, outputs, declared, n)
    finite = finite_samples(outputs, n)
    return outputs, ["" if good else NOT_FINITE for good in finite]


def failed_sample(fields: Sequence[Field], reason: str) -> tuple[Batch, list[str]]:
    """Return what stands for one sample that failed, and why."""
    return {field.name: np.full((1, *field.shape), np.nan) for field in fields}, [reason]


def _words(error: BaseException) -> str:
    """Return what an exception says, of a program that failed also its last line."""
    said = getattr(error, "stderr", None) or ""
    said = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    last = f": {said.strip().splitlines()[-1]}" if said.strip() else ""
    return " ".join(f"{type(error).__name__}: {error}{last}".split())[:300]


def _refuse_mismatches(method: str, batch: Batch, declared: Sequence[Field], n: int) -> None:
    for words in mismatches(batch, declared, n):
        raise UserError(f"{method}: {words}")


def finite_samples(outputs: Batch, n: int) -> Array:
    """Return which of n samples (b,) are finite throughout."""
    good = np.ones(n, dtype=bool)
    for array in outputs.values():
        good &= np.isfinite(array).all(axis=tuple(range(1, array.ndim)))
    return good


def concatenate_batches(batches: Sequence[Batch]) -> Batch:
    """Return batches one after the other as one."""
    return {name: np.concatenate([b[name] for b in batches]) for name in batches[0]}
