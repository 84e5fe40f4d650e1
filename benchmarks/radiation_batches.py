"""How long a column of `radiation` takes by the batch, of the reference and of surrogates.

    .venv/bin/python benchmarks/radiation_batches.py [ARTEFACT ...]

The reference, and every artefact that a search of `radiation` left, are called in turn with 1 to
10,000 columns near the test sites, on one thread; printed: microseconds of processor time a column,
the quickest of some calls. Gas optics alone, a kernel encoding around a network that costs nothing,
and, of artefacts of kernel encodings, the relative error of their optical depths follow.
"""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from asking import argument_parser

from problems import Size, load_problem
from problems.cases.radiation.encodings import GasOpticsEncoding, LayerEncoding
from problems.cases.radiation.k_distribution import KDistribution
from problems.cases.radiation.longwave import LongwaveModel
from problems.interfaces.types import Array, Batch, Split, take_samples
from spaces.surrogate import Surrogate

BATCHES = (1, 8, 64, 512, 10_000)
TIME_LIMIT_S = 3.0
STANDARD = LongwaveModel(KDistribution(128))


def min_process_time_s(call: Callable[[], object]) -> float:
    """Return the processor time [s] of the quickest call after one to warm up."""
    call()
    began, times = time.perf_counter(), list[float]()
    while not times or time.perf_counter() - began < TIME_LIMIT_S:
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def depth_error(
    encoding: GasOpticsEncoding, network: Callable[[Array], Array], columns: Batch
) -> float:
    """Return the median relative error of optical depths above 0.001."""
    pairs = encoding.pairs(Split(columns, {}))
    n, layers = columns["temperature"].shape
    answers = [each.reshape(n, layers, -1) for each in (network(pairs.inputs), pairs.targets)]
    predicted, wanted = (encoding._optics(each, columns)[0] for each in answers)  # noqa: SLF001
    seen = wanted > 1e-3
    return float(np.median(np.abs(predicted[seen] / wanted[seen] - 1.0)))


def main() -> None:
    """Print a table."""
    asked = argument_parser(__doc__)
    asked.add_argument("artefacts", nargs="*", metavar="ARTEFACT", help="folder of a search's")
    artefacts = asked.parse_args().artefacts
    torch.set_num_threads(1)
    problem = load_problem("radiation", Size.STANDARD)
    test, rng = problem.held_out["test"], np.random.default_rng(0)
    columns = test.draw(max(BATCHES), rng)
    runs = {"RRTMGP": test.run}
    surrogates = {folder: Surrogate.load(Path(folder), problem) for folder in artefacts}
    runs |= {folder: surrogate.run for folder, surrogate in surrogates.items()}
    for batch in BATCHES:
        some = take_samples(columns, slice(batch))
        for name, run in runs.items():
            each = min_process_time_s(lambda run=run, some=some: run(some, rng)) / batch
            print(f"{batch:6} columns  {1e6 * each:8.1f} us a column  {name}", flush=True)
    some = take_samples(columns, slice(64))
    each = min_process_time_s(lambda: STANDARD.optics(some)) / 64
    print(f"gas optics alone, of 64 columns: {1e6 * each:.1f} us a column")
    encoding = LayerEncoding(STANDARD).fit(Split(some, {}))
    answers = encoding.pairs(Split(some, {})).targets
    each = min_process_time_s(lambda: encoding.apply(lambda _: answers, some, rng)) / 64
    print(f"`layer` without its network, of 64 columns: {1e6 * each:.1f} us a column")
    for folder, surrogate in surrogates.items():
        if isinstance(surrogate.encoding, GasOpticsEncoding):
            error = depth_error(surrogate.encoding, surrogate.network, some)
            print(f"optical depths: {100 * error:.2f} % off (median)  {folder}")


if __name__ == "__main__":
    main()
