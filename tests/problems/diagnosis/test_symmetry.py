from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from problems.diagnosis.repeatability import run_twice
from problems.diagnosis.symmetry import Symmetries, SymmetryResult, find_symmetries
from problems.interfaces.problem import Problem, Symmetry
from problems.interfaces.types import Array, Batch, Dataset, Field, Split


@dataclass(frozen=True)
class Toy:
    """A function of normal inputs; the fields say what it takes and gives."""

    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    function: Callable[[Batch, np.random.Generator], Batch]

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        return {each.name: rng.normal(size=(n, *each.shape)) for each in self.inputs}

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:
        return self.function(inputs, rng)


def tried(toy: Toy, declared: Sequence[Symmetry] = ()) -> Symmetries:
    problem = Problem(simulation=toy, encodings={}, score=lambda *_: {}, symmetries=tuple(declared))
    rng = np.random.default_rng(0)
    inputs = toy.draw(128, rng)
    train = Split(inputs, toy.run(inputs, rng))
    data = Dataset(train, train, train, Split({}, {}))
    return find_symmetries(problem, run_twice(toy, data))


def verdicts(toy: Toy) -> dict[str, bool | None]:
    return {each.name: each.holds for each in tried(toy).findings}


def one(toy: Toy, name: str) -> SymmetryResult:
    return next(each for each in tried(toy).findings if each.name == name)


def bodies(field: float = 0.0, dimension: int = 3) -> Toy:
    """Forces of equal bodies on each other, in a uniform field along the first axis."""
    vector = ((5, dimension), "m", ("body", "component"))

    def force(inputs: Batch, _: np.random.Generator) -> Batch:
        apart = inputs["place"][:, :, None] - inputs["place"][:, None]
        pull = apart * np.exp(-np.sum(apart**2, axis=-1, keepdims=True))
        total = -pull.sum(axis=2)
        total[..., 0] += field * (1.0 + total[..., 1])
        return {"force": total}

    return Toy((Field("place", *vector),), (Field("force", (5, dimension), "N", vector[2]),), force)


@pytest.mark.parametrize("dimension", [2, 3])
def test_central_forces_have_every_symmetry_and_a_field_breaks_two(dimension: int) -> None:
    rotation = f"rotation, SO({dimension})"
    free = verdicts(bodies(dimension=dimension))
    assert free == {
        "permutation along body": True,
        rotation: True,
        "reflection of vectors along x": True,
        "shift of all vectors in m": True,
    }
    pulled = verdicts(bodies(field=0.5, dimension=dimension))
    broken = {name for name, holds in pulled.items() if not holds}
    assert broken == {rotation, "reflection of vectors along x"}


GRID = ((16,), "K", ("x",))


def on_grid(step: Callable[[Array], Array]) -> Toy:
    return Toy(
        (Field("u", *GRID),), (Field("u", *GRID),), lambda inputs, _: {"u": step(inputs["u"])}
    )


@pytest.mark.parametrize(("weight", "holds"), [(1.0, True), (1.5, False)])
def test_chaos_breaks_no_symmetry(weight: float, holds: bool) -> None:  # noqa: FBT001
    def mixed(inputs: Batch, _: np.random.Generator) -> Batch:
        """A sum over the set, of which every eighth sample goes through a chaotic map."""
        weights = np.array([weight, 1.0, 1.0, 1.0, 1.0])
        total = (inputs["x"] * weights).sum(axis=1)
        wild = np.abs(np.sin(total))
        for _step in range(60):
            wild = 4.0 * wild * (1.0 - wild)
        return {"y": np.where(np.arange(len(total)) % 8, total, wild)}

    toy = Toy((Field("x", (5,), "m", ("body",)),), (Field("y", (), "m"),), mixed)
    (finding, *_) = tried(toy).findings
    assert finding.holds is holds


def test_periodic_diffusion_and_advection() -> None:
    def diffused(u: Array) -> Array:
        return u + 0.1 * (np.roll(u, 1, 1) - 2.0 * u + np.roll(u, -1, 1))

    def advected(u: Array) -> Array:
        return u - 0.3 * (u - np.roll(u, 1, 1))

    translation, reflection = "periodic translation along x", "reflection along x"
    assert verdicts(on_grid(diffused)) == {translation: True, reflection: True}
    assert verdicts(on_grid(advected)) == {translation: True, reflection: False}
    walled = verdicts(on_grid(lambda u: np.diff(u, axis=1, prepend=0.0)))
    assert walled == {translation: False, reflection: False}


def test_a_turned_grid_turns_its_vectors() -> None:
    axes = ("x", "y")
    scalar, vector = Field("u", (8, 8), "1", axes), Field("v", (8, 8, 2), "1", (*axes, "component"))

    def gradient(u: Array) -> Array:
        return np.stack([np.roll(u, -1, i) - np.roll(u, 1, i) for i in (1, 2)], axis=-1)

    turn, flip = "quarter turn x-y", "reflection along y"
    right = Toy((scalar,), (vector,), lambda batch, _: {"v": gradient(batch["u"])})
    assert verdicts(right)[turn]
    assert verdicts(right)[flip]
    uneven = Toy((scalar,), (vector,), lambda b, _: {"v": gradient(b["u"]) * [1.0, 2.0]})
    assert verdicts(uneven)[turn] is False
    assert verdicts(uneven)[flip]
    back = Toy((vector,), (scalar,), lambda b, _: {"u": b["v"][..., 0] + b["v"][..., 1]})
    assert not any(verdicts(back)[name] for name in (turn, flip))


