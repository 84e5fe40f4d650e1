"""Points of a file are listed by the probability of a class, where no reference can run them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from problems import (
    Array,
    Field,
    FlatEncoding,
    LabelEncoding,
    LabelScore,
    Predict,
    Problem,
    Recorded,
    UnknownNameError,
    UserError,
)
from problems.data.recorded import open_recorded
from search.screening.ranking import (
    RANKED_FILE,
    SUMMARY_FILE,
    RankingSummary,
    format_ranking,
    rank_points,
)
from search.screening.request import ScreeningRequest
from spaces.input_flags import training_ranges
from spaces.runtimes import FixedBatchPredictor
from spaces.surrogate import Surrogate

ROWS = 300
INPUTS = (Field("a", unit="1"), Field("b", unit="1"))


def network(rows: Array) -> Array:
    """Return probabilities of the class that the sum of both inputs decides."""
    return 1.0 / (1.0 + np.exp(-4.0 * rows.sum(axis=1, keepdims=True)))


@pytest.fixture
def problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Problem:
    monkeypatch.setenv("SIMSTEAD_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    table = pd.DataFrame({name: rng.normal(size=ROWS) for name in "ab"})
    table["kind"] = np.where(table["a"] + table["b"] > 0.0, "yes", "no")
    table["name"] = [f"n{i}" for i in range(ROWS)]
    table.to_csv(tmp_path / "table.csv", index=False)
    labels = {"kind": ("no", "yes")}
    data = Recorded(tmp_path / "table.csv", INPUTS, labels=labels, group="name")
    encodings = {"flat": LabelEncoding(data.inputs, data.outputs)}
    return Problem(name="t", data=data, encodings=encodings, score=LabelScore(data.outputs))


def surrogate_of(problem: Problem, folder: Path, predict: Predict = network) -> Surrogate:
    assert problem.data
    train = open_recorded(problem.data, None, folder / "fitted").train
    encoding = problem.encodings["flat"].fit(train)
    batches = FixedBatchPredictor(predict, 64)
    ranges = training_ranges(train.inputs)
    return Surrogate(encoding, batches, 0, problem.inputs, problem.outputs, ranges=ranges)


def points(folder: Path, **columns: Any) -> Path:
    path = folder / "new.csv"
    given = {"a": [0.5, -2.0, 2.0, np.nan], "b": [0.4, -1.0, 1.5, 0.0], **columns}
    pd.DataFrame(given).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("keep", [0, 1, "no", "yes"])
def test_the_most_probable_points_come_first(
    keep: str | int, problem: Problem, tmp_path: Path
) -> None:
    path = points(tmp_path, name=["p", "q", "r", "s"])
    request = ScreeningRequest(sweep=path, keep=keep, keep_recall=0.9)
    surrogate, folder = surrogate_of(problem, tmp_path), tmp_path / "list"
    summary = rank_points(problem, surrogate, "hash", request, folder)
    listed = pd.read_csv(folder / RANKED_FILE)
    word = ("no", "yes")[keep] if isinstance(keep, int) else keep
    column = f"kind: {word}"
    assert list(listed.columns) == ["row", "name", column, "decision", "flags"]
    assert list(listed["name"]) == (list("rpqs") if word == "yes" else list("qprs"))
    assert (np.array(list("pqrs"))[listed["row"] - 1] == listed["name"]).all()
    assert listed[column].head(3).is_monotonic_decreasing
    assert listed["decision"].iloc[-1] == "unknown", "the point without a is answered by nobody"
    assert listed["flags"].iloc[-1] == "a missing"
    kept = np.array(listed[column]) >= summary.threshold.score
    assert list(listed["decision"].head(3)) == ["keep" if k else "skip" for k in kept[:3]]
    assert (summary.points, summary.unknown, summary.kept) == (4, 1, int(kept.sum()))
    assert RankingSummary.read(folder / SUMMARY_FILE) == summary
    assert summary.recall.low <= summary.recall.value <= summary.recall.high
    text = "\n".join(format_ranking(summary))
    assert "1 without an answer" in text
    assert "nothing was run" in text


def test_one_of_several_classes_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMSTEAD_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    table = pd.DataFrame({name: rng.normal(size=ROWS) for name in "ab"})
    table["kind"] = np.array(["low", "middle", "high"])[np.digitize(table["a"], (-0.5, 0.5))]
    table.to_csv(tmp_path / "table.csv", index=False)
    data = Recorded(tmp_path / "table.csv", INPUTS, labels={"kind": ("low", "middle", "high")})
    encodings = {"flat": LabelEncoding(data.inputs, data.outputs)}
    three = Problem(name="t", data=data, encodings=encodings, score=LabelScore(data.outputs))
    surrogate = surrogate_of(three, tmp_path, thirds)
    request = ScreeningRequest(sweep=points(tmp_path), keep="middle", keep_recall=0.9)
    summary = rank_points(three, surrogate, "", request, tmp_path / "list")
    assert summary.keep == (1, "middle")
    listed = pd.read_csv(tmp_path / "list" / RANKED_FILE)
    nearest = listed["kind: middle"].dropna()
    assert nearest.is_monotonic_decreasing
    assert listed["row"].iloc[0] == 1, "the point whose first input is nearest to zero"
    with pytest.raises(UserError, match=r"3 classes.*--keep low\|middle\|high"):
        rank_points(three, surrogate, "", request._replace(keep=None), tmp_path / "other")


def thirds(rows: Array) -> Array:
    """Return probabilities of three classes, which the first input decides."""
    logits = np.stack([-4.0 * rows[:, 0], 2.0 - 4.0 * abs(rows[:, 0]), 4.0 * rows[:, 0]], axis=1)
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


def test_points_need_not_say_to_which_group_they_belong(problem: Problem, tmp_path: Path) -> None:
    request = ScreeningRequest(sweep=points(tmp_path))
    rank_points(problem, surrogate_of(problem, tmp_path), "", request, tmp_path / "list")
    assert "name" not in pd.read_csv(tmp_path / "list" / RANKED_FILE)


MISTAKES: dict[str, tuple[dict[str, Any], type[UserError], str]] = {
    "no file": ({"sweep": None}, UserError, "--sweep points.csv"),
    "an audit": ({"audit": 20}, UserError, "--audit needs a simulation"),
    "drawn points": ({"points": 9, "sweep": None}, UserError, "--points needs a simulation"),
    "another label": ({"label": "colour"}, UnknownNameError, "colour"),
    "another class": ({"keep": "maybe"}, UnknownNameError, "--keep.*'maybe'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_names_its_option(mistake: str, problem: Problem, tmp_path: Path) -> None:
    options, error, words = MISTAKES[mistake]
    request = ScreeningRequest(sweep=points(tmp_path))._replace(**options)
    with pytest.raises(error, match=words):
        rank_points(problem, surrogate_of(problem, tmp_path), "", request, tmp_path / "list")


def test_a_folder_in_use_and_a_surrogate_of_numbers_are_refused(
    problem: Problem, tmp_path: Path
) -> None:
    request, surrogate = ScreeningRequest(sweep=points(tmp_path)), surrogate_of(problem, tmp_path)
    with pytest.raises(UserError, match="--out"):
        rank_points(problem, surrogate, "", request, tmp_path)
    plain = replace(surrogate, encoding=FlatEncoding(problem.inputs, problem.outputs))
    with pytest.raises(UserError, match="not the probability of a label"):
        rank_points(problem, plain, "", request, tmp_path / "list")
