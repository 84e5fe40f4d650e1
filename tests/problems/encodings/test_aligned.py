"""The ready-made encodings keep every check of an encoding, whatever layout and settings."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from problems import (
    Batch,
    Field,
    FlatEncoding,
    GraphEncoding,
    Grid1DEncoding,
    Grid2DEncoding,
    Grid3DEncoding,
    Layout,
    NormalisedError,
    Problem,
    RollOutEncoding,
    Samples,
    SequenceEncoding,
    SetEncoding,
    Simulation,
    Split,
    TensorEncoding,
    UserError,
    VectorsEncoding,
)
from problems.contract import CHECKS, CheckStage, Evidence
from problems.encodings.aligned import AlignedEncoding
from problems.encodings.transforms import NORMALISATIONS, TRANSFORMS, admissible_transforms, nonzero
from problems.interfaces.types import LAYOUT_SHAPES, take_samples

BODIES, POINTS, FRAMES = 4, 3, 6

INPUTS = (
    Field("strength", unit="1", valid=(0.01, 100.0)),
    Field("density", (POINTS, POINTS, 2), "kg/m^3", ("x", "y", "z"), (0.0, np.inf)),
    Field("mass", (BODIES,), "kg", ("body",), (0.0, np.inf)),
    Field("place", (BODIES, 2), "m", ("body", "component")),
    Field("bond", (BODIES, BODIES), "1", ("body", "body")),
    Field("start", (2,), "m", ("component",)),
    Field("wind", (FRAMES,), "m/s", ("time",)),
)
OUTPUTS = (
    Field("path", (2, FRAMES), "m", ("component", "time")),
    Field("heat", (), "J", valid=(1e-3, np.inf)),
)
MOVING = OUTPUTS[:1]


@dataclass(frozen=True)
class Everything:
    """A simulation with fields on every kind of axis."""

    inputs = INPUTS
    outputs = OUTPUTS

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        mass = np.where(rng.uniform(size=(n, BODIES)) < 0.8, rng.uniform(1, 2, (n, BODIES)), 0.0)
        return {
            "strength": 10.0 ** rng.uniform(-1.9, 1.9, n),
            "density": rng.uniform(0.0, 1.0, (n, POINTS, POINTS, 2)) ** 3,
            "mass": mass,
            "place": rng.normal(size=(n, BODIES, 2)),
            "bond": rng.normal(size=(n, BODIES, BODIES)),
            "start": rng.normal(size=(n, 2)),
            "wind": rng.normal(size=(n, FRAMES)),
        }

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - not random
        return {
            "path": inputs["start"][:, :, None] + np.cumsum(inputs["wind"], axis=1)[:, None],
            "heat": inputs["strength"] * (1.0 + inputs["mass"].sum(axis=1)),
        }


@dataclass(frozen=True)
class MovingAlone(Everything):
    outputs = MOVING

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:
        return {"path": super().run(inputs, rng)["path"]}


CLOUD = (
    Field("charge", (BODIES,), "C", ("body",), (0.0, np.inf)),
    Field("place", (3, BODIES), "m", ("component", "body"), (-1e3, 1e3)),
    Field("screening", unit="1/m", valid=(0.0, np.inf)),
)
PULL = (
    Field("pull", (3, BODIES, 2), "N", ("component", "body", "power")),
    Field("force", (BODIES, 3), "N", ("body", "component")),
)
DIPOLE = (Field("moments", (2, 3), "C m", ("power", "component")),)


@dataclass(frozen=True)
class Cloud:
    """Charges in space, and what they do to each other: it turns as they do."""

    outputs: tuple[Field, ...] = PULL

    inputs = CLOUD

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        return {
            "charge": rng.uniform(0.0, 2.0, (n, BODIES)),
            "place": rng.uniform(-1.0, 1.0, (n, 3, BODIES)) * [[5.0], [1.0], [0.1]],
            "screening": rng.uniform(0.0, 1.0, n),
        }

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - not random
        place, charge = inputs["place"].swapaxes(1, 2), inputs["charge"]
        apart = place[:, :, None] - place[:, None]
        far = np.sum(apart**2, axis=-1, keepdims=True)
        force = charge[..., None] * np.sum(
            charge[:, None, :, None]
            * apart
            * np.exp(-inputs["screening"][:, None, None, None] * far),
            axis=2,
        )
        pull = np.stack([np.sum(apart, axis=2), np.sum(apart * far, axis=2)], axis=-1)
        moments = [np.sum(charge[..., None] ** power * place, axis=1) for power in (1, 2)]
        all_of_them = {
            "force": force,
            "pull": pull.swapaxes(1, 2),
            "moments": np.stack(moments, axis=1),
        }
        return {f.name: all_of_them[f.name] for f in self.outputs}


GRADIENT = (Field("gradient", (3, 3), "1/s", ("component", "component")),)
STRESS = (Field("stress", (3, 3), "Pa", ("component", "component")),)
SIX = (Field("stress", (6,), "Pa"),)


@dataclass(frozen=True)
class Flow:
    """A stress that turns with the velocity gradient, whole or as six components."""

    outputs: tuple[Field, ...] = STRESS

    inputs = GRADIENT

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        return {"gradient": rng.normal(size=(n, 3, 3)) * [1.0, 2.0, 3.0]}

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - not random
        gradient = inputs["gradient"]
        turned = gradient.swapaxes(1, 2)
        stress = gradient @ turned + 0.5 * (gradient + turned)
        whole = self.outputs == STRESS
        return {"stress": stress if whole else stress.reshape(-1, 9)[:, [0, 4, 8, 1, 2, 5]]}


SIMULATIONS: tuple[Simulation, ...] = (
    Everything(), MovingAlone(), Cloud(), Cloud(DIPOLE), Flow(), Flow(SIX),
)  # fmt: skip

Ready = AlignedEncoding | RollOutEncoding

READY: dict[str, Ready] = {
    "flat": FlatEncoding(INPUTS, OUTPUTS),
    "flat, fixed": FlatEncoding(INPUTS, OUTPUTS, transforms={"heat": "log", "mass": "power 1/4"}),
    "sequence": SequenceEncoding(INPUTS, OUTPUTS, axes=("time",)),
    "line": Grid1DEncoding(INPUTS, OUTPUTS, axes=("x",)),
    "plane": Grid2DEncoding(INPUTS, OUTPUTS, axes=("y", "x")),
    "volume": Grid3DEncoding(INPUTS, OUTPUTS, axes=("x", "y", "z")),
    "set": SetEncoding(INPUTS[:4], OUTPUTS, axes=("body",), present="mass"),
    "graph": GraphEncoding(INPUTS, OUTPUTS, axes=("body",), present="mass", edge="bond"),
    "complete graph": GraphEncoding(INPUTS[2:4], OUTPUTS, axes=("body",)),
    "vectors": VectorsEncoding(CLOUD, PULL, axes=("body",)),
    "vectors alone": VectorsEncoding(CLOUD[1:2], PULL, axes=("body",)),
    "vectors of all": VectorsEncoding(CLOUD, DIPOLE, axes=("body",)),
    "tensor": TensorEncoding(GRADIENT, STRESS),
    "six of a tensor": TensorEncoding(GRADIENT, SIX),
    "roll-out": RollOutEncoding(INPUTS[:6], MOVING, start={"path": "start"}),
}
EVERY_LAW = [
    name
    for name, check in CHECKS.items()
    if check.stage in {CheckStage.DECLARATIONS, CheckStage.COMPONENTS}
]


@pytest.fixture(scope="module", params=list(READY))
def evidence(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    encoding = READY[request.param]
    return Evidence(built(encoding), tmp_path_factory.mktemp("ready"))


def simulated(encoding: Ready) -> Simulation:
    return next(each for each in SIMULATIONS if each.outputs == encoding.outputs)


def built(encoding: Ready) -> Problem:
    return Problem(
        simulation=simulated(encoding),
        encodings={"one": encoding},
        score=NormalisedError(encoding.outputs),
        samples=Samples(32, 8, 8, 8),
    )


@pytest.mark.parametrize("check", EVERY_LAW)
def test_contract_check(check: str, evidence: Evidence) -> None:
    assert CHECKS[check].violations(evidence) == []


def test_every_layout_is_ready_and_described() -> None:
    assert {encoding.layout for encoding in READY.values()} == set(Layout) == set(LAYOUT_SHAPES)


def network_inputs(encoding: Ready, inputs: Batch) -> np.ndarray:
    split = Split(inputs, Everything().run(inputs, np.random.default_rng(0)))
    return encoding.fit(split).pairs(split).inputs


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("sequence", (FRAMES, 1 + 18 + 4 + 8 + 16 + 2 + 1)),
        ("plane", (POINTS, POINTS, 1 + 2 + 4 + 8 + 16 + 2 + FRAMES)),
        ("volume", (POINTS, POINTS, 2, 1 + 1 + 4 + 8 + 16 + 2 + FRAMES)),
        ("set", (BODIES, 1 + 1 + 18 + 1 + 2)),
        ("complete graph", (BODIES, 1 + BODIES, 4)),
    ],
)
def test_fields_lie_along_their_axes(name: str, shape: tuple[int, ...]) -> None:
    inputs = Everything().draw(16, np.random.default_rng(0))
    assert network_inputs(READY[name], inputs).shape == (16, *shape)


@pytest.mark.parametrize("name", READY)
def test_pairs_lie_in_memory_as_compiled_networks_read_them(name: str) -> None:
    simulation = simulated(READY[name])
    inputs = simulation.draw(16, np.random.default_rng(0))
    data = Split(inputs, simulation.run(inputs, np.random.default_rng(0)))
    pairs = READY[name].fit(data).pairs(data)
    assert pairs.inputs.flags.c_contiguous
    assert pairs.targets.flags.c_contiguous


def permuted(inputs: Batch, order: np.ndarray) -> Batch:
    return {
        **inputs,
        "mass": inputs["mass"][:, order],
        "place": inputs["place"][:, order],
        "bond": inputs["bond"][:, order][:, :, order],
    }


def test_permuting_elements_permutes_what_a_set_or_graph_reads() -> None:
    inputs = Everything().draw(16, np.random.default_rng(0))
    order = np.array([2, 0, 3, 1])
    # Scaled by channel, not by place: so an encoding fitted to either order reads the same.
    for name in ("set", "graph", "complete graph"):
        before = network_inputs(READY[name], inputs)
        after = network_inputs(READY[name], permuted(inputs, order))
        if name == "set":
            expected = before[:, order]
        else:
            places = np.concatenate([[0], 1 + order])
            expected = before[:, order][:, :, places]
        np.testing.assert_allclose(after, expected, atol=1e-5)


def test_what_is_absent_is_zero_and_joined_to_nothing() -> None:
    inputs = Everything().draw(16, np.random.default_rng(0))
    absent = inputs["mass"] == 0.0
    assert absent.any()
    read = network_inputs(READY["set"], inputs)
    assert not read[absent].any()
    graph = network_inputs(READY["graph"], inputs)
    assert not graph[absent].any()
    joined = graph[:, :, 1:, 0]
    expected = (inputs["bond"] > 0.0) & ~absent[:, :, None] & ~absent[:, None, :]
    expected &= ~np.eye(BODIES, dtype=bool)
    np.testing.assert_array_equal(joined > 0.0, expected)


def turn() -> np.ndarray:
    """Return a rotation of space with a reflection."""
    orthogonal, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    return orthogonal if np.linalg.det(orthogonal) < 0.0 else -orthogonal


@pytest.mark.parametrize("name", [name for name in READY if name.startswith("vectors")])
def test_vectors_turn_with_what_is_encoded(name: str) -> None:
    simulation, q = simulated(READY[name]), turn()
    rng = np.random.default_rng(0)
    inputs = simulation.draw(16, rng)
    turned = {**inputs, "place": np.einsum("ij,bjp->bip", q, inputs["place"])}
    # Fitted to either: a scale that depended on the direction would show.
    before, after = (
        READY[name].fit(split).pairs(split)
        for split in (Split(each, simulation.run(each, rng)) for each in (inputs, turned))
    )
    np.testing.assert_allclose(after.inputs[..., :3], before.inputs[..., :3] @ q.T, atol=1e-5)
    np.testing.assert_array_equal(after.inputs[..., 3:], before.inputs[..., 3:])
    vectors, expected = (each.targets.reshape(16, -1, 3) for each in (after, before))
    np.testing.assert_allclose(vectors, expected @ q.T, atol=1e-5)


@pytest.mark.parametrize("name", ["tensor", "six of a tensor"])
def test_tensors_turn_with_what_is_encoded(name: str) -> None:
    simulation, q = simulated(READY[name]), turn()
    rng = np.random.default_rng(0)
    inputs = simulation.draw(16, rng)
    turned = {"gradient": q @ inputs["gradient"] @ q.T}
    before, after = (
        READY[name].fit(split).pairs(split)
        for split in (Split(each, simulation.run(each, rng)) for each in (inputs, turned))
    )
    np.testing.assert_allclose(after.inputs, q @ before.inputs @ q.T, atol=1e-5)
    np.testing.assert_allclose(whole(after.targets), q @ whole(before.targets) @ q.T, atol=1e-5)


def whole(six: np.ndarray) -> np.ndarray:
    """Return symmetric tensors (b, 3, 3) of xx, yy, zz, xy, xz and yz."""
    return six[:, [0, 3, 4, 3, 1, 5, 4, 5, 2]].reshape(-1, 3, 3)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_transform_has_an_inverse(name: str) -> None:
    x = np.geomspace(1e-6, 1e6, 50)
    np.testing.assert_allclose(TRANSFORMS[name].inverse(TRANSFORMS[name].forward(x)), x, rtol=1e-9)


def test_transforms_follow_the_declared_range() -> None:
    assert admissible_transforms((Field("x"),)) == ["none"]
    assert "log" in admissible_transforms((Field("x", valid=(1e-3, 1.0)),))
    from_zero = admissible_transforms((Field("x", valid=(0.0, 1.0)), Field("y", valid=(0.1, 1.0))))
    assert "log" not in from_zero
    assert "power 1/4" in from_zero


def test_answers_stay_within_the_declared_range(tmp_path: Path) -> None:
    evidence = Evidence(built(READY["flat"]), tmp_path)
    encoding = evidence.fitted_encodings[0].encoding
    inputs = take_samples(evidence.data.test.inputs, slice(4))
    outputs = encoding.apply(
        lambda x: np.full((len(x), 13), -1e9, np.float32), inputs, np.random.default_rng(0)
    )
    assert np.all(outputs["heat"] == 1e-3)
    assert np.isfinite(outputs["path"]).all()


WRONG = {
    "axes of a flat encoding": (
        lambda: FlatEncoding(INPUTS, OUTPUTS, axes=("time",)),
        "FlatEncoding has 0 axes",
    ),
    "no axes": (lambda: SequenceEncoding(INPUTS, OUTPUTS), "SequenceEncoding has 1 axes"),
    "another axis": (
        lambda: SequenceEncoding(INPUTS, OUTPUTS, axes=("tim",)),
        "did you mean 'time'",
    ),
    "lengths that differ": (
        lambda: Grid1DEncoding(
            (*INPUTS, replace(INPUTS[6], name="rain", shape=(5,))), OUTPUTS, axes=("time",)
        ),
        "axis 'time' has lengths [5, 6]",
    ),
    "another transform": (
        lambda: FlatEncoding(INPUTS, OUTPUTS, transforms={"heat": "logg"}),
        "did you mean 'log'",
    ),
    "another field's transform": (
        lambda: FlatEncoding(INPUTS, OUTPUTS, transforms={"heet": "log"}),
        "did you mean 'heat'",
    ),
    "a transform out of its domain": (
        lambda: FlatEncoding(INPUTS, OUTPUTS, transforms={"density": "log"}),
        "log of field 'density' needs a range above zero, declared from 0",
    ),
    "nothing to map": (lambda: FlatEncoding((), OUTPUTS), "needs inputs and outputs"),
    "presence elsewhere": (
        lambda: SetEncoding(INPUTS, OUTPUTS, axes=("body",), present="wind"),
        "known: mass",
    ),
    "an edge that is none": (
        lambda: GraphEncoding(INPUTS, OUTPUTS, axes=("body",), edge="mass"),
        "known: bond",
    ),
    "two vectors": (
        lambda: VectorsEncoding((*CLOUD, PULL[1]), PULL, axes=("body",)),
        "needs exactly one input with an axis 'component', not 'place', 'force'",
    ),
    "no vector": (
        lambda: VectorsEncoding(CLOUD[:1], PULL, axes=("body",)),
        "needs exactly one input with an axis 'component', not none",
    ),
    "one vector of all": (
        lambda: VectorsEncoding((CLOUD[0], INPUTS[5]), PULL, axes=("body",)),
        "input 'start' has axes ('component',)",
    ),
    "vectors of the plane": (
        lambda: VectorsEncoding((INPUTS[2], INPUTS[3]), PULL, axes=("body",)),
        "field 'place' has 2 components, not 3",
    ),
    "an answer that is no vector": (
        lambda: VectorsEncoding(CLOUD, OUTPUTS[1:], axes=("body",)),
        "output 'heat' is no vector",
    ),
    "vectors of each and of all": (
        lambda: VectorsEncoding(CLOUD, (*PULL, *DIPOLE), axes=("body",)),
        "give all outputs or none the axis 'body'",
    ),
    "a bent vector": (
        lambda: VectorsEncoding(
            (CLOUD[0], replace(CLOUD[1], valid=(1.0, 2.0))),
            PULL,
            axes=("body",),
            transforms={"place": "log"},
        ),
        "field 'place' can't be transformed (log) by components",
    ),
    "no tensor": (
        lambda: TensorEncoding(GRADIENT, OUTPUTS[1:]),
        "maps one field (3, 3) to one field (3, 3) or (6,), not ((3, 3),) to ((),)",
    ),
    "a bent tensor": (
        lambda: TensorEncoding(
            (replace(GRADIENT[0], valid=(1.0, 2.0)),), STRESS, transforms={"gradient": "log"}
        ),
        "a tensor can't be transformed by components",
    ),
    "a path without a start": (lambda: RollOutEncoding(INPUTS, MOVING, {}), "has no start"),
    "a path without time": (
        lambda: RollOutEncoding(INPUTS, OUTPUTS, {"path": "start"}),
        "output 'heat' has no axis 'time'",
    ),
    "outputs of another length": (
        lambda: SequenceEncoding(
            (INPUTS[6],), (Field("heat", (FRAMES + 1,), axes=("time",)),), axes=("time",)
        ),
        "axis 'time' has length 6 in its inputs and [7] in its outputs",
    ),
    "paths of two lengths": (
        lambda: RollOutEncoding(
            INPUTS,
            (*MOVING, replace(MOVING[0], name="way", shape=(2, FRAMES + 1))),
            {"path": "start", "way": "start"},
        ),
        "axis 'time' has lengths [6, 7] in the outputs",
    ),
    "a start of another shape": (
        lambda: RollOutEncoding(INPUTS, MOVING, {"path": "mass"}),
        "'mass' is the start of 'path' but has shape (4,), not (2,)",
    ),
    "a start that isn't there": (
        lambda: RollOutEncoding(INPUTS, MOVING, {"path": "stard"}),
        "did you mean 'start'",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_told_at_once(name: str) -> None:
    make, words = WRONG[name]
    with pytest.raises(UserError) as told:
        make()
    assert words in str(told.value)


def test_what_varies_by_rounding_alone_is_constant() -> None:
    for value, kind in ((0.1, np.float64), (300.15, np.float64), (0.1, np.float32)):
        values = np.full((1000, 1), value, dtype=kind)
        for each in NORMALISATIONS.values():
            assert nonzero(each.scale(values)) == 1.0
        assert NORMALISATIONS["standard"].scale(values * np.linspace(1.0, 1.1, 1000)[:, None]) > 0.0
    field = Field("heat", unit="W")
    steady = {"heat": np.full(1000, 0.1)}
    found = NormalisedError((field,))({"heat": steady["heat"] + 1e-6}, steady, {})
    assert found["error"] == pytest.approx(1e-6)


@pytest.mark.parametrize("axes", [("body", "body", "kind"), ("kind", "body", "body")])
def test_edges_are_of_their_pair_wherever_the_nodes_axes_stand(axes: tuple[str, ...]) -> None:
    pair = np.arange(BODIES * BODIES, dtype=float).reshape(BODIES, BODIES)
    values = np.stack([pair, pair + 1000.0], axis=axes.index("kind"))
    edge = Field("distance", values.shape, axes=axes)
    encoding = GraphEncoding((INPUTS[2], edge), OUTPUTS, axes=("body",))
    found = encoding.between(edge, values[None])
    assert found[0, 1, 2].tolist() == [6.0, 1006.0]
