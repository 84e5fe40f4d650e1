"""The law of artefacts, over every cell of every problem's space: lowered agrees with eager."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from problems import Dataset, Problem, Size, UserError, known_problems, load_problem
from problems.contract import DrawnChoice
from problems.core import Option
from spaces.architectures import ARCHITECTURES, Shape
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
from spaces.runtimes import RUNTIMES, InPortions
from spaces.space import Cell, cells, compose


def law_cells() -> list:
    """One encoding per family is enough: what is lowered is the family's network."""
    seen: dict[tuple, object] = {}
    for name in known_problems():
        for cell in cells(load_problem(name, Size.TINY)):
            label = "-".join(map(str, (name, *cell[1:])))
            seen.setdefault((name, *cell[1:]), pytest.param(name, cell, id=label))
    return list(seen.values())


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


def built(problem: Problem, data: Dataset, cell: Cell) -> tuple[Candidate, Trained]:
    candidate = compose(problem, Size.TINY, Fixed(cell), 0)
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
    manifest = write_artefact(trained, candidate, problem, tmp_path / "artefact")
    assert manifest.disagreement <= FORMATS[cell.precision].tolerance
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


def test_pruned_widths_stay_multiples_of_the_vector(problem: Problem, data: Dataset) -> None:
    pruned = [cell for cell in cells(problem) if cell.pruning is Pruning.STRUCTURED]
    for cell in {cell.architecture: cell for cell in pruned}.values():
        candidate, trained = built(problem, data, cell)
        _, whole = built(problem, data, cell._replace(pruning=Pruning.NONE))
        assert candidate.pruning_ratio > 0
        widths = [w.shape[0] for w in trained.network.parameters() if w.ndim > 1]
        assert all(width % VECTOR_WIDTH == 0 for width in widths[:-1])
        assert sum(w.numel() for w in trained.network.parameters()) < sum(
            w.numel() for w in whole.network.parameters()
        )


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


def test_no_file_is_pickled(plain: Path) -> None:
    assert {path.suffix for path in plain.iterdir()} <= {".json", ".safetensors"}


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


def test_every_runtime_answers_why_not() -> None:
    for name in RUNTIMES:
        for precision in FORMATS:
            reason = RUNTIMES[name].excludes(precision)
            assert reason is None or reason