def summed(weights: Array) -> Toy:
    return Toy(
        (Field("x", (6,), "1", ("particle",)),),
        (Field("sum"),),
        lambda batch, _: {"sum": batch["x"] ** 2 @ weights},
    )


def test_a_sum_over_a_set_and_a_weighted_one() -> None:
    name = "permutation along particle"
    found = one(summed(np.ones(6)), name)
    assert found.holds
    assert found.discrepancy is not None
    assert found.discrepancy < 1e-12
    assert "set or graph" in found.advice
    broken = one(summed(np.arange(6.0)), name)
    assert broken.holds is False
    assert broken.advice == "broken: don't build it in"
    nearly = one(summed(1.0 + 0.001 * np.arange(6.0)), name)
    assert nearly.holds is False
    assert "nearly" in nearly.advice


def test_axes_of_time_and_of_quantities_stay_in_order() -> None:
    toy = Toy(
        (
            Field("x", (4, 3), "1", ("frame", "element")),
            Field("z", (3, 2), "m, s", ("body", "pair")),
        ),
        (Field("y"),),
        lambda batch, _: {"y": batch["x"].sum(axis=(1, 2))},
    )
    assert verdicts(toy) == {"permutation along body": True}


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_stochastic_reference_is_compared_with_itself(weight: float) -> None:
    def noisy(batch: Batch, rng: np.random.Generator) -> Batch:
        clean = (batch["x"] * (1.0 + weight * np.arange(6.0))).sum(axis=1)
        return {"sum": clean + 0.5 * rng.normal(size=len(clean))}

    toy = Toy((Field("x", (6,), "1", ("particle",)),), (Field("sum"),), noisy)
    found = one(toy, "permutation along particle")
    assert found.holds is (weight == 0.0)


def test_samples_that_fail_are_left_out_and_errors_are_reasons() -> None:
    def part(batch: Batch, _: np.random.Generator) -> Batch:
        total = batch["x"].sum(axis=1)
        return {"sum": np.where(batch["x"][:, 0] > 1.0, np.nan, total)}

    def picky(batch: Batch, _: np.random.Generator) -> Batch:
        if np.any(np.diff(batch["x"], axis=1) < 0.0):
            raise ValueError("not in order")
        return {"sum": batch["x"].sum(axis=1)}

    fields = (Field("x", (6,), "1", ("particle",), (0.0, 5.0)),), (Field("sum"),)

    class Ordered(Toy):
        def draw(self, n: int, rng: np.random.Generator) -> Batch:
            return {"x": np.sort(np.abs(super().draw(n, rng)["x"]), axis=1)}

    ordered = Ordered(*fields, picky)
    found = one(ordered, "permutation along particle")
    assert found.holds is None
    assert found.reason == "ValueError: not in order"

    class Drawn(Toy):
        def draw(self, n: int, rng: np.random.Generator) -> Batch:
            x = super().draw(n, rng)["x"]
            x[:, 0] = -np.abs(x[:, 0])
            return {"x": x}

    failed = one(Drawn(*fields, part), "permutation along particle")
    assert failed.holds
    assert failed.failed > 0
    assert failed.samples + failed.failed == 128


def test_a_declared_symmetry_and_a_range_that_is_left() -> None:
    toy = Toy(
        (Field("x", valid=(0.0, 9.0)),), (Field("y"),), lambda batch, _: {"y": batch["x"] ** 2}
    )

    class Positive(Toy):
        def draw(self, n: int, rng: np.random.Generator) -> Batch:
            return {"x": rng.uniform(1.0, 2.0, n)}

    mirrored = Symmetry("mirror", lambda batch: {"x": -batch["x"]}, dict)
    same = Symmetry("nothing", dict, dict)
    findings = tried(Positive(toy.inputs, toy.outputs, toy.function), [mirrored, same]).findings
    assert (findings[0].holds, findings[0].invalid) == (True, ("x",))
    assert (findings[1].holds, findings[1].reason) == (None, "it leaves every input as it was")


def test_fields_that_can_not_be_transformed_are_said() -> None:
    vector = Field("place", (5, 3), "m", ("body", "component"))
    toy = Toy(
        (vector,),
        (Field("y", (6,), "m", ("component",)),),
        lambda b, _: {"y": b["place"][:, 0] @ np.ones((3, 6))},
    )
    assert "components" in one(toy, "rotation, SO(3)").reason
    nameless = Toy((vector,), (Field("y", (5,)),), lambda b, _: {"y": b["place"][..., 0]})
    assert "doesn't name its axes" in one(nameless, "permutation along body").reason


def test_recorded_data_can_not_be_run() -> None:
    toy = summed(np.ones(6))
    found = find_symmetries(Problem(simulation=toy, encodings={}, score=lambda *_: {}), None)
    assert found.findings == ()
    assert "recorded" in found.reason
