"""Check and search the problems of a folder of cases, and print what each comes to.

    python benchmarks/shared_cases.py ../shared/cases [--only csv_] [--no-search]

A case is a folder with a problem.py that defines `problem`. For recorded data it defines
`truth(values)` too, which describes the difference from what the files were written from; a
simulation should return 3 a + 2 b. A refusal is printed as the one line that a user reads.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np

from problems import Array, Dataset, Problem, UserError
from problems.contract import check_declarations
from problems.data.dataset import check_values, generate
from problems.data.shards import make_serially
from problems.entrance.isolated import IsolatedProcess
from problems.sources import import_file

SEARCH = (
    *("--trials", "1", "--deployments", "1", "--retrain", "0", "--workers", "2"),
    *("--only", "runtime=eager", "--only", "architecture=mlp"),
)


def load_case(folder: Path) -> ModuleType:
    """Return the module of a case."""
    return import_file(folder / "problem.py")


def all_values(data: Dataset) -> Mapping[str, Array]:
    """Return the values (b, ...) of each field in all splits together."""
    values: dict[str, list[Array]] = {}
    for split in data.splits().values():
        for name, array in (*split.inputs.items(), *split.outputs.items()):
            values.setdefault(name, []).append(np.asarray(array))
    return {name: np.concatenate(parts) for name, parts in values.items()}


def truth(module: ModuleType, data: Dataset) -> str:
    """Return how the data of a case differ from what they should be."""
    values = all_values(data)
    if hasattr(module, "truth"):
        return str(module.truth(values))
    if {"a", "b", "y"} <= set(values) and values["y"].ndim == 1:
        return (
            f"max |y-(3a+2b)| = {np.abs(values['y'] - 3 * values['a'] - 2 * values['b']).max():.3g}"
        )
    return "no known truth"


def command(folder: Path, *arguments: str) -> str:
    """Return how a command on a case ended: "holds" or the lines that say why it doesn't."""
    done = subprocess.run(  # noqa: S603 - our own program
        [str(Path(sys.executable).with_name("simstead")), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    if done.returncode == 0:
        return "holds"
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("yes", "-  ", "no "))]
    return f"code {done.returncode}: {told[0] if told else lines[-1]}"


def outcome(folder: Path, cache: Path) -> str:
    """Return what the data of a case come to, in a line."""
    try:
        module = load_case(folder)
        problem: Problem = module.problem
        check_declarations(problem)
        whole = replace(problem, samples=None) if problem.data is not None else problem
        with IsolatedProcess() as process:
            data = generate(whole, cache, partial(make_serially, call=process.call))
        check_values(problem, data)
    except UserError as error:
        return f"refused: {error}"
    except Exception:  # noqa: BLE001 - what a case should never come to
        return f"CRASH: {traceback.format_exc().strip().splitlines()[-1]}"
    sizes = "/".join(str(len(split)) for split in data.splits().values())
    left_out = "; ".join(f"{n}: {reason}" for reason, n in data.reasons.items())
    return f"{truth(module, data)} [{sizes}]" + (f" left out {left_out}" * bool(left_out))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--only", default="", help="beginning of the names of the cases")
    parser.add_argument("--no-search", action="store_true", help="a search takes half a minute")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["SIMSTEAD_CACHE"] = scratch
        for folder in sorted(arguments.cases.resolve().iterdir()):
            if not folder.name.startswith(arguments.only) or not (folder / "problem.py").exists():
                continue
            print(
                f"{folder.name}\n    check   {command(folder, 'check', 'problem.py')}", flush=True
            )
            if not arguments.no_search:
                run = f"{scratch}/run-{folder.name}"
                ended = command(folder, "search", "problem.py", "--run", run, *SEARCH)
                print(f"    search  {ended}", flush=True)
            # Simulations are read from the cache, as the commands left them.
            print(f"    data    {outcome(folder, Path(scratch))}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
