"""What becomes of a run that met a fault: whether trials are lost, left running, or carried on."""

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import optuna

from search.run.directory import RunDirectory
from search.run.records import count_networks
from tests.search.journals import stored_study

Accounts = Callable[[str], "FaultLedger"]

PLACES = int(os.environ.get("SIMSTEAD_FAULT_PLACES", "8"))
"""Of the places where a fault may strike, so many are tried, spread evenly."""

TRIALS = 3


def spread(places: int) -> list[int]:
    """Return the places to try."""
    few = min(places, PLACES)
    return [round(i * (places - 1) / max(few - 1, 1)) for i in range(few)]


def record_bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "trials").glob("*.json")}


def left_running(folder: Path) -> int:
    study = stored_study(folder / "journal.log")
    return len(study.get_trials(states=[optuna.trial.TrialState.RUNNING]))


@dataclass
class FaultLedger:
    """What a fault has done so far."""

    fault: str
    injected: int = 0
    finished_before: int = 0
    lost: int = 0
    left_running: int = 0
    carried_on: int = 0

    @contextmanager
    def of(self, folder: Path, trials: int = TRIALS) -> Generator[None]:
        """Count what a run has when the fault has struck, and what it has once it was resumed.

        Args:
            folder: Of the run.
            trials: Networks that were asked for.
        """
        before = record_bytes(folder)
        self.injected += 1
        self.finished_before += len(before)
        try:
            yield
        finally:
            after = record_bytes(folder)
            self.lost += sum(after.get(name) != record for name, record in before.items())
        self.left_running += left_running(folder)
        self.carried_on += count_networks(RunDirectory.open(folder).records()) == trials
