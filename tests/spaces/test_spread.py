"""The spread of ensembles: the same outputs, the members' deviations, and intervals that cover."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from problems import Batch, Field, Split, UserError
from problems.interfaces.problem import Deployment
from spaces.candidate import Precision
from spaces.manifest import MANIFEST, WITHOUT_MEMBERS, read_manifest
from spaces.members import MEMBERS_FILE, MEMBERS_FOLDER
from spaces.precision import NUMBER_FORMATS
from spaces.registered import RUNTIMES
from spaces.spread import LEVELS, beyond, calibrate, deviations, members_variance
from spaces.surrogate import Surrogate
from tests.ensembles import (
    BATCH,
    OUTPUTS,
    Weather,
    exact_variances,
    weather,
    weather_split,
    write_ensemble,
)

SOON_S = 5.0
"""Runtimes that lower a network sooner are tried; compilers take as long for each member."""

DEPLOYMENTS = [
    (runtime, precision)
    for runtime in RUNTIMES
    for precision in (Precision.FP32, Precision.INT8)
    if RUNTIMES[runtime].lowering_time_s <= SOON_S and not RUNTIMES[runtime].cannot_lower(precision)
]

RunOnce = Callable[[str, Callable[[Path], object]], Path]


def stored(run_once: RunOnce, runtime: str, precision: Precision) -> Path:
    write = partial(write_ensemble, runtime=runtime, precision=precision)
    return run_once(f"ensemble {runtime} {precision}", write)


@pytest.fixture(scope="module")
def folder(run_once: RunOnce) -> Path:
    return stored(run_once, "eager", Precision.FP32)


@pytest.fixture(scope="module")
def ensemble(folder: Path) -> Surrogate:
    return Surrogate.load(folder, weather)


@pytest.mark.parametrize(("runtime", "precision"), DEPLOYMENTS)
def test_every_runtime_has_the_spread_of_its_members(
    run_once: RunOnce, runtime: str, precision: Precision
) -> None:
    surrogate = Surrogate.load(stored(run_once, runtime, precision), weather)
    inputs = weather_split(11, seed=2).inputs
    prediction = surrogate.run(inputs, np.random.default_rng(0), spread=True)
    plain = surrogate.run(inputs, np.random.default_rng(0))
    assert surrogate.members is not None
    calibration = surrogate.members.calibration
    variances = exact_variances(inputs)
    for field in OUTPUTS:
        np.testing.assert_array_equal(prediction.outputs[field.name], plain[field.name])
        deviation = prediction.deviations[field.name]
        assert deviation.shape == (11, *field.shape)
        weights = calibration.fields[field.name]
        residual = deviation**2 - weights.members**2 * variances[field.name]
        # What is left is the same for all samples; differences of members amplify rounding.
        tolerance = 4.0 * NUMBER_FORMATS[precision].tolerance
        assert (
            np.abs(residual - residual.mean(axis=0)).max() <= tolerance * (deviation**2).max() * 2.0
        )


@pytest.mark.parametrize("n", [0, 1, BATCH, 7])
def test_a_sample_has_its_deviation_in_every_batch(ensemble: Surrogate, n: int) -> None:
    inputs = {name: array[:n] for name, array in weather_split(7).inputs.items()}
    whole = ensemble.run(weather_split(7).inputs, spread=True).deviations
    for name, deviation in ensemble.run(inputs, spread=True).deviations.items():
        assert deviation.shape == whole[name][:n].shape
        np.testing.assert_allclose(deviation, whole[name][:n], rtol=1e-4)


def test_several_batch_sizes_have_members_for_the_largest(tmp_path: Path) -> None:
    several = replace(weather, deployment=Deployment(batches=(1, 2 * BATCH)))
    folder = write_ensemble(tmp_path / "e", "onnxruntime", problem=several)
    surrogate = Surrogate.load(folder, several)
    assert surrogate.members is not None
    assert surrogate.members.calibration.batch == 2 * BATCH
    assert {network.batch for network in surrogate.members.networks} == {2 * BATCH}


def test_equal_members_deviate_by_the_errors_alone(tmp_path: Path) -> None:
    surrogate = Surrogate.load(write_ensemble(tmp_path / "equal", equal=True), weather)
    for deviation in surrogate.run(weather_split(5).inputs, spread=True).deviations.values():
        np.testing.assert_array_equal(deviation, np.broadcast_to(deviation[0], deviation.shape))


def test_equal_outputs_have_no_variance_and_others_their_own() -> None:
    outputs = np.random.default_rng(0).standard_normal((5, 20, 3))
    equal = members_variance({"y": outputs[0]} for _ in range(5))
    assert not equal["y"].any()
    found = members_variance({"y": member} for member in outputs)
    np.testing.assert_allclose(found["y"], outputs.var(axis=0, ddof=1))


def drawn(n: int, rng: np.random.Generator) -> tuple[Batch, Batch, Split]:
    """Return outputs, variances between members, and the reference of n samples.

    Errors have a heavy tail and a scale that differs between samples and between values. Members
    know it roughly, and state it too small.
    """
    scale = 10.0 ** rng.uniform(-1.0, 1.0, (n, 1)) * np.array([1.0, 1e3, 1e-3])
    variances = (0.3 * scale) ** 2 * rng.chisquare(2, (n, 3)) / 2.0
    outputs = rng.standard_normal((n, 3))
    reference = outputs + scale * rng.standard_t(4, (n, 3))
    return {"y": outputs}, {"y": variances}, Split({"x": outputs}, {"y": reference})


def test_intervals_cover_what_they_state() -> None:
    rng = np.random.default_rng(1)
    validation, test = drawn(2000, rng), drawn(20000, rng)
    calibration, errors = calibrate(*validation, batch=1)
    outputs, variances, split = test
    found = deviations(variances, calibration, errors)["y"]
    distance = np.abs(split.outputs["y"] - outputs["y"]) / found
    for level, factor in zip(LEVELS, calibration.fields["y"].factors, strict=True):
        # The quantile of 6,000 values has a standard error below one point.
        assert (distance <= factor).mean() == pytest.approx(level, abs=0.03)
    constant = np.sqrt(np.mean((split.outputs["y"] - outputs["y"]) ** 2, axis=0))
    assert np.mean(np.log(found)) < np.mean(np.log(constant))  # sharper than one width for all


def test_a_field_without_errors_has_no_width() -> None:
    outputs = {"y": np.ones((5, 2))}
    calibration, errors = calibrate(outputs, {"y": np.zeros((5, 2))}, Split(outputs, outputs), 1)
    assert not deviations({"y": np.zeros((5, 2))}, calibration, errors)["y"].any()


def test_labels_have_a_deviation_and_no_interval(ensemble: Surrogate) -> None:
    prediction = ensemble.run(weather_split(2).inputs, spread=True)
    labelled = replace(
        prediction, calibration=prediction.calibration.model_copy(update={"fields": {}})
    )
    with pytest.raises(UserError, match="a label is 0 or 1"):
        labelled.interval()
    with pytest.raises(UserError, match=r"level=0\.95: intervals have the levels 0\.5, 0\.9"):
        prediction.interval(0.95)


def test_an_interval_holds_its_output_and_the_narrower_one(ensemble: Surrogate) -> None:
    prediction = ensemble.run(weather_split(20).inputs, spread=True)
    (low, high), (inner_low, inner_high) = prediction.interval(), prediction.interval(0.5)
    for name, output in prediction.outputs.items():
        assert (low[name] <= inner_low[name]).all()
        assert (inner_low[name] <= output).all()
        assert (output <= inner_high[name]).all()
        assert (inner_high[name] <= high[name]).all()


def test_one_network_and_an_older_ensemble_have_no_spread(folder: Path, tmp_path: Path) -> None:
    manifest = read_manifest(folder)
    values = json.loads(manifest.model_dump_json())
    older = tmp_path / "older"
    older.mkdir()
    kept = {name: digest for name, digest in manifest.files.items() if "members" not in name}
    for name in kept:
        (older / name).write_bytes((folder / name).read_bytes())
    old = values | {"format": WITHOUT_MEMBERS, "spread": None, "files": kept}
    (older / MANIFEST).write_text(json.dumps(old))
    inputs = weather_split(1).inputs
    with pytest.raises(UserError, match="an earlier version of simstead wrote it"):
        Surrogate.load(older, weather).run(inputs, spread=True)
    ensemble = Surrogate.load(folder, weather)
    assert Surrogate.load(older, weather).run(inputs).keys() == ensemble.run(inputs).keys()
    single = Surrogate(ensemble.encoding, ensemble.network, 0, ensemble.inputs, ensemble.outputs)
    with pytest.raises(UserError, match="this surrogate is one network; export an ensemble"):
        single.run(inputs, spread=True)
    with pytest.raises(UserError, match="this surrogate is one network"):
        single.run_or_simulate(inputs, Weather().run, {"lift": 1.0})


def test_members_are_files_of_the_artefact(folder: Path, tmp_path: Path) -> None:
    names = set(read_manifest(folder).files)
    assert MEMBERS_FILE in names
    assert sum(name.startswith(f"{MEMBERS_FOLDER}/") for name in names) >= 3
    altered = write_ensemble(tmp_path / "altered")
    (altered / MEMBERS_FOLDER / "1" / "network.safetensors").write_bytes(b"")
    with pytest.raises(
        UserError, match=r"members/1/network\.safetensors is missing or was altered"
    ):
        Surrogate.load(altered, weather)


def test_samples_beyond_the_threshold_are_those_of_the_simulation(ensemble: Surrogate) -> None:
    inputs = weather_split(40, seed=3).inputs
    called: list[int] = []

    def simulate(rows: Batch, rng: np.random.Generator) -> Batch:
        called.append(len(rows["heat"]))
        return Weather().run(rows, rng)

    prediction = ensemble.run(inputs, spread=True)
    threshold = float(np.median(prediction.deviations["lift"]))
    outputs, simulated = ensemble.run_or_simulate(inputs, simulate, {"lift": threshold})
    np.testing.assert_array_equal(simulated, prediction.deviations["lift"] > threshold)
    assert called == [int(simulated.sum())] == [20]
    exact = Weather().run(inputs, np.random.default_rng(0))["flux"]
    np.testing.assert_allclose(outputs["flux"][simulated], exact[simulated])
    np.testing.assert_array_equal(
        outputs["flux"][~simulated], prediction.outputs["flux"][~simulated]
    )
    none = ensemble.run_or_simulate(inputs, simulate, {"lift": np.inf, "flux": np.inf})
    assert not none.simulated.any()
    assert ensemble.run_or_simulate(inputs, simulate, {"flux": 0.0}).simulated.all()
    assert called == [20, 40]
    with pytest.raises(UserError, match="the simulation returned no 'flux'"):
        ensemble.run_or_simulate(inputs, lambda *_: {}, {"flux": 0.0})


FIELDS = (Field("y", (2,)), Field("z"))


def test_a_deviation_that_is_not_finite_is_beyond_every_threshold() -> None:
    found = {"y": np.array([[1.0, 2.0], [np.nan, 0.0], [np.inf, 0.0]]), "z": np.ones(3)}
    assert beyond(found, {"y": 3.0}, FIELDS).tolist() == [False, True, True]
    assert beyond(found, {"y": 1.5, "z": 1.0}, FIELDS).tolist() == [True, True, True]
    assert beyond(found, {"z": 1.0}, FIELDS).tolist() == [False, False, False]
    assert beyond({"y": np.ones((0, 2)), "z": np.ones(0)}, {"y": 1.0}, FIELDS).shape == (0,)


@pytest.mark.parametrize(
    ("thresholds", "words"),
    [
        ({}, "max_deviation is empty; give a number for one of y, z"),
        ({"x": 1.0}, "max_deviation: 'x' is no output; use y, z"),
        ({"y": -1.0}, "max_deviation of 'y' is -1.0; give a number of at least 0"),
        ({"y": np.nan}, "max_deviation of 'y' is nan"),
        ({"y": "1"}, "max_deviation of 'y' is '1'"),
    ],
)
def test_thresholds_are_refused_by_name(thresholds: dict[str, float], words: str) -> None:
    with pytest.raises(UserError) as told:
        beyond({"y": np.ones((1, 2)), "z": np.ones(1)}, thresholds, FIELDS)
    assert words in str(told.value)


def test_a_member_that_differs_from_its_recorded_call_is_refused(
    folder: Path, ensemble: Surrogate
) -> None:
    assert ensemble.members is not None
    swapped = replace(
        ensemble.members,
        lowering=replace(
            ensemble.members.lowering,
            candidate=ensemble.members.lowering.candidate.model_copy(
                update={
                    "architecture_settings": {
                        "width": 32,
                        "depth": 2,
                        "residual": False,
                        "activation": "relu",
                    }
                }
            ),
        ),
    )
    assert swapped.folder == folder
    with pytest.raises(UserError, match=r"the outputs of member 0 of .* differ by"):
        _ = swapped.networks
