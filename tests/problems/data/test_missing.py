"""Missing inputs are counted and told; they are left out, or replaced by medians with masks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from problems import (
    Array,
    Dataset,
    Encoding,
    Field,
    FlatEncoding,
    Grid1DEncoding,
    NormalisedError,
    Problem,
    Recorded,
    SequenceEncoding,
    SetEncoding,
    Split,
    UserError,
)
from problems.contract import CHECKS, Evidence, run_checks
from problems.data.missing import MISSING_CHOICES, describe_missing, filled_dataset
from problems.data.recorded import check_recorded, open_recorded
from problems.data.recorded_declaration import recorded_identity
from search.trial.distillation import interpolated_inputs
from spaces.input_flags import training_ranges
from spaces.runtimes import FixedBatchPredictor
from spaces.surrogate import Surrogate

N = 200
INPUTS = (Field("a", unit="1"), Field("b", unit="1", valid=(0.0, 100.0)))
OUTPUTS = (Field("y", unit="1"),)
FILL = -9999.0


def columns(share: float, seed: int = 0) -> dict[str, Array]:
    """Return samples of which this share lacks the input a, and none another one."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=N), rng.uniform(1.0, 9.0, N)
    y = a + b
    a[rng.permutation(N)[: round(share * N)]] = np.nan
    return {"a": a, "b": b, "y": y}


def write(folder: Path, ending: str, table: Mapping[str, Array]) -> Path:
    path = folder / f"table{ending}"
    if ending == ".nc":
        filled = {name: ("n", np.where(np.isnan(x), FILL, x)) for name, x in table.items()}
        marked = {name: {"_FillValue": FILL} for name in table}
        # The values are written as they are, and a reader that decodes finds them missing.
        dataset = xr.Dataset({k: (dim, x, marked[k]) for k, (dim, x) in filled.items()})
        dataset.to_netcdf(path, engine="scipy")
    elif ending == ".parquet":
        pd.DataFrame(table).to_parquet(path)
    else:
        pd.DataFrame(table).to_csv(path, index=False)
    return path


def recorded(folder: Path, share: float, *, ending: str = ".csv", **options: Any) -> Recorded:
    return Recorded(write(folder, ending, columns(share)), INPUTS, OUTPUTS, **options)


def opened(source: Recorded, folder: Path) -> Dataset:
    return open_recorded(source, None, folder / "cache")


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".nc"])
@pytest.mark.parametrize("choice", MISSING_CHOICES)
def test_the_choice_decides_what_becomes_of_the_samples(
    choice: str, ending: str, tmp_path: Path
) -> None:
    source = recorded(tmp_path, 0.2, ending=ending, missing=choice)
    data = opened(source, tmp_path)
    a = np.concatenate([split.inputs["a"] for split in data.splits().values()])
    lacking = round(0.2 * N)
    kept = choice == "median+mask"
    assert (len(a), int(np.isnan(a).sum())) == ((N, lacking) if kept else (N - lacking, 0))
    assert data.missing == {"a": lacking}
    (line,) = describe_missing(source.inputs, data)
    assert line.startswith("missing values: a in 40 of 200 samples (20 %); ")
    assert ("median" if kept else "left out") in line


def test_few_samples_are_left_out_by_themselves_and_told(tmp_path: Path) -> None:
    source = recorded(tmp_path, 0.05)
    data = opened(source, tmp_path)
    assert sum(map(len, data.splits().values())) == round(0.95 * N)
    assert describe_missing(source.inputs, data) == [
        "missing values: a in 10 of 200 samples (5.0 %); samples without a are left out"
    ]
    assert describe_missing(source.inputs, opened(recorded(tmp_path, 0.0), tmp_path)) == []


