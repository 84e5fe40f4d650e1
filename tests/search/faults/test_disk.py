"""A disk that is full at any write, and files that are damaged when they are read again."""

import errno
import math
import os
import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from problems import UserError
from search.export import export
from search.final.evaluation import run_final_evaluation
from search.objectives.recommendation import select_finalists
from search.run.checkpoints import CorruptCheckpointError, load_checkpoint
from search.run.directory import RunDirectory
from search.run.records import NO_LIMITS, Record
from search.sampling import study
from search.timing.reference import verified_manifest
from search.trial import checkpointing
from search.trial.context import SearchContext
from search.trial.lifecycle import run_trial
from search.trial.record_builder import RungReport
from spaces.surrogate import Surrogate
from tests.builders import SMALL
from tests.search.faults.driver_here import Drive, watched
from tests.search.faults.ledger import TRIALS, Accounts, record_bytes, spread


class Disk:
    """A disk that is full from one write on: no file is opened, no folder made, a write is cut off.

    Args:
        folders: Where writes count.
        room: How many it has room for.
        seen: Whether one can see that it is full; of a quota one can't.
    """

    def __init__(self, *folders: Path, room: float = math.inf, seen: bool = True) -> None:
        self._folders, self._room, self._seen = folders, room, seen
        self.writes = 0

    def write(self, event: str, path: Path) -> None:
        if event in {"open", "os.mkdir", "os.symlink"}:
            self._another(path)

    def sync(self, file: int) -> None:
        try:
            self._another(Path(f"/proc/self/fd/{file}").readlink())
        except OSError:
            with suppress(OSError):  # it was opened to be read
                os.ftruncate(file, os.fstat(file).st_size - 1)
            raise

    def usage(self, _: Path) -> SimpleNamespace:
        return SimpleNamespace(free=0 if self._seen and self.writes > self._room else 2**40)

    def _another(self, path: Path) -> None:
        if not set(self._folders).isdisjoint(path.parents):
            self.writes += 1
            if self.writes > self._room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


@contextmanager
def filling(disk: Disk) -> Generator[Disk]:
    with watched(disk.write), pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", disk.sync)
        patch.setattr(shutil, "disk_usage", disk.usage)
        yield disk


@pytest.mark.usefixtures("no_fsync")
def test_a_disk_full_at_any_of_the_drivers_writes(
    account: Accounts, run_search: Drive, context: SearchContext, tmp_path: Path
) -> None:
    ledger = account("disk full at each of the driver's writes")
    begun = run_search(context, tmp_path / "begun", trials=1).folder
    whole = shutil.copytree(begun, tmp_path / "whole")
    with filling(Disk(whole)) as disk:
        run_search(context, whole)
    assert disk.writes > 20
    for place in spread(disk.writes):
        folder = shutil.copytree(begun, tmp_path / str(place))
        with filling(Disk(folder, room=place)), pytest.raises((OSError, UserError)):
            run_search(context, folder)
        with ledger.of(folder):
            run_search(context, folder)


@pytest.mark.usefixtures("no_fsync")
def test_a_journal_that_lost_its_end_costs_no_record(
    account: Accounts, run_search: Drive, context: SearchContext, tmp_path: Path
) -> None:
    ledger = account("journal that lost its last lines")
    run = run_search(context, tmp_path / "run")
    lines = run.journal.read_bytes().splitlines(keepends=True)
    for place in spread(len(lines)):
        folder = shutil.copytree(run.folder, tmp_path / str(place))
        (folder / "journal.log").write_bytes(b"".join(lines[:place]))
        with ledger.of(folder, TRIALS + 2):
            run_search(context, folder, trials=TRIALS + 2)


@pytest.mark.usefixtures("no_fsync")
def test_a_search_refused_for_want_of_space_can_be_begun_again(
    run_search: Drive, context: SearchContext, tmp_path: Path
) -> None:
    with filling(Disk(tmp_path / "run", room=-1)), pytest.raises(UserError, match="full disk"):
        run_search(context, tmp_path / "run")
    run_search(context, tmp_path / "run")


@pytest.mark.parametrize("seen", [True, False])
def test_a_disk_full_at_any_of_a_trials_writes(
    account: Accounts, run_search: Drive, real: SearchContext, tmp_path: Path, *, seen: bool
) -> None:
    ledger = account(f"{'disk full' if seen else 'quota used up'} at each of a trial's writes")
    begun = run_search(real, tmp_path / "begun", run_trial, trials=1).folder
    whole = shutil.copytree(begun, tmp_path / "whole")
    with filling(Disk(whole / "artefacts", whole / "trainings")) as disk:
        run_search(real, whole, run_trial, trials=2)
    assert disk.writes > 10
    for place in spread(disk.writes):
        folder = shutil.copytree(begun, tmp_path / str(place))
        full = Disk(folder / "artefacts", folder / "trainings", room=place, seen=seen)
        with filling(full), pytest.raises(OSError, match="No space left"):
            run_search(real, folder, run_trial, trials=2)
        with ledger.of(folder, 2):
            run_search(real, folder, run_trial, trials=2)


