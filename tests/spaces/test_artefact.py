"""The law of artefacts, over every cell of every problem's space: lowered agrees with eager."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from problems import (
    Dataset,
    Deployment,
    MissingExtraError,
    Predict,
    Problem,
    Size,
    UserError,
    known_problems,
    load_problem,
)
from problems.contract import RandomChoice
from problems.data.dataset import generate, reference_digest
from problems.interfaces.types import Option
from problems.provenance import digest
from spaces import surrogate
from spaces.architectures import Shape
from spaces.artefact import (
    DisagreementError,
    TrainedNetwork,
    calibration_inputs,
    write_artefact,
)
from spaces.candidate import Candidate, Precision
from spaces.manifest import ONE_BATCH, WITHOUT_MEMBERS, read_manifest
from spaces.precision import NUMBER_FORMATS, NumberFormat, relative_distance
from spaces.pruning import prune
from spaces.registered import ARCHITECTURES, RUNTIMES
from spaces.runtimes import FixedBatchPredictor, batch_folder, eager
from spaces.space import Combination, choose_candidate, deployable_combinations
from spaces.surrogate import Surrogate
from tests.pairwise import session

SOON_S = 5.0
GRAPHS = ("onnxruntime", "openvino")
"""Runtimes that take a graph, whose export takes seconds."""


def deployed_cells(problem: Problem) -> list[Combination]:
    """One network for each runtime, families and precisions in turn.

    The law over all families is in `test_deployment_check.py`; this one is of the whole artefact.
    So a compiler, which may take a minute for others, is given one problem's MLP where there is
    one. Unless laws are tried whole, a problem has one of the runtimes of graphs.
    """
    chosen: list[Combination] = []
    names = list(known_problems())
    own = [
        combination
        for combination in deployable_combinations(problem)
        if combination.pruning == "none"
    ]
    for i, runtime in enumerate(dict.fromkeys(combination.runtime for combination in own)):
        fitting = [combination for combination in own if combination.runtime == runtime]
        if runtime in GRAPHS and not session.whole:
            place = names.index(problem.name)
            if runtime != GRAPHS[place % len(GRAPHS)]:
                continue
        if RUNTIMES[runtime].lowering_time_s > SOON_S:
            if names[list(RUNTIMES).index(runtime) % len(names)] != problem.name:
                continue
            fitting = [
                combination for combination in fitting if combination.architecture == "mlp"
            ] or fitting
        chosen.append(fitting[7 * i % len(fitting)])
    return chosen


PICKLED = (".pkl", ".pickle", ".pt", ".pth")


class Fixed(RandomChoice):
    """Draws the settings of a combination."""

    combination: Combination

    def __init__(self, combination: Combination, seed: int = 0) -> None:
        super().__init__(np.random.default_rng(seed))
        object.__setattr__(self, "combination", combination)

    def categorical(self, name: str, options: Sequence[Option]) -> Option:
        leaf = name.rpartition(".")[2]
        return (
            getattr(self.combination, leaf)
            if leaf in Combination._fields
            else super().categorical(name, options)
        )


def built(
    problem: Problem, data: Dataset, combination: Combination, seed: int = 0
) -> tuple[Candidate, TrainedNetwork]:
    candidate = choose_candidate(problem, Size.TINY, Fixed(combination, seed), 0)
    encoding = problem.encodings[candidate.encoding].configured(candidate.encoding_settings)
    encoding = encoding.fit(data.train)
    pairs = encoding.pairs(data.train)
    torch.manual_seed(0)
    shape = Shape.of(encoding, pairs)
    family, settings = ARCHITECTURES[combination.architecture], candidate.architecture_settings
    network = family.untrained(shape, settings).eval()
    noise = family.noise(shape, settings)
    calibration = calibration_inputs(pairs, problem.deployment.batch, noise)
    network = prune(network, combination.pruning, candidate.pruning_settings, calibration[:2])
    samples = data.validation.inputs
    return candidate, TrainedNetwork(network, encoding, shape, noise, calibration, samples)


@pytest.fixture(scope="module")
def plain(problem: Problem, data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artefact of the first combination that runs eagerly."""
    combination = next(
        combination
        for combination in deployable_combinations(problem)
        if combination.runtime == "eager"
    )
    candidate, trained = built(problem, data, combination)
    folder = tmp_path_factory.mktemp("artefact") / "plain"
    write_artefact(trained, candidate, problem, folder)
    return folder