REFUSED: dict[str, tuple[float, dict[str, Any], tuple[str, ...]]] = {
    "no choice": (0.06, {}, ("table.csv", "'a' in 12", "12 of 200 samples (6.0 %)", *(
        f"missing={choice!r}" for choice in MISSING_CHOICES
    ))),
    "most are missing, and masked": (
        0.6, {"missing": "median+mask"}, ("input 'a'", "120 of 200", "leave it out of inputs="),
    ),
    "most are missing, and left out": (0.6, {"missing": "drop"}, ("input 'a'", "120 of 200")),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_too_many_missing_values_are_refused(case: str, tmp_path: Path) -> None:
    share, options, words = REFUSED[case]
    with pytest.raises(UserError) as raised:
        opened(recorded(tmp_path, share, **options), tmp_path)
    assert all(word in str(raised.value) for word in words)
    assert "\n" not in str(raised.value)


def test_an_unknown_choice_is_refused(tmp_path: Path) -> None:
    (message,) = check_recorded(recorded(tmp_path, 0.0, missing="median"))
    assert "missing=" in message
    assert "median+mask" in message


def test_what_is_infinite_or_lacks_its_output_fails(tmp_path: Path) -> None:
    table = columns(0.1)
    table["a"][3], table["y"][5] = np.inf, np.nan
    path = write(tmp_path, ".csv", table)
    data = opened(Recorded(path, INPUTS, OUTPUTS, missing="median+mask"), tmp_path)
    assert data.reasons == {"a is not finite": 1, "y is not finite": 1}


def test_an_input_of_classes_may_be_missing(tmp_path: Path) -> None:
    table = columns(0.0)
    words = np.array(["s", "p", None], dtype=object)[np.arange(N) % 3]
    path = write(tmp_path, ".csv", {**table, "kind": words})  # type: ignore[dict-item]
    inputs = (*INPUTS, Field("kind"))
    source = Recorded(path, inputs, OUTPUTS, labels={"kind": ("s", "p")}, missing="median+mask")
    data = opened(source, tmp_path)
    pairs = FlatEncoding(source.inputs, OUTPUTS).fit(data.train).pairs(data.train)
    assert pairs.inputs.shape[1] == 4, "two numbers, a class, and its mask"
    assert np.isfinite(pairs.inputs).all()


def test_other_data_keep_their_identity(tmp_path: Path) -> None:
    parameters = recorded_identity(recorded(tmp_path, 0.0))["parameters"]
    assert "missing" not in parameters
    assert set(parameters["inputs"][0]) == {
        "name", "shape", "unit", "axes", "valid", "description"
    }  # fmt: skip


LINE = ("x",)
ALONG = (
    Field("h", (4,), "m", LINE, may_be_missing=True),
    Field("c", (), "1", may_be_missing=True),
)
ALONG_OUTPUTS = (Field("q", (4,), "m", LINE),)
SCALARS = tuple(Field(f.name, unit="1", valid=f.valid, may_be_missing=True) for f in INPUTS)

ENCODINGS: dict[str, Encoding] = {
    "flat": FlatEncoding(SCALARS, OUTPUTS),
    "flat, transformed": FlatEncoding(SCALARS, OUTPUTS, transforms={"b": "square root"}),
    "flat, of arrays": FlatEncoding(ALONG, ALONG_OUTPUTS),
    "sequence": SequenceEncoding(ALONG, ALONG_OUTPUTS, axes=LINE),
    "grid": Grid1DEncoding(ALONG, ALONG_OUTPUTS, axes=LINE),
}


def split_of(encoding: Encoding, share: float, seed: int = 0) -> Split:
    rng = np.random.default_rng(seed)
    inputs = {f.name: rng.uniform(1.0, 9.0, (N, *f.shape)) for f in encoding.inputs}  # type: ignore[attr-defined]
    for array in inputs.values():
        array[rng.random(array.shape) < share] = np.nan
    outputs = {f.name: rng.normal(size=(N, *f.shape)) for f in encoding.outputs}  # type: ignore[attr-defined]
    return Split(inputs, outputs)


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_network_reads_the_median_of_the_training_samples_and_a_mask(name: str) -> None:
    unfitted = ENCODINGS[name]
    train, other = split_of(unfitted, 0.2), split_of(unfitted, 0.4, seed=1)
    encoding = unfitted.fit(train)
    pairs = encoding.pairs(other)
    channels = pairs.inputs.shape[-1] // 2
    values, masks = pairs.inputs[..., :channels], pairs.inputs[..., channels:]
    assert np.isfinite(pairs.inputs).all()
    assert set(np.unique(masks)) == {0.0, 1.0}
    for channel in range(channels):
        replaced = values[..., channel][masks[..., channel] == 1.0]
        assert len(np.unique(replaced)) == 1, "one median"
    # Other samples say nothing about the medians, and a mask is where a value is missing.
    again = encoding.pairs(other.take(np.arange(3)))
    np.testing.assert_array_equal(again.inputs, pairs.inputs[:3])
    one = next(iter(other.inputs))
    missing = np.isnan(other.inputs[one])
    assert missing.any()
    changed = {**other.inputs, one: np.where(missing, 5.0, other.inputs[one])}
    with_value = encoding.pairs(Split(changed, other.outputs)).inputs[..., channels:]
    assert with_value.sum() < masks.sum()


def test_the_median_is_that_of_the_training_samples() -> None:
    a = np.array([1.0, 2.0, np.nan, 30.0, 2.5, np.nan])
    train = Split({"a": a, "b": np.ones(6)}, {"y": np.arange(6.0)})
    encoding = FlatEncoding(SCALARS, OUTPUTS).fit(train)
    asked = {"a": np.array([np.nan, 2.25, np.inf]), "b": np.array([1.0, 1.0, np.nan])}
    rows = encoding.pairs(Split(asked, {"y": np.zeros(3)})).inputs
    assert rows.shape == (3, 3), "the mask of b, which is never missing, would teach nothing"
    assert rows[0, 0] == rows[1, 0]
    assert rows[:, 2].tolist() == [1.0, 0.0, 0.0]
    assert not np.isfinite(rows[2, 0]), "infinite isn't missing"
    assert np.isfinite(rows[2, 1])


def test_inputs_that_cannot_be_missing_cost_no_channel() -> None:
    split = split_of(FlatEncoding(INPUTS, OUTPUTS), 0.0)
    plain = FlatEncoding(INPUTS, OUTPUTS).fit(split)
    assert set(plain.statistics) == {
        "input_centre", "input_scale", "output_centre", "output_scale"
    }  # fmt: skip
    np.testing.assert_array_equal(
        plain.pairs(split).inputs, FlatEncoding(SCALARS, OUTPUTS).fit(split).pairs(split).inputs
    )


def test_what_has_no_substitute_refuses_such_inputs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'h' may be missing.*missing='drop'"):
        SetEncoding(ALONG, ALONG_OUTPUTS, axes=LINE)
    source = recorded(tmp_path, 0.2, missing="median+mask")
    with pytest.raises(UserError, match=r"encoding 'flat': its input 'a' .* data\.inputs"):
        problem_of(source, FlatEncoding(INPUTS, OUTPUTS))


def problem_of(source: Recorded, encoding: Encoding) -> Problem:
    return Problem(
        name="gaps", data=source, encodings={"flat": encoding}, score=NormalisedError(OUTPUTS)
    )


def test_a_problem_with_missing_values_passes_the_checks(tmp_path: Path) -> None:
    source = recorded(tmp_path, 0.2, missing="median+mask")
    evidence = Evidence(problem_of(source, FlatEncoding(source.inputs, OUTPUTS)), tmp_path)
    results = list(run_checks(lambda name: CHECKS[name].violations(evidence)))
    assert [result.violations for result in results if result.violations] == []


def test_numbers_stand_in_where_distances_are_needed(tmp_path: Path) -> None:
    source = recorded(tmp_path, 0.2, missing="median+mask")
    data = opened(source, tmp_path)
    median = np.nanmedian(data.train.inputs["a"])
    for split in filled_dataset(data, source.inputs).splits().values():
        assert np.isfinite(split.inputs["a"]).all()
    missing = np.isnan(data.test.inputs["a"])
    filled = filled_dataset(data, source.inputs).test.inputs["a"]
    assert (filled[missing] == median).all()
    assert filled_dataset(data, INPUTS) is data
    between = interpolated_inputs(data.train.inputs, 50, np.random.default_rng(0))
    assert np.isfinite(between["b"]).all()
    assert 0 < np.isnan(between["a"]).sum() < 50
    low, high = training_ranges(data.train.inputs)["a"]
    assert np.isfinite([low, high]).all()


@pytest.mark.parametrize("batch", [1, 4])
def test_a_missing_value_is_answered_and_flagged_and_an_infinite_one_is_not(batch: int) -> None:
    train = split_of(ENCODINGS["flat"], 0.2)
    network = FixedBatchPredictor(lambda rows: np.nan_to_num(rows[:, :1], nan=7.0), batch)
    encoding = ENCODINGS["flat"].fit(train)
    surrogate = Surrogate(
        encoding, network, 0, SCALARS, OUTPUTS, ranges=training_ranges(train.inputs)
    )
    inputs = {"a": np.array([2.0, np.nan, np.inf]), "b": np.array([3.0, 3.0, 3.0])}
    outputs, flags = surrogate.run(inputs, flags=True)
    assert np.isnan(outputs["y"]).tolist() == [False, False, True]
    assert flags.any.tolist() == [False, True, True]
    assert flags.texts()[:2] == ["", "a missing, replaced"]
    assert flags.missing["a"].tolist() == [False, False, True]
    assert any("a median is in its place" in line for line in flags.counts())