def flip_bit(data: bytes, place: int) -> bytes:
    """Return bytes one bit of which is another."""
    bit = 1 << place % 8
    return data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]


def corruptions(file: Path) -> Iterator[bytes]:
    """Yield what may become of a file: cut off, or with another bit."""
    data = file.read_bytes()
    for place in spread(len(data) - 1):
        yield data[:place]
        yield flip_bit(data, place)


def interrupt_training(context: SearchContext, *trial: Any) -> Iterator[RungReport | Record]:
    """A life whose driver is killed once it is at a rung and its checkpoint is written."""
    life = run_trial(context, *trial)
    yield next(life)
    yield next(life)
    raise KeyboardInterrupt


@pytest.mark.parametrize("kind", ["unfinished", "trained"])
def test_a_damaged_training_is_not_resumed(  # noqa: PLR0917 - fixtures
    account: Accounts,
    run_search: Drive,
    real: SearchContext,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    ledger = account({"unfinished": "checkpoint", "trained": "trained network"}[kind])
    ledger.fault += " damaged"
    monkeypatch.setattr(checkpointing, "CHECKPOINT_INTERVAL_S", 0.0)
    begun = run_search(real, tmp_path / "begun", run_trial, trials=1)
    if kind == "unfinished":
        with pytest.raises(KeyboardInterrupt):
            run_search(real, begun.folder, interrupt_training, trials=2)
        (file,) = begun.checkpoint_path(0).parent.glob("*.unfinished")
    else:
        file = begun.trained_network_path(0)
        for further in (record for record in begun.records() if record.training == 0):
            (begun.folder / "trials" / f"{further.number:04d}.json").unlink()
        monkeypatch.setattr(study, "next_deployment", lambda _, combinations, *__: combinations[0])
    for wrong in corruptions(file):
        file.write_bytes(wrong)
        with pytest.raises(CorruptCheckpointError):
            load_checkpoint(file)
        ledger.injected += 1
        ledger.carried_on += 1  # what is refused is refused alike, so one is resumed
        ledger.finished_before += len(record_bytes(begun.folder))
    with ledger.of(begun.folder, 2):
        run_search(real, begun.folder, run_trial, trials=2)
    if kind == "trained":
        assert any("0000.trained is damaged" in record.reason for record in begun.records())


@pytest.fixture
def whole(run_search: Drive, real: SearchContext, tmp_path: Path) -> RunDirectory:
    """A run that was searched to its end, but for its final evaluation."""
    return run_search(real, tmp_path / "whole", run_trial, trials=1)


def test_a_damaged_artefact_is_refused(
    account: Accounts,
    whole: RunDirectory,
    run_search: Drive,
    real: SearchContext,
    tmp_path: Path,
) -> None:
    ledger = account("artefact damaged")
    record = select_finalists(whole.records(), SMALL.objective.name, NO_LIMITS)[0]
    intact = verified_manifest(whole, record)
    with ledger.of(whole.folder, 2):
        for file in sorted(whole.artefact_path(record.number).iterdir()):
            data = file.read_bytes()
            for wrong in corruptions(file):
                file.write_bytes(wrong)
                with pytest.raises(UserError, match=f"{record.number:04d}"):
                    verified_manifest(whole, record)
                with pytest.raises(UserError, match=f"{record.number:04d}"):
                    export(whole, str(record.number), tmp_path / "out")
                assert not (tmp_path / "out").exists()
                ledger.injected += 1
                ledger.carried_on += 1
            file.write_bytes(data)
        assert verified_manifest(whole, record) == intact
        file = next(whole.artefact_path(record.number).glob("network*"))
        file.write_bytes(flip_bit(file.read_bytes(), 1000))
        with pytest.raises(UserError, match=f"{record.number:04d}.network"):
            Surrogate.load(whole.artefact_path(record.number), SMALL)
        alone = replace(real, run=whole)
        heat = run_final_evaluation(alone, whole, lambda *_: None)
        assert f"{record.number:04d}/network" in heat.left_out[f"trial {record.number}"]
        assert heat.finalist(record.number) is None
        assert heat.finalists
        run_search(real, whole.folder, run_trial, trials=2)
