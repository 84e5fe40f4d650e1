import importlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from problems import Batch, Dataset, Problem, Samples, UserError
from problems.data.dataset import generate
from problems.data.shards import Shard, make_serially, plan_shards
from problems.interfaces.types import SPLITS, take_samples
from problems.source_code import source_hash
from problems.template.problem import DampedOscillator
from problems.template.problem import problem as template


def test_shards_cover_every_split(problem: Problem) -> None:
    shards = plan_shards(problem)
    for split in ("train", "validation", "test", "shifted"):
        own = [shard for shard in shards if shard.split == split]
        assert sum(shard.samples for shard in own) == getattr(problem.samples, split)
    assert len({shard.key for shard in shards}) == len(shards)


def test_a_key_changes_with_what_produces_the_data(problem: Problem) -> None:
    keys = {shard.key for shard in plan_shards(problem)}
    assert {shard.key for shard in plan_shards(problem)} == keys
    other = replace(problem, simulation=problem.shifted)
    own = {s.key for s in plan_shards(other) if s.split not in problem.split_simulations}
    assert own
    assert own.isdisjoint(keys)


SOURCES = {
    "simulation.py": """
from dataclasses import dataclass
from KIT.constants import G
from KIT import forces

@dataclass(frozen=True)
class Toy:
    def versions(self):
        from KIT.inside import VALUE
        import KIT.below
        return {"G": G, "forces": forces, "value": (VALUE, guarded)}

try:
    from KIT import guarded
except ImportError:
    guarded = None
""",
    "constants.py": "G = 1.0\n",
    "forces.py": "import KIT.deep\nSTRENGTH = 1.0\n",
    "deep.py": "LAW = 2\n",
    "unused.py": "NOTHING = 0\n",
    "inside.py": "VALUE = 1\n",
    "guarded.py": "VALUE = 1\n",
    "below/__init__.py": "VALUE = 1\n",
}


@pytest.mark.parametrize(
    ("changed", "change", "matters"),
    [
        ("constants.py", "G = 2.0", True),
        ("forces.py", "STRENGTH = 2.0", True),
        ("deep.py", "LAW = 3", True),
        ("deep.py", "print(LAW)", True),
        ("unused.py", "NOTHING = 1", False),
        ("constants.py", "UNUSED = 1.0", False),
        ("constants.py", "# a comment", False),
        ("simulation.py", "def another(): return 1", False),
        ("simulation.py", "Toy.versions = lambda self: {'a': 'b'}", True),
        ("inside.py", "VALUE = 2", True),
        ("guarded.py", "VALUE = 2", True),
        ("below/__init__.py", "VALUE = 2", True),
    ],
)
def test_a_key_follows_the_code_at_any_remove(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str, change: str, *, matters: bool
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    hashes: list[str] = []
    for name in (f"{tmp_path.name.replace('-', '_')}_{copy}" for copy in ("before", "after")):
        for file, text in {"__init__.py": "", **SOURCES}.items():
            path = tmp_path / name / file
            path.parent.mkdir(exist_ok=True)
            path.write_text(text.replace("KIT", name))
        if hashes:
            path = tmp_path / name / changed
            path.write_text(path.read_text() + change)
        hashes.append(source_hash(importlib.import_module(f"{name}.simulation").Toy))
    before, after = hashes
    assert (after != before) == matters


def copy_shards(shards: Sequence[Shard], cache: Path, folder: Path) -> None:
    for shard in shards:
        shard.path(folder).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(shard.path(cache), shard.path(folder))


def test_a_killed_generation_is_resumed(
    problem: Problem, data: Dataset, cache: Path, tmp_path: Path
) -> None:
    *kept, last = shards = plan_shards(problem)
    copy_shards(kept, cache, tmp_path)
    (tmp_path / problem.name / "torn.npz.part").write_bytes(b"half a shard")
    made: list[Shard] = []

    def watched(missing: Sequence[Shard], cache: Path) -> Iterator[Shard]:
        for shard in make_serially(missing, cache):
            made.append(shard)
            yield shard

    counts: list[tuple[int, int]] = []
    again = generate(problem, tmp_path, watched, lambda done, total: counts.append((done, total)))
    assert made == [last]
    assert counts[0][0] == sum(shard.samples for shard in kept)
    assert counts[-1] == (sum(shard.samples for shard in shards),) * 2
    for split in SPLITS:
        for name, array in getattr(data, split).inputs.items():
            np.testing.assert_array_equal(getattr(again, split).inputs[name], array)


@pytest.mark.usefixtures("data")
def test_failed_samples_are_counted_and_left_out(
    problem: Problem, cache: Path, tmp_path: Path
) -> None:
    shard, *_ = shards = plan_shards(problem)
    copy_shards(shards, cache, tmp_path)
    path = shard.path(tmp_path)
    with np.load(path) as stored:
        arrays = dict(stored)
    for name, array in arrays.items():
        if name.startswith("outputs/"):
            array[2] = np.nan
    np.savez(path, **arrays)
    data = generate(problem, tmp_path)
    assert problem.samples is not None
    assert data.failed["train"] == 1
    assert len(data.train) == problem.samples.train - 1


@pytest.mark.usefixtures("data")
def test_a_reference_that_mostly_fails_is_refused(
    problem: Problem, cache: Path, tmp_path: Path
) -> None:
    copy_shards(plan_shards(problem), cache, tmp_path)
    for shard in plan_shards(problem):
        path = shard.path(tmp_path)
        with np.load(path) as stored:
            arrays = {k: v * np.nan if k.startswith("outputs/") else v for k, v in stored.items()}
        np.savez(path, **arrays)
    assert problem.samples is not None
    every = f"{problem.samples.train} of {problem.samples.train}"
    with pytest.raises(UserError, match=f"the reference failed on {every} samples of the train"):
        generate(problem, tmp_path)


def test_a_cache_that_cannot_be_written_is_named(problem: Problem, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="SIMSTEAD_CACHE"):
        generate(problem, tmp_path / "file")


@dataclass(frozen=True)
class Faulty(DampedOscillator):
    """The template's simulation, which raises or answers wrongly on some samples."""

    raises_above: float = np.inf
    nan_above: float = np.inf
    transposed: bool = False

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:
        if np.any(inputs["damping"] > self.raises_above):
            raise ZeroDivisionError("the step is zero")
        outputs = dict(super().run(inputs, rng))
        outputs["position"][inputs["damping"] > self.nan_above] = np.nan
        if self.transposed:
            outputs["velocity"] = outputs["velocity"].T
        return outputs


def faulty(**faults: Any) -> Problem:
    samples = Samples(64, 16, 16, 0)
    return replace(template, simulation=Faulty(**faults), shifted=None, samples=samples)


def test_a_sample_that_raises_fails_alone_and_is_counted_with_its_reason(tmp_path: Path) -> None:
    problem = faulty(raises_above=0.35, nan_above=0.3)
    data = generate(problem, tmp_path)
    drawn = generate(faulty(), tmp_path).train.inputs["damping"]
    assert data.failed["train"] == np.sum(drawn > 0.3)
    assert len(data.train) == np.sum(drawn <= 0.3)
    assert set(data.reasons) == {
        "ZeroDivisionError: the step is zero",
        "output 'position' is not finite",
    }
    assert sum(data.reasons.values()) == sum(data.failed.values())
    assert len(data.shifted) == 0
    assert data.shifted.outputs["position"].shape == (0, 40)


def test_a_reference_that_always_raises_ends_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="on each of the first 8 samples of the train split: Zero"):
        generate(faulty(raises_above=0.0), tmp_path)
    assert not list(tmp_path.rglob("*.npz"))


