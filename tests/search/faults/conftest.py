"""Drivers and problems that meet faults, and the ledgers in which those are entered."""

import io
import os
from collections.abc import Callable, Generator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from problems import Dataset
from problems.data.dataset import generate
from search import driver
from search.objectives.baselines import NO_BASELINES
from search.progress import ProgressDisplay
from search.run.directory import RunDirectory
from search.run.records import NO_LIMITS
from search.timing.reference import ReferenceTiming
from search.trial.context import SearchContext
from tests.builders import SMALL, make_spec
from tests.search.faults.driver_here import (
    DEPLOYMENTS,
    NARROWING,
    WORKERS,
    Drive,
    Life,
    instant_trial,
    run_sequentially,
)
from tests.search.faults.ledger import TRIALS, FaultLedger
from tests.search.faults.whole_searches import FAULTY


@pytest.fixture
def account(
    record_property: Callable[[str, object], None],
) -> Generator[Callable[[str], FaultLedger]]:
    """Open accounts; they must be even when the test ends."""
    opened: list[FaultLedger] = []

    def new(fault: str) -> FaultLedger:
        opened.append(FaultLedger(fault))
        return opened[-1]

    yield new
    for each in opened:
        for name, value in vars(each).items():
            record_property(name, value)
    for each in opened:
        even = FaultLedger(each.fault, each.injected, each.finished_before, 0, 0, each.injected)
        assert each.injected
        assert each == even


@pytest.fixture
def context(tmp_path: Path) -> SearchContext:
    """The context of trials that are neither trained nor scored."""
    nothing: Any = SimpleNamespace()
    data = Dataset(nothing, nothing, nothing, nothing)
    return SearchContext(SMALL, data, ReferenceTiming(None, 1.0), NO_LIMITS, RunDirectory(tmp_path))


@pytest.fixture
def run_search(monkeypatch: pytest.MonkeyPatch) -> Drive:
    """Search in a folder, or go on there, in this process."""

    def run_search(
        context: SearchContext, folder: Path, life: Life = instant_trial, trials: int = TRIALS
    ) -> RunDirectory:
        monkeypatch.setattr(driver, "run_trials", partial(run_sequentially, life))
        spec = make_spec(
            SMALL, trials=trials, workers=WORKERS, deployments=DEPLOYMENTS, restrictions=NARROWING
        )
        run = RunDirectory.start(folder, spec)
        progress = ProgressDisplay(SMALL, trials, Console(file=io.StringIO()))
        with run.exclusive_lock():
            driver.run_remaining_trials(
                replace(context, run=run), spec, run, progress, lambda _: NO_BASELINES
            )
        return run

    return run_search


@pytest.fixture
def no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the disk: what these tests write need not outlive the machine."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def real(cache: Path, tmp_path: Path, constant_timing: None) -> SearchContext:  # noqa: ARG001 - it is set
    """The context of trials that are trained, scored and given a constant timing."""
    data = generate(SMALL, cache)
    return SearchContext(SMALL, data, ReferenceTiming(None, 1.0), NO_LIMITS, RunDirectory(tmp_path))


@pytest.fixture
def faulty_problem(tmp_path: Path) -> Path:
    file = tmp_path / "faulty.py"
    file.write_text(FAULTY)
    (tmp_path / "due").mkdir()
    return file
