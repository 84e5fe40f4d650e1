"""A diagnosis of a run from before the fields of learning curves were renamed is still read."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from problems import UserError
from problems.diagnosis import SymmetryKind
from search.run.directory import RunDirectory

CURVE = {
    "points": [[64, 0.5], [128, 0.25]],
    "samples": 128,
    "validation": 16,
    "law": {"floor": 0.0, "scale": 32.0, "exponent": 1.0, "misfit": 0.0},
    "now": 0.25,
    "at_double": 0.125,
    "at_quadruple": 0.0625,
    "gain": 0.5,
    "explained": 1.0,
}
OLD: dict[str, Any] = {
    "problem": "old",
    "samples": [["train", 128], ["validation", 16]],
    "host": {
        "fraction": 1.0,
        "kernel_s": 1.0,
        "total_s": 1.0,
        "calls": 1,
        "measured": True,
        "kernel": "kernel",
        "parts": [["kernel", 1.0]],
        "bounds": [[math.inf, math.inf]],
    },
    "relation": {
        "samples": 128,
        "dimension": 1,
        "inputs_explained": 1.0,
        "reach": 0.1,
        "overall": None,
        "fields": [],
        "constant": [],
        "deterministic": True,
        "repeats": 8,
        "reason": "a reason",
    },
    "correlations": {
        "samples": 128,
        "inputs": ["x"],
        "outputs": ["y"],
        "matrix": [[1.0]],
        "among_inputs": [[1.0]],
        "strongest": [{"first": "x", "second": "y", "value": 1.0}],
        "strongest_inputs": [],
        "constant_inputs": [],
        "constant_outputs": [],
        "left_out": 0,
    },
    "enough": {"curve": CURVE, "break_even": None, "reason": ""},
    "symmetries": {
        "findings": [
            {
                "name": "a turn",
                "kind": "quarter turn",
                "axis": "x",
                "holds": True,
                "discrepancy": 0.0,
                "field": "y",
                "samples": 8,
                "failed": 0,
                "invalid": [],
                "reason": "",
                "advice": "",
            }
        ],
        "tolerance": 1e-6,
        "reason": "",
    },
    "suggestions": [{"layout": "flat", "target": "value", "why": "a reason"}],
    "remarks": ["A remark."],
}


def run_with(text: str, folder: Path) -> RunDirectory:
    (folder / "diagnosis.json").write_text(text)
    return RunDirectory(folder)


def test_an_old_diagnosis_is_read(tmp_path: Path) -> None:
    run = run_with(json.dumps(OLD), tmp_path)
    diagnosis = run.diagnosis()
    assert diagnosis is not None
    assert diagnosis.enough.curve is not None
    assert diagnosis.enough.curve.error_at_double == 0.125
    assert diagnosis.enough.curve.error_at_quadruple == 0.0625
    assert diagnosis.symmetries.findings[0].kind is SymmetryKind.QUARTER_TURN
    assert diagnosis.host is not None
    assert diagnosis.host.bounds == ((math.inf, math.inf),)
    run.add_diagnosis(diagnosis)
    assert run.diagnosis() == diagnosis


@pytest.mark.parametrize("text", ["{", "{}", "\udcff"])
def test_a_malformed_diagnosis_is_a_user_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "diagnosis.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UserError, match="can't be read"):
        RunDirectory(tmp_path).diagnosis()
