"""The law of artefacts, over every cell of every problem's space: lowered agrees with eager."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from problems import (
    Dataset,
    MissingExtraError,
    Problem,
    Size,
    UserError,
    known_problems,
    load_problem,
)
from problems.contract import DrawnChoice
from problems.core import Option
from spaces.architectures import Shape
from spaces.artefact import (
    DisagreementError,
    Trained,
    calibration_inputs,
    load_surrogate,
    read_manifest,
    relative_distance,
    write_artefact,
)
from spaces.candidate import Candidate, Pruning
from spaces.precision import FORMATS, Format
from spaces.pruning import VECTOR_WIDTH, prune_structured
from spaces.registered import ARCHITECTURES, RUNTIMES
from spaces.runtimes import InPortions
from spaces.space import Cell, cells, compose


def law_cells() -> list:
    """One encoding per family is enough: what is lowered is the family's network."""
    seen: dict[tuple, object] = {}
    for name in known_problems():
        for cell in cells(load_problem(name, Size.TINY)):
            label = "-".join(map(str, (name, *cell[1:])))
            seen.setdefault((name, *cell[1:]), pytest.param(name, cell, id=label))
    return list(seen.values())


PICKLED = (".pkl", ".pickle", ".pt", ".pth")


class Fixed(DrawnChoice):
    """Draws settings; the skeleton is the cell's."""

    def __init__(self, cell: Cell, seed: int = 0) -> None:
        super().__init__(np.random.default_rng(seed))
        object.__setattr__(self, "cell", cell)

    def categorical(self, name: str, options: Sequence[Option]) -> Option:
        leaf = name.rpartition(".")[2]
        return (
            getattr(self.cell, leaf) if leaf in Cell._fields else super().categorical(name, options)
        )


def built(problem: Problem, data: Dataset, cell: Cell, seed: int = 0) -> tuple[Candidate, Trained]:
    candidate = compose(problem, Size.TINY, Fixed(cell, seed), 0)
    encoding = problem.encodings[candidate.encoding].configured(candidate.encoding_settings)
    encoding = encoding.fit(data.train)
    pairs = encoding.pairs(data.train)
    torch.manual_seed(0)
    shape = Shape(tuple(pairs.inputs.shape[1:]), pairs.targets.shape[1])
    network = ARCHITECTURES[cell.architecture].build(shape, candidate.architecture_settings).eval()
    calibration = calibration_inputs(pairs, problem.deployment.batch)
    if candidate.pruning is Pruning.STRUCTURED:
        network = prune_structured(network, candidate.pruning_ratio, calibration[:2])
    return candidate, Trained(network, encoding, calibration)