AGAIN = """
import sys
import numpy as np
from safetensors.numpy import load_file
from spaces.surrogate import Surrogate

for folder in sys.argv[1:]:
    recorded = load_file(folder + "/predictions.safetensors")
    inputs = {k[7:]: v for k, v in recorded.items() if k.startswith("inputs.")}
    outputs = Surrogate.load(folder).run(inputs, np.random.default_rng(0))
    for name, array in outputs.items():
        np.testing.assert_array_equal(array, recorded["outputs." + name], folder)
"""


@pytest.mark.slow
def test_lowered_agrees_with_eager_after_load_and_bit_for_bit_elsewhere(
    cache: Path, tmp_path: Path
) -> None:
    folders: list[str] = []
    for name in known_problems():
        problem = load_problem(name, Size.TINY)
        data = generate(problem, cache)
        for combination in deployed_cells(problem):
            folders.append("-".join(map(str, (name, *combination))))
            agrees_with_eager(combination, problem, data, tmp_path / folders[-1])
    done = subprocess.run(
        [sys.executable, "-c", AGAIN, *folders],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def agrees_with_eager(
    combination: Combination, problem: Problem, data: Dataset, folder: Path
) -> None:
    candidate, trained = built(problem, data, combination)
    write_artefact(trained, candidate, problem, folder)
    assert not [path for path in folder.iterdir() if path.suffix in PICKLED]
    surrogate = Surrogate.load(folder, problem)
    inputs = trained.calibration.numpy()[: problem.deployment.batch]
    with torch.inference_mode():
        exact = trained.network(torch.from_numpy(inputs)).numpy()
    lowered = surrogate.network(inputs)
    assert relative_distance(lowered, exact) <= NUMBER_FORMATS[combination.precision].tolerance
    np.testing.assert_array_equal(surrogate.network(inputs), lowered)
    # A sample alone equals the sample in a batch, whatever the batch size that was lowered.
    tolerance = NUMBER_FORMATS[combination.precision].tolerance
    np.testing.assert_allclose(
        surrogate.network(inputs[3:4]), lowered[3:4], tolerance, tolerance * np.abs(lowered).max()
    )
    outputs = surrogate.run(data.test.inputs, np.random.default_rng(0))
    assert problem.simulation is not None
    for field in problem.simulation.outputs:
        assert outputs[field.name].shape == (len(data.test), *field.shape)


def test_an_altered_file_is_refused(plain: Path, problem: Problem) -> None:
    weights = plain / "network.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        with pytest.raises(UserError, match=r"network\.safetensors is missing or was altered"):
            Surrogate.load(plain, problem)
    finally:
        weights.write_bytes(whole)
    Surrogate.load(plain, problem)


def test_a_manifest_cannot_name_files_outside(plain: Path, tmp_path: Path) -> None:
    manifest = json.loads((plain / "manifest.json").read_text())
    manifest["files"]["../outside"] = "0" * 64
    folder = tmp_path / "inside"
    folder.mkdir()
    (tmp_path / "outside").write_text("")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError):
        read_manifest(folder)


