"""Time of the reference and of surrogates of `radiation` per column, by batch size.

    .venv/bin/python benchmarks/radiation_batches.py [ARTEFACT ...]

The reference and artefacts of a search of `radiation` are called in turn with 1 to 10,000 columns
near the test sites, on one thread. The shortest processor time of some calls is printed, in
microseconds per column. Then follow the time of gas optics alone, that of a kernel encoding around
a network that takes no time, and the relative error of the optical depths of artefacts of kernel
encodings.
"""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from arguments import argument_parser

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
    """Return the processor time of the fastest call after one warm-up call [s]."""
    call()
    begin, times = time.perf_counter(), list[float]()
    while not times or time.perf_counter() - begin < TIME_LIMIT_S:
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def depth_error(
    encoding: GasOpticsEncoding, network: Callable[[Array], Array], columns: Batch
) -> float:
    """Return the median relative error of optical depths above 0.001.

    Args:
        encoding: A kernel encoding.
        network: Its network.
        columns: Inputs (n, ...).
    """
    pairs = encoding.pairs(Split(columns, {}))
    n, layers = columns["temperature"].shape
    targets = [array.reshape(n, layers, -1) for array in (network(pairs.inputs), pairs.targets)]
    predicted, true = (encoding._optics(array, columns)[0] for array in targets)  # noqa: SLF001 - the optics alone
    visible = true > 1e-3
    return float(np.median(np.abs(predicted[visible] / true[visible] - 1.0)))


def main() -> None:
    """Print the times and errors."""
    parser = argument_parser(__doc__)
    parser.add_argument("artefacts", nargs="*", metavar="ARTEFACT", help="folder of an artefact")
    artefacts = parser.parse_args().artefacts
    torch.set_num_threads(1)
    problem = load_problem("radiation", Size.STANDARD)
    test, rng = problem.held_out["test"], np.random.default_rng(0)
    columns = test.draw(max(BATCHES), rng)
    runs = {"RRTMGP": test.run}
    surrogates = {folder: Surrogate.load(Path(folder), problem) for folder in artefacts}
    runs |= {folder: surrogate.run for folder, surrogate in surrogates.items()}
    for batch in BATCHES:
        inputs = take_samples(columns, slice(batch))
        for name, run in runs.items():
            column_s = min_process_time_s(lambda run=run, inputs=inputs: run(inputs, rng)) / batch
            print(f"{batch:6} columns  {1e6 * column_s:8.1f} us per column  {name}", flush=True)
    inputs = take_samples(columns, slice(64))
    column_s = min_process_time_s(lambda: STANDARD.optics(inputs)) / 64
    print(f"gas optics alone, of 64 columns: {1e6 * column_s:.1f} us per column")
    encoding = LayerEncoding(STANDARD).fit(Split(inputs, {}))
    targets = encoding.pairs(Split(inputs, {})).targets
    column_s = min_process_time_s(lambda: encoding.apply(lambda _: targets, inputs, rng)) / 64
    print(f"`layer` without its network, of 64 columns: {1e6 * column_s:.1f} us per column")
    for folder, surrogate in surrogates.items():
        if isinstance(surrogate.encoding, GasOpticsEncoding):
            error = depth_error(surrogate.encoding, surrogate.network, inputs)
            print(f"optical depths: median error {100 * error:.2f} %  {folder}")


if __name__ == "__main__":
    main()
