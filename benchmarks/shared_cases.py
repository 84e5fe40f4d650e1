"""Run the problems of a folder of cases, and print a table: case, outcome.

    python benchmarks/shared_cases.py ../shared/cases [--only csv_] [--keep CACHE]

A case is a folder with a problem.py that defines `problem` and, for recorded data, `truth(values)`,
which describes the difference from what the files were written from. A refusal is printed as the
one line that a user reads.
"""

import argparse
import os
import sys
import tempfile
import traceback
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np

from problems import Array, Dataset, Problem, UserError
from problems.contract import check_declarations
from problems.data.dataset import check_values, generate


def load_case(folder: Path) -> ModuleType:
    """Return the module of a case."""
    spec = spec_from_file_location(f"case_{folder.name}", folder / "problem.py")
    if spec is None or spec.loader is None:
        raise UserError(f"{folder} has no problem.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def all_values(data: Dataset) -> Mapping[str, Array]:
    """Return the values (b, ...) of each field in all splits together."""
    values: dict[str, list[Array]] = {}
    for split in data.splits().values():
        for name, array in (*split.inputs.items(), *split.outputs.items()):
            values.setdefault(name, []).append(np.asarray(array))
    return {name: np.concatenate(parts) for name, parts in values.items()}


def outcome(folder: Path, cache: Path) -> str:
    """Return what a case comes to, in a line."""
    try:
        module = load_case(folder)
        problem: Problem = module.problem
        check_declarations(problem)
        data = generate(replace(problem, samples=None), cache)
        check_values(problem, data)
    except UserError as error:
        return f"refused: {error}"
    except Exception:  # noqa: BLE001 - what a case should never come to
        return f"CRASH: {traceback.format_exc().strip().splitlines()[-1]}"
    sizes = "/".join(str(len(split)) for split in data.splits().values())
    left_out = "; ".join(f"{n}: {reason}" for reason, n in data.reasons.items())
    return f"{module.truth(all_values(data))} [{sizes}]" + (
        f" left out {left_out}" * bool(left_out)
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--only", default="", help="beginning of the names of the cases")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["SIMSTEAD_CACHE"] = cache
        for folder in sorted(arguments.cases.iterdir()):
            source = folder / "problem.py"
            if not folder.name.startswith(arguments.only) or not source.exists():
                continue
            if b"def truth" not in source.read_bytes():
                continue  # it isn't recorded
            print(f"{folder.name:26s} {outcome(folder, Path(cache))}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