def test_what_is_not_as_declared_ends_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Faulty.run: field 'velocity' has shape \(40, 8\)"):
        generate(faulty(transposed=True), tmp_path)


@dataclass(frozen=True)
class Repeating(DampedOscillator):
    """Draws from a few values alone; stochastic where there is noise."""

    values: int = 3
    noise: float = 0.0

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        few = super().draw(self.values, np.random.default_rng(0))
        return take_samples(few, rng.integers(self.values, size=n))

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:
        outputs = super().run(inputs, rng)
        return {k: v + self.noise * rng.normal(size=v.shape) for k, v in outputs.items()}


def test_a_sample_that_stood_before_is_left_out_and_counted(tmp_path: Path) -> None:
    data = generate(replace(faulty(), simulation=Repeating(values=80)), tmp_path)
    repeats = {name: int(n) for name, n in data.duplicates.items()}
    assert len(data.train) == 64 - repeats["train"]
    assert len(data.test) == 16 - repeats["test"]
    assert min(repeats["train"], repeats["validation"], repeats["test"]) > 0
    kept = np.concatenate([split.inputs["damping"] for split in data.splits().values()])
    assert len(np.unique(kept)) == len(kept)


def test_repeats_of_a_stochastic_reference_stay_but_never_in_two_splits(tmp_path: Path) -> None:
    data = generate(replace(faulty(), simulation=Repeating(values=80, noise=0.1)), tmp_path)
    assert data.duplicates["train"] == 0
    assert len(data.train) == 64 > len(np.unique(data.train.inputs["damping"]))
    known = set(data.train.inputs["damping"])
    assert not known & set(data.test.inputs["damping"])


def test_too_few_samples_left_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"its train split has 3 samples, fewer than 16 \(0 failed"):
        generate(replace(faulty(), simulation=Repeating()), tmp_path)


def test_large_splits_are_made_in_larger_shards() -> None:
    few, many = (
        [s for s in plan_shards(replace(template, samples=Samples(train=n))) if s.split == "train"]
        for n in (512, 100_000)
    )
    assert {shard.samples for shard in few} == {8}
    assert max(shard.samples for shard in many) == 64
    assert sum(shard.samples for shard in many) == 100_000
