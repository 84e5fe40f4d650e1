"""Programs that call an exported network without simstead: from Python, C, C++ and Fortran."""

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file

from search.export.program import write_program
from spaces.artefact import EXAMPLES
from spaces.manifest import USAGE_FOLDER, Manifest
from spaces.members import MEMBERS_FILE, MEMBERS_FOLDER, member_lowerings
from spaces.registered import RUNTIMES
from spaces.runtimes.eager import WEIGHTS

TEMPLATE_FOLDER = Path(__file__).parent / "templates"
SCRIPT_FILE = "run.py"
RUNTIME_FILE = "runtime.py"
NATIVE_FOLDER = "native"

SIZES_HEADER = """\
/* Sizes of one call of this network: written by simstead's export. */
#define SIMSTEAD_BATCH {batch}
#define SIMSTEAD_INPUTS {inputs}
#define SIMSTEAD_OUTPUTS {outputs}
#define SIMSTEAD_SHAPE {shape}
#define SIMSTEAD_THREADS {threads}
#define SIMSTEAD_DEVICE "{device}"
#define SIMSTEAD_PRECISION "{precision}"
#define SIMSTEAD_TOLERANCE {tolerance:g}
"""


def script_for(runtime: str) -> Path:
    """Return the template that calls a runtime from Python; simstead's runtimes all have one."""
    return TEMPLATE_FOLDER / "runtimes" / f"{_kind(runtime)}.py"


def kernel_for(runtime: str) -> Path:
    """Return the folder of templates that call a runtime from C++; some runtimes have none."""
    return TEMPLATE_FOLDER / NATIVE_FOLDER / _kind(runtime)


def _kind(runtime: str) -> str:
    return runtime.removesuffix("-cuda")


def write_host_code(folder: Path, manifest: Manifest) -> str:
    """Add programs to an artefact that call its network, with an example call to check them.

    A network of PyTorch that can't be written as a program, such as one that branches on values,
    gets none; it can still be called with simstead.

    Returns:
        The reason why there are none, or "".
    """
    runtime = manifest.candidate.runtime
    use = folder / USAGE_FOLDER
    use.mkdir()
    examples = load_file(folder / EXAMPLES)
    for name, values in examples.items():
        values.astype("<f4").tofile(use / f"{name}.bin")
    if script_for(runtime).is_file():
        if WEIGHTS in manifest.files:
            try:
                write_program(folder, manifest.lowering, torch.from_numpy(examples["inputs"]), use)
                _write_members(folder, manifest, use)
            except OSError:
                raise
            except Exception as error:  # noqa: BLE001 - PyTorch's exporter may raise anything
                shutil.rmtree(use)
                return f"{type(error).__name__}: {error}".splitlines()[0]
        shutil.copyfile(TEMPLATE_FOLDER / SCRIPT_FILE, use / SCRIPT_FILE)
        shutil.copyfile(script_for(runtime), use / RUNTIME_FILE)
    if kernel_for(runtime).is_dir():
        native = use / NATIVE_FOLDER
        native.mkdir()
        _copy_files((TEMPLATE_FOLDER / NATIVE_FOLDER).iterdir(), native)
        _copy_files(kernel_for(runtime).iterdir(), native)
        (native / "sizes.h").write_text(_sizes(manifest))
    return ""


def _write_members(folder: Path, manifest: Manifest, use: Path) -> None:
    """Write each member of an ensemble as a program, in a folder as that of the ensemble."""
    if manifest.spread is None:
        return
    inputs = torch.from_numpy(load_file(folder / MEMBERS_FILE)["inputs"])
    lowering = replace(manifest.lowering, batch=manifest.spread.batch)
    for number, member in enumerate(member_lowerings(lowering)):
        program = use / MEMBERS_FOLDER / str(number) / USAGE_FOLDER
        program.mkdir(parents=True)
        write_program(folder / MEMBERS_FOLDER / str(number), member, inputs, program)


def _copy_files(files: Iterable[Path], folder: Path) -> None:
    for file in files:
        if file.is_file():
            shutil.copyfile(file, folder / file.name)


def _sizes(manifest: Manifest) -> str:
    input_shape = manifest.lowering.input_shape
    return SIZES_HEADER.format(
        batch=manifest.batch,
        inputs=int(np.prod(input_shape)),
        outputs=manifest.network_outputs,
        shape=", ".join(map(str, (manifest.batch, *input_shape))),
        threads=manifest.threads,
        device=RUNTIMES[manifest.candidate.runtime].device,
        precision=manifest.candidate.precision,
        tolerance=manifest.tolerance,
    )
