"""What an export adds: a script and kernels that answer, without simstead, what was recorded."""

import ast
import os
import platform
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as save_weights

from search.export.host_code import kernel_for, script_for, write_host_code
from search.export.program import write_program
from search.run.directory import RunDirectory
from spaces.artefact import EXAMPLES, PREDICTIONS
from spaces.candidate import Precision, Pruning
from spaces.deployment_check import BATCH, example_network, lowered_shape
from spaces.manifest import (
    FORMAT_VERSION,
    MANIFEST,
    USAGE,
    USAGE_FOLDER,
    Manifest,
    artefact_files,
    read_manifest,
    sha256,
)
from spaces.precision import NUMBER_FORMATS, relative_distance
from spaces.registered import ARCHITECTURES, RUNTIMES
from spaces.runtimes import FixedBatchPredictor, batch_folder
from spaces.runtimes.compiled import OPTIONS
from spaces.runtimes.eager import WEIGHTS
from spaces.runtimes.openvino import HINTS
from spaces.space import incompatibility
from spaces.surrogate import Surrogate
from tests.ensembles import weather, weather_split, write_ensemble
from tests.pairwise import session
from tests.spaces.lowered import DESCRIPTION, RunOnce, lower_once

DOCUMENTATION = Path(__file__).parent.parent.parent / "docs" / "use-a-surrogate.md"
BLOCK = re.compile(r"^```python (\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

RunSimstead = Callable[..., subprocess.CompletedProcess[str]]

FAMILY = "mlp"
COMPILERS = ("aotinductor", "compiled")
"""They take ten seconds for a network, so that one precision of theirs is tried."""

DEPLOYED = [
    (runtime, precision)
    for runtime in RUNTIMES
    for precision in Precision
    if precision is Precision.FP32 or runtime not in COMPILERS
    if not RUNTIMES[runtime].cannot_lower(precision)
]
KERNELS = [runtime for runtime in RUNTIMES if kernel_for(runtime).is_dir()]


ExportResult = Callable[[str, Precision], Path]


@pytest.fixture(scope="module")
def exported(run_once: RunOnce) -> ExportResult:
    """The artefact of a small network with what an export adds: compilers make theirs once."""

    def find(runtime: str, precision: Precision) -> Path:
        # A folder's name is nothing that a shell or make may read.
        name = f"it's an export; $(HOME) {runtime} {precision}"
        lowered = lower_once(run_once, FAMILY, runtime, precision)
        return run_once(name, partial(write_exported, lowered, runtime, precision))

    return find


def write_exported(lowered: Path, runtime: str, precision: Precision, folder: Path) -> None:
    shutil.copytree(lowered, folder, ignore=shutil.ignore_patterns(*DESCRIPTION))
    tried = example_network(FAMILY, lowered_shape(ARCHITECTURES[FAMILY]))
    lowering = tried.lowering_for(runtime, precision, BATCH)
    inputs = tried.calibration[:BATCH].numpy()
    answers = RUNTIMES[runtime].load(folder, lowering)(inputs)
    save_file({"inputs": inputs, "answers": answers}, folder / EXAMPLES)
    shape = tried.shape
    manifest = Manifest(
        format=FORMAT_VERSION,
        candidate=lowering.candidate,
        source="example",
        simulation="",
        network_inputs=shape.inputs,
        network_outputs=shape.outputs,
        noise=tried.noise,
        layout=shape.layout,
        target=shape.target,
        aligned=shape.aligned,
        batch=BATCH,
        threads=lowering.threads,
        tolerance=NUMBER_FORMATS[precision].tolerance,
        disagreement=0.0,
        parameters=0,
        zeros=0,
        inputs=(),
        outputs=(),
        files={path.name: sha256(path) for path in folder.iterdir()},
        versions={},
        machine=platform.machine(),
        bound_to=RUNTIMES[runtime].bound_to(),
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json())
    write_host_code(folder, manifest)


def copied(folder: Path, aside: Path) -> Path:
    return shutil.copytree(folder, aside / folder.name)


def ran(folder: Path, *command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*map(str, command)], cwd=folder, capture_output=True, text=True, check=False, timeout=600
    )


