"""Values that stand for missing ones are noticed in any number of samples, others are not."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from problems import (
    Field,
    FlatEncoding,
    NormalisedError,
    Problem,
    ReadOptions,
    Recorded,
    Target,
    UserError,
)  # fmt: skip
from problems.contract import CHECKS, Evidence
from problems.data.dataset import check_values, generate
from problems.data.sentinels import Extremes
from problems.diagnosis import diagnose

N = 2000
INPUTS, OUTPUTS = (Field("a"), Field("b")), (Field("y"),)


def values() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    a, b = rng.uniform(1, 9, N), rng.uniform(0, 5, N)
    return {"a": a, "b": b, "y": 3 * a + 2 * b}


def problem(folder: Path, table: Mapping[str, np.ndarray], **changes: Any) -> Problem:
    rows = np.stack(list(table.values()), axis=1)
    np.savetxt(folder / "d.csv", rows, "%.12g", ",", header=",".join(table), comments="")
    source = replace(Recorded(folder / "d.csv", INPUTS, OUTPUTS, cost_s=1.0), **changes)
    return Problem(
        name="sentinels",
        data=source,
        encodings={"flat": FlatEncoding(INPUTS, OUTPUTS)},
        score=NormalisedError(OUTPUTS),
    )


@pytest.mark.parametrize("sentinel", [-9999.0, -999.0, 9999.0, 1e20, -1e30, 99999.0, 12345678.0])
def test_a_sentinel_is_refused_with_remedies_that_work(sentinel: float, tmp_path: Path) -> None:
    table = values()
    table["y"][[7, 300, 301, 900, 1999]] = sentinel
    found = problem(tmp_path, table)
    data = generate(found, tmp_path)
    with pytest.raises(UserError, match=r"'y' holds .*\(5 times\)") as raised:
        check_values(found, data)
    violations = CHECKS["values_are_plausible"].violations(Evidence(found, tmp_path))
    assert violations[0] in str(raised.value)
    assert f"read=ReadOptions(missing=({sentinel!r},))" in violations[0]
    for remedy in (
        {"read": ReadOptions(missing=(sentinel,))},
        {"outputs": (Field("y", valid=(0.0, 100.0)),)},
    ):
        mended = problem(tmp_path, table, **remedy)
        data = generate(mended, tmp_path)
        check_values(mended, data)
        assert sum(data.failed.values()) == 5
    meant = (Field("y", valid=(-1e38, 1e38)),)
    mended = problem(tmp_path, table, outputs=meant)
    data = generate(mended, tmp_path)
    check_values(mended, data)
    assert not data.reasons


def test_a_diagnosis_names_sentinels_and_proposes_no_distribution(tmp_path: Path) -> None:
    table = {name: array[:120] for name, array in values().items()}
    table["y"][[7, 30, 31, 90]] = -9999.0
    found = problem(tmp_path, table)
    diagnosis = diagnose(found, generate(found, tmp_path))
    assert "-9999 (4 times)" in diagnosis.remarks[0]
    assert diagnosis.suggestions[0].target is Target.VALUE
    assert "outliers of y" in diagnosis.suggestions[0].why


def test_a_diagnosis_names_an_outlier(tmp_path: Path) -> None:
    table = {name: array[:120] for name, array in values().items()}
    table["y"][:3] = 4567.8  # in the training split, at least one of them
    found = problem(tmp_path, table)
    diagnosis = diagnose(found, generate(found, tmp_path))
    assert "outliers: 4567.8" in diagnosis.remarks[0]


def usual() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        "uniform": rng.uniform(size=N),
        "lognormal": rng.lognormal(sigma=3.0, size=N),
        "pareto": rng.pareto(1.5, N),
        "mostly zero": np.where(rng.uniform(size=N) < 0.8, 0.0, rng.lognormal(size=N)),
        "clipped": np.minimum(rng.lognormal(size=N), 3.0),
        "switch": (rng.uniform(size=N) < 0.1).astype(float),
        "three values": rng.choice([-1.0, 0.0, 1.0], N),
        "grid in decades": rng.choice([1.0, 1e2, 1e4, 1e6], N),
        "a percentage": rng.integers(0, 100, N).astype(float),
        "years": rng.integers(1900, 2000, N).astype(float),
        "constant": np.full(N, -9999.0),
        "nearly constant": np.where(np.arange(N) == 5, 9.0, 7.0),
        "temperatures": rng.normal(280.0, 10.0, N),
    }


@pytest.mark.parametrize("name", usual())
def test_usual_values_are_no_sentinels(name: str) -> None:
    extremes = Extremes()
    for part in np.split(usual()[name], 4):
        extremes.update(part)
    assert not extremes.suspects(below=True, above=True)


def test_extremes_do_not_depend_on_the_parts() -> None:
    array = np.concatenate([[-9999.0] * 3, np.linspace(0, 1, 50), [-9999.0, 1e30, 1e30]])
    for parts in (1, 2, 7, 28):
        extremes = Extremes()
        for part in np.array_split(array, parts):
            extremes.update(part)
        assert extremes.suspects(below=True, above=True) == [(-9999.0, 4), (1e30, 2)]
        assert extremes.range_without([-9999.0, 1e30]) == (0.0, 1.0)


@pytest.mark.parametrize("rows", [3, 10, 22])
def test_too_few_rows_are_told_with_the_number_that_is_enough(rows: int, tmp_path: Path) -> None:
    table = {name: array[:rows] for name, array in values().items()}
    with pytest.raises(UserError, match=rf"of {rows} in the files; record at least 27 samples"):
        generate(problem(tmp_path, table), tmp_path)
    generate(problem(tmp_path, {k: v[:27] for k, v in values().items()}), tmp_path)


def test_an_output_that_varies_in_one_row_only_is_refused(tmp_path: Path) -> None:
    table = {name: array[:200] for name, array in values().items()}
    table["y"] = np.where(np.arange(200) == 5, 9.0, 7.0)
    found = problem(tmp_path, table)
    with pytest.raises(
        UserError, match=r"no output varies in the .* split \(y is 7 in each of its"
    ):
        check_values(found, generate(found, tmp_path))
    violations = CHECKS["values_are_plausible"].violations(Evidence(found, tmp_path))
    assert "no output varies" in violations[0]