def test_another_processor_is_refused(
    plain: Path, problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = RUNTIMES["eager"]
    monkeypatch.setattr(type(runtime), "portable", False)
    Surrogate.load(plain, problem)
    manifest = read_manifest(plain).model_copy(update={"bound_to": ("avx1024",)})
    monkeypatch.setattr(surrogate, "read_manifest", lambda _: manifest)
    with pytest.raises(UserError, match=r"was compiled for .*, without avx1024: search on such"):
        Surrogate.load(plain, problem)


def test_a_runtime_that_is_not_there_is_told(
    plain: Path, problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        type(RUNTIMES["eager"]), "cannot_run", lambda *_: "this machine has no hands"
    )
    with pytest.raises(UserError, match=r"runs in eager .*: this machine has no hands"):
        Surrogate.load(plain, problem)


def test_a_network_that_answers_otherwise_is_refused(
    plain: Path, problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuild_network = eager.rebuild_network

    def changed(*arguments: Any) -> torch.nn.Module:
        network = rebuild_network(*arguments)
        with torch.no_grad():
            for weight in network.parameters():
                weight.add_(0.5)
        return network

    monkeypatch.setattr(eager, "rebuild_network", changed)
    with pytest.raises(UserError, match=r"outputs of .* differ by .* when simstead"):
        Surrogate.load(plain, problem)


def test_an_artefact_of_another_version_is_refused(plain: Path, problem: Problem) -> None:
    name, version = problem.name, problem.version
    words = f"was made for {name} version {version}, not {name} version 99"
    with pytest.raises(UserError, match=words):
        Surrogate.load(plain, replace(problem, version=99))


def test_a_setting_that_is_gone_is_told(
    plain: Path, problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = read_manifest(plain)
    other = manifest.candidate.model_copy(update={"encoding_settings": {"gone": 1}})
    changed = manifest.model_copy(update={"candidate": other})
    monkeypatch.setattr(surrogate, "read_manifest", lambda _: changed)
    with pytest.raises(UserError, match=r"its settings .*, which .* no longer has"):
        Surrogate.load(plain, problem)


@pytest.mark.parametrize("batch", [1, 48, 1000])
def test_ranges_are_of_many_samples_in_whole_calls(
    batch: int, problem: Problem, data: Dataset
) -> None:
    encoding = next(iter(problem.encodings.values())).fit(data.train)
    n = len(calibration_inputs(encoding.pairs(data.train), batch))
    assert n % batch == 0
    assert n >= max(256, 4 * batch)


def test_another_size_is_refused(plain: Path, problem: Problem) -> None:
    standard = load_problem(problem.name, Size.STANDARD)
    if reference_digest(standard) == reference_digest(problem):
        pytest.skip("the simulation is the same at both sizes")
    with pytest.raises(UserError, match="at size tiny, whose simulation has other parameters"):
        Surrogate.load(plain, standard)


@pytest.mark.parametrize(
    "change", [{"format": 99}, {"files": {}}, {"files": {"manifest.json": "0"}}]
)
def test_an_altered_manifest_is_refused(plain: Path, tmp_path: Path, change: dict) -> None:
    folder = tmp_path / "altered"
    shutil.copytree(plain, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | change))
    with pytest.raises(UserError, match=r"format 99|missing or was altered"):
        read_manifest(folder)


def test_the_hash_covers_the_settings(plain: Path) -> None:
    manifest = read_manifest(plain)
    other = manifest.candidate.model_copy(update={"encoding_settings": {"coordinates": "other"}})
    assert manifest.model_copy(update={"candidate": other}).hash != manifest.hash


def test_loading_needs_no_reference(
    plain: Path, problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: object) -> dict[str, str]:
        raise MissingExtraError("the reference", "cases", "this test")

    monkeypatch.setattr(type(problem.simulation), "versions", missing, raising=False)
    assert isinstance(Surrogate.load(plain, problem), Surrogate)


def test_a_failed_lowering_leaves_nothing_behind(
    problem: Problem, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    combination = next(
        combination
        for combination in deployable_combinations(problem)
        if combination.runtime == "eager"
    )
    candidate, trained = built(problem, data, combination)

    def fail(*_: object) -> None:
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(type(RUNTIMES["eager"]), "load", fail)
    with pytest.raises(RuntimeError, match="no such kernel"):
        write_artefact(trained, candidate, problem, tmp_path / "artefact")
    assert list(tmp_path.iterdir()) == []


def test_disagreement_leaves_nothing_behind(
    problem: Problem, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    combination = next(
        c
        for c in deployable_combinations(problem)
        if c.runtime == "eager" and c.precision == "bf16"
    )
    candidate, trained = built(problem, data, combination)
    monkeypatch.setitem(NUMBER_FORMATS, combination.precision, NumberFormat(torch.bfloat16, 1e-9))
    with pytest.raises(DisagreementError, match="eager in bf16"):
        write_artefact(trained, candidate, problem, tmp_path / "artefact")
    assert list(tmp_path.iterdir()) == []
    write_artefact(trained, candidate, problem, tmp_path / "sketch", timing_only=True)


@pytest.mark.parametrize("n", [1, 63, 64, 65, 200])
def test_portions_serve_any_number(n: int) -> None:
    sizes: list[int] = []

    def double(inputs: np.ndarray) -> np.ndarray:
        sizes.append(len(inputs))
        return 2 * inputs

    inputs = np.arange(3.0 * n, dtype=np.float32).reshape(n, 3)
    np.testing.assert_array_equal(FixedBatchPredictor(double, 64)(inputs), 2 * inputs)
    assert set(sizes) == {64}


@pytest.mark.parametrize("n", [1, 2, 8, 9, 63, 64, 65, 72, 200])
@pytest.mark.parametrize("pads", [True, False])
def test_each_call_takes_the_smallest_batch_that_fits(n: int, pads: bool) -> None:  # noqa: FBT001 - a case
    sizes: list[tuple[int, int]] = []

    def lowered_for(batch: int) -> Predict:
        def double(inputs: np.ndarray) -> np.ndarray:
            sizes.append((batch, len(inputs)))
            return 2 * inputs

        return double

    others = {batch: lowered_for(batch) for batch in (1, 8)}
    network = FixedBatchPredictor(lowered_for(64), 64, others, pads)
    inputs = np.arange(3.0 * n, dtype=np.float32).reshape(n, 3)
    np.testing.assert_array_equal(network(inputs), 2 * inputs)
    remaining = n
    for batch, given in sizes:
        assert batch == min((size for size in (1, 8, 64) if size >= remaining), default=64)
        assert given == (batch if pads else min(batch, remaining))
        remaining -= given
    assert remaining <= 0
    assert [alone.batch for alone in network.by_batch()] == [64, 1, 8]


@pytest.mark.parametrize("runtime", ["eager", "onnxruntime", "openvino"])
def test_an_artefact_serves_every_batch_size_of_the_deployment(
    problem: Problem, data: Dataset, tmp_path: Path, runtime: str
) -> None:
    several = replace(problem, deployment=Deployment(batches=(1, 4)))
    combination = next(
        combination
        for combination in deployable_combinations(several)
        if combination.runtime == runtime and combination.precision == Precision.FP32
    )
    candidate, trained = built(several, data, combination)
    sketch, _ = write_artefact(trained, candidate, several, tmp_path / "s", timing_only=True)
    assert not sketch.further_batches
    folder = tmp_path / "artefact"
    manifest, _ = write_artefact(trained, candidate, several, folder)
    further = manifest.further_batches  # () where the points of one sample fill several calls
    folders = tuple(f"{batch_folder(batch)}/" for batch in further)
    own_files = {name for name in manifest.files if name.startswith(folders)}
    assert bool(own_files) is (bool(further) and RUNTIMES[runtime].files_fix_batch)
    network = Surrogate.load(folder, several).network
    inputs = trained.calibration.numpy()[:4]
    together = network(inputs)
    alone = np.concatenate([network(inputs[i : i + 1]) for i in range(4)])
    assert relative_distance(alone, together) <= NUMBER_FORMATS[Precision.FP32].tolerance
    for name in list(own_files)[:1]:
        (folder / name).write_bytes(b"")
        with pytest.raises(UserError, match=f"{name} is missing or was altered"):
            read_manifest(folder)


@pytest.mark.parametrize(
    ("version", "added"),
    [(ONE_BATCH, ("further_batches", "spread")), (WITHOUT_MEMBERS, ("spread",))],
)
def test_the_hash_of_an_older_artefact_stays(
    plain: Path, version: int, added: tuple[str, ...]
) -> None:
    manifest = read_manifest(plain).model_copy(update={"format": version})
    before = manifest.model_dump(mode="json")
    for name in added:
        del before[name]
    assert manifest.hash == digest(before)