@pytest.fixture(scope="module")
def plain(problem: Problem, data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artefact of the first cell that runs eagerly."""
    cell = next(cell for cell in cells(problem) if cell.runtime == "eager")
    candidate, trained = built(problem, data, cell)
    folder = tmp_path_factory.mktemp("artefact") / "plain"
    write_artefact(trained, candidate, problem, folder)
    return folder


@pytest.mark.parametrize(("name", "cell"), law_cells())
def test_lowered_agrees_with_eager_after_load(
    name: str, cell: Cell, problem: Problem, data: Dataset, tmp_path: Path
) -> None:
    if problem.name != name:
        pytest.skip("another problem's cell")
    candidate, trained = built(problem, data, cell)
    write_artefact(trained, candidate, problem, tmp_path / "artefact")
    assert not [path for path in (tmp_path / "artefact").iterdir() if path.suffix in PICKLED]
    surrogate = load_surrogate(tmp_path / "artefact", problem)
    inputs = trained.calibration.numpy()[: problem.deployment.batch]
    with torch.inference_mode():
        exact = trained.network(torch.from_numpy(inputs)).numpy()
    lowered = surrogate.network(inputs)
    assert relative_distance(lowered, exact) <= FORMATS[cell.precision].tolerance
    np.testing.assert_array_equal(surrogate.network(inputs), lowered)
    # A sample alone equals the sample in a batch, whatever the batch size that was lowered.
    np.testing.assert_allclose(surrogate.network(inputs[3:4]), lowered[3:4], rtol=1e-5, atol=1e-6)
    outputs = surrogate.run(data.test.inputs, np.random.default_rng(0))
    for field in problem.simulation.outputs:
        assert outputs[field.name].shape == (len(data.test), *field.shape)


@pytest.mark.parametrize("seed", range(6))
def test_what_is_pruned_is_the_ratio(problem: Problem, data: Dataset, seed: int) -> None:
    pruned = [cell for cell in cells(problem) if cell.pruning is Pruning.STRUCTURED]
    for cell in {cell.architecture: cell for cell in pruned}.values():
        candidate, trained = built(problem, data, cell, seed)
        shape = Shape(
            tuple(trained.calibration.shape[1:]), trained.network(trained.calibration).shape[1]
        )
        whole = ARCHITECTURES[cell.architecture].build(shape, candidate.architecture_settings)
        before, after = (
            [w.shape[0] for w in each.parameters() if w.ndim > 1]
            for each in (whole, trained.network)
        )
        assert all(width % VECTOR_WIDTH == 0 for width in after[:-1])
        kept = 1.0 - candidate.pruning_ratio
        assert after[:-1] == [round(width * kept) for width in before[:-1]]


def test_an_altered_file_is_refused(plain: Path, problem: Problem) -> None:
    weights = plain / "network.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        with pytest.raises(UserError, match=r"network\.safetensors is missing or was altered"):
            load_surrogate(plain, problem)
    finally:
        weights.write_bytes(whole)
    load_surrogate(plain, problem)


def test_a_manifest_cannot_name_files_outside(plain: Path, tmp_path: Path) -> None:
    manifest = json.loads((plain / "manifest.json").read_text())
    manifest["files"]["../outside"] = "0" * 64
    folder = tmp_path / "inside"
    folder.mkdir()
    (tmp_path / "outside").write_text("")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError):
        read_manifest(folder)


def test_an_artefact_of_another_version_is_refused(plain: Path, problem: Problem) -> None:
    with pytest.raises(UserError, match="was made for planets version 1, not planets version 99"):
        load_surrogate(plain, replace(problem, version=99))


def test_another_size_is_refused(plain: Path) -> None:
    with pytest.raises(UserError, match="at size tiny, whose simulation has other parameters"):
        load_surrogate(plain, load_problem("planets", Size.STANDARD))


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

    monkeypatch.setattr(type(problem.simulation), "versions", missing)
    load_surrogate(plain, problem)


def test_a_failed_lowering_leaves_nothing_behind(
    problem: Problem, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = next(cell for cell in cells(problem) if cell.runtime == "eager")
    candidate, trained = built(problem, data, cell)

    def fail(*_: object) -> None:
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(type(RUNTIMES["eager"]), "load", fail)
    with pytest.raises(RuntimeError, match="no such kernel"):
        write_artefact(trained, candidate, problem, tmp_path / "artefact")
    assert list(tmp_path.iterdir()) == []


def test_disagreement_leaves_nothing_behind(
    problem: Problem, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = next(c for c in cells(problem) if c.runtime == "eager" and c.precision == "bf16")
    candidate, trained = built(problem, data, cell)
    monkeypatch.setitem(FORMATS, cell.precision, Format(torch.bfloat16, 1e-9))
    with pytest.raises(DisagreementError, match="eager in bf16"):
        write_artefact(trained, candidate, problem, tmp_path / "artefact")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("n", [1, 63, 64, 65, 200])
def test_portions_serve_any_number(n: int) -> None:
    sizes: list[int] = []

    def double(inputs: np.ndarray) -> np.ndarray:
        sizes.append(len(inputs))
        return 2 * inputs

    inputs = np.arange(3.0 * n, dtype=np.float32).reshape(n, 3)
    np.testing.assert_array_equal(InPortions(double, 64)(inputs), 2 * inputs)
    assert set(sizes) == {64}