def alone(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Python from elsewhere, where it finds installed packages and nothing else."""
    return ran(folder, sys.executable, "-I", *arguments)


PROBE = """
import runpy, sys
import numpy as np
run = runpy.run_path(sys.argv[1])
code = run["main"]()
network = run["load_network"]()
inputs, _ = run["examples"]()
np.save(sys.argv[2], network(np.concatenate([inputs, 2 * inputs[:1]])))
print(*sorted(name for name in sys.modules if "." not in name))
sys.exit(code)
"""
OURS = {"problems", "spaces", "search", "reports", "safetensors", "pydantic"}


@pytest.mark.parametrize("runtime", list(RUNTIMES))
def test_every_runtime_has_a_script(runtime: str) -> None:
    assert script_for(runtime).is_file()


@pytest.mark.slow
@pytest.mark.parametrize(("runtime", "precision"), DEPLOYED)
def test_the_script_answers_as_recorded(
    runtime: str, precision: Precision, exported: ExportResult, tmp_path: Path
) -> None:
    folder = exported(runtime, precision)
    manifest = read_manifest(folder)
    script = folder / USAGE_FOLDER / "run.py"
    probed = alone(tmp_path, "-c", PROBE, script, tmp_path / "answers.npy")
    assert probed.returncode == 0, probed.stderr
    said, *_, modules = probed.stdout.splitlines()
    assert said.startswith("bit for bit, ")
    loaded = set(modules.split())
    assert not loaded & (OURS if WEIGHTS in manifest.files else {*OURS, "onnx"})
    assert "torch" not in loaded or kernel_for(runtime).name not in {"onnxruntime", "openvino"}
    inputs = load_file(folder / EXAMPLES)["inputs"]
    network = FixedBatchPredictor(RUNTIMES[runtime].load(folder, manifest.lowering), BATCH)
    np.testing.assert_array_equal(
        np.load(tmp_path / "answers.npy"), network(np.concatenate([inputs, 2 * inputs[:1]]))
    )


@pytest.mark.slow
@pytest.mark.parametrize(("runtime", "precision"), DEPLOYED)
def test_a_sample_with_nan_is_answered_by_nan_and_no_other_is(
    runtime: str, precision: Precision, exported: ExportResult
) -> None:
    folder = exported(runtime, precision)
    inputs = load_file(folder / EXAMPLES)["inputs"]
    spoilt = inputs.copy()
    spoilt[1].reshape(-1)[0], spoilt[2].reshape(-1)[-1] = np.nan, np.inf
    lowering = read_manifest(folder).lowering
    script = runpy.run_path(str(folder / USAGE_FOLDER / "run.py"))["load_network"]
    for network in (script(), FixedBatchPredictor(RUNTIMES[runtime].load(folder, lowering), BATCH)):
        answers = network(spoilt)
        assert np.isnan(answers[[1, 2]]).all()
        valid = np.delete(np.arange(BATCH), [1, 2])
        np.testing.assert_allclose(answers[valid], network(inputs)[valid], rtol=0.1, atol=0.1)


def test_what_differs_is_told(exported: ExportResult, tmp_path: Path) -> None:
    folder = copied(exported("eager", Precision.FP32), tmp_path)
    answers = folder / USAGE_FOLDER / "answers.bin"
    np.negative(np.fromfile(answers, "<f4")).tofile(answers)
    done = alone(tmp_path, folder / USAGE_FOLDER / "run.py")
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("2 away, ")


def test_an_altered_file_is_refused(exported: ExportResult, tmp_path: Path) -> None:
    folder = copied(exported("eager", Precision.FP32), tmp_path)
    weights = folder / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    done = alone(tmp_path, folder / USAGE_FOLDER / "run.py")
    assert done.returncode == 1
    assert "is missing or was altered" in done.stderr


def test_inputs_of_another_shape_are_refused(exported: ExportResult) -> None:
    run = runpy.run_path(str(exported("eager", Precision.FP32) / USAGE_FOLDER / "run.py"))
    with pytest.raises(ValueError, match=r"inputs are \(4, 3\), not \('n', 12\)"):
        run["load_network"]()(np.zeros((4, 3), dtype=np.float32))
    with pytest.raises(ValueError, match="inputs are complex64; give real numbers"):
        run["load_network"]()(np.zeros((4, 12), dtype=np.complex64))
    _, recorded = run["examples"]()
    assert run["load_network"]()(np.zeros((0, 12))).shape == (0, recorded.shape[1])


def test_the_script_fills_up_no_call_that_has_a_batch_of_its_own(
    exported: ExportResult, tmp_path: Path
) -> None:
    folder = copied(exported("onnxruntime", Precision.FP32), tmp_path)
    tried = example_network(FAMILY, lowered_shape(ARCHITECTURES[FAMILY]))
    alone_lowering = tried.lowering_for("onnxruntime", Precision.FP32, 1)
    RUNTIMES["onnxruntime"].lower_further(tried.network, tried.calibration, alone_lowering, folder)
    manifest = Manifest.read(folder / MANIFEST).model_copy(
        update={
            "further_batches": (1,),
            "files": {name: sha256(path) for name, path in artefact_files(folder).items()},
        }
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json())
    network = runpy.run_path(str(folder / USAGE_FOLDER / "run.py"))["load_network"]()
    inputs = tried.calibration.numpy()
    together = network(inputs)
    shutil.rmtree(folder / batch_folder(1))
    np.testing.assert_allclose(network(inputs[:1]), together[:1], rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match=r"batch-1/network\.onnx is missing or was altered"):
        runpy.run_path(str(folder / USAGE_FOLDER / "run.py"))["load_network"]()


def test_scripts_load_as_simstead_does() -> None:
    scripts = {name: runpy.run_path(str(script_for(name))) for name in ("openvino", "compiled")}
    assert scripts["openvino"]["HINTS"] == {str(k): v for k, v in HINTS.items()}
    assert scripts["compiled"]["OPTIONS"] == OPTIONS


def programs() -> list[tuple[str, Precision]]:
    """Return what becomes a program: each family in one precision, unless in all of them."""
    admitted = {
        family: [
            precision
            for precision in Precision
            if incompatibility(family, Pruning.NONE, "eager", precision) is None
        ]
        for family in ARCHITECTURES
    }
    return [
        (family, precision)
        for i, (family, precisions) in enumerate(admitted.items())
        for precision in (precisions if session.whole else [precisions[i % len(precisions)]])
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("family", "precision"), programs())
def test_every_family_becomes_a_program(family: str, precision: Precision, tmp_path: Path) -> None:
    tried = example_network(family, lowered_shape(ARCHITECTURES[family]))
    save_weights(tried.network.state_dict(), tmp_path / WEIGHTS)
    inputs = tried.calibration[:BATCH]
    # It compares its answers, bit for bit, with the network's.
    lowering = tried.lowering_for("eager", precision, BATCH)
    write_program(tmp_path, lowering, inputs, tmp_path)
    tree = ast.parse((tmp_path / "network.py").read_text())
    imported = {
        node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert imported == {"pathlib", "numpy", "torch"}


def needed_for(runtime: str) -> str | None:
    """Return what is missing to build a runtime's kernel, or None."""
    for program in ("make", "g++", "gfortran"):
        if shutil.which(program) is None:
            return f"no {program} here"
    headers = Path(os.environ.get("ORT_HOME", "/usr")) / "include"
    found = [*headers.glob("onnxruntime_cxx_api.h"), *headers.glob("onnxruntime/onnxruntime_cxx*")]
    if kernel_for(runtime).name == "onnxruntime" and not found:
        return "no headers of ONNX Runtime here: install libonnxruntime-dev, or set ORT_HOME"
    return RUNTIMES[runtime].cannot_lower(Precision.FP32)


AWAY = re.compile(r"^(C\+\+|Fortran): +(\S+) away, +\S+ us a call of 4$", re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", KERNELS)
def test_kernels_answer_as_recorded(runtime: str, exported: ExportResult, tmp_path: Path) -> None:
    if (missing := needed_for(runtime)) is not None:
        pytest.skip(missing)
    folder = copied(exported(runtime, Precision.FP32), tmp_path)
    native = folder / USAGE_FOLDER / "native"
    strict = "-O2 -Wall -Wextra -Werror"
    made = ran(
        native,
        *(str(shutil.which("make")), "check", f"PYTHON={sys.executable}"),
        *(f"CXXFLAGS={strict}", f"FFLAGS={strict} -std=f2018"),
    )
    assert made.returncode == 0, made.stdout + made.stderr
    # Debian's ONNX Runtime is another release than Python's; the others are the very library.
    allowed = 1e-6 if runtime == "onnxruntime" else 0.0
    assert {name: float(away) <= allowed for name, away in AWAY.findall(made.stdout)} == {
        "C++": True,
        "Fortran": True,
    }
    answers = folder / USAGE_FOLDER / "answers.bin"
    np.negative(np.fromfile(answers, "<f4")).tofile(answers)
    for program in (native / "example", native / "example_fortran"):
        assert ran(native, program).returncode == 1
        nothing = ran(native, program, "nowhere")
        assert nothing.returncode == 2
        assert "nowhere/use/inputs.bin can't be read" in nothing.stderr
        (tmp_path / "use").mkdir(exist_ok=True)
        for name in ("inputs.bin", "answers.bin"):
            shutil.copy(folder / "use" / name, tmp_path / "use")
        unopened = ran(native, program, tmp_path)
        assert unopened.returncode == 2
        assert unopened.stderr.startswith(f"{tmp_path}: ")
        assert "frame #" not in unopened.stderr
    read_manifest(folder)


RECORDED = {
    "surrogate": (
        f"""
from safetensors.numpy import load_file
recorded = load_file("surrogate/{PREDICTIONS}")
inputs = {{key[7:]: array for key, array in recorded.items() if key.startswith("inputs.")}}
""",
        """
for name, array in outputs.items():
    np.testing.assert_array_equal(array, recorded["outputs." + name])
""",
    ),
    "network": (
        f"""
from safetensors.numpy import load_file
recorded = load_file("surrogate/{EXAMPLES}")
inputs = recorded["inputs"]
""",
        """
assert (outputs == recorded["answers"]).all()
""",
    ),
}
"""What goes before and after each piece of Python that the documentation shows."""

ENSEMBLE = "ensemble"
"""The piece that is about an ensemble."""


@pytest.mark.parametrize("runtime", ["eager", "onnxruntime", "openvino"])
def test_members_of_an_ensemble_are_called_without_simstead(runtime: str, tmp_path: Path) -> None:
    folder = write_ensemble(tmp_path / "surrogate", runtime)
    manifest = read_manifest(folder)
    assert not write_host_code(folder, manifest)
    script = runpy.run_path(str(folder / USAGE_FOLDER / "run.py"))
    members = script["load_members"]()
    lowered = Surrogate.load(folder, weather).members
    assert lowered is not None
    inputs, _ = script["examples"]()
    inputs = np.concatenate([inputs, 2.0 * inputs[:1]])
    for member, expected in zip(members, lowered.networks, strict=True):
        tolerance = NUMBER_FORMATS[Precision.FP32].tolerance
        assert relative_distance(member(inputs), expected(inputs)) <= tolerance
    assert len({member(inputs).tobytes() for member in members}) == len(members)
    read_manifest(folder)


def test_one_network_has_no_members(exported: ExportResult) -> None:
    script = runpy.run_path(str(exported("eager", Precision.FP32) / USAGE_FOLDER / "run.py"))
    with pytest.raises(ValueError, match="is one network"):
        script["load_members"]()


def test_the_documentation_of_an_ensemble_runs(tmp_path: Path) -> None:
    surrogate = Surrogate.load(write_ensemble(tmp_path / "surrogate"), weather)
    inputs = weather_split(50).inputs
    shown = dict(BLOCK.findall(DOCUMENTATION.read_text()))[ENSEMBLE]
    names: dict[str, Any] = {
        "np": np,
        "surrogate": surrogate,
        "inputs": inputs,
        "simulation": weather.simulation,
    }
    exec(shown, names)  # noqa: S102 - our own page
    assert names["prediction"].deviations["lift"].shape == (50,)
    assert (names["low"]["lift"] <= names["high"]["lift"]).all()
    assert names["simulated"].shape == (50,)
    assert names["outputs"].keys() == names["prediction"].outputs.keys()


@pytest.mark.slow
def test_an_export_keeps_the_artefact_and_adds_its_use(
    simstead: RunSimstead, finished_run: Path, tmp_path: Path
) -> None:
    run, folder = RunDirectory.open(finished_run), tmp_path / "surrogate"
    heat = run.final_evaluation()
    assert heat is not None
    assert heat.recommended is not None
    done = simstead("export", finished_run, folder)
    assert done.returncode == 0, done.stderr
    artefact = run.artefact_path(heat.recommended)
    own = {path.name for path in artefact.iterdir()}
    assert {path.name for path in folder.iterdir()} == own | {USAGE, USAGE_FOLDER}
    for name in own:
        assert (folder / name).read_bytes() == (artefact / name).read_bytes()
    checked = alone(tmp_path, folder / USAGE_FOLDER / "run.py")
    assert checked.returncode == 0, checked.stderr
    page = (folder / USAGE).read_text()
    assert "python use/run.py" in page
    has_kernel = kernel_for(read_manifest(folder).candidate.runtime).is_dir()
    assert ("make -C use/native check" in page) == has_kernel
    # What the documentation shows, on what was recorded.
    shown = dict(BLOCK.findall(DOCUMENTATION.read_text()))
    assert shown.keys() == RECORDED.keys() | {ENSEMBLE}
    for name, (before, after) in RECORDED.items():
        tried = ran(tmp_path, sys.executable, "-c", before + shown[name] + after)
        assert tried.returncode == 0, tried.stderr
    read_manifest(folder)
