"""A driver that is killed, a journal that is torn, and results that are told twice."""

import itertools
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from problems import UserError
from search.run.journal import repair
from search.trial.context import SearchContext
from search.workers.tune_adapter import StudySearcher
from tests.search.faults.driver_here import Drive, watched
from tests.search.faults.ledger import TRIALS, Accounts, FaultLedger, record_bytes, spread


def states(run_search: Drive, context: SearchContext, folder: Path) -> list[Path]:
    """Search once; return what a driver that was killed before each of its writes would leave."""
    run, load_checkpoint = folder / "run", list[Path]()
    seen: set[tuple[tuple[str, bytes], ...]] = set()

    def keep(_: str, path: Path) -> None:
        if run not in path.parents or not (run / "journal.log").exists():
            return
        content = {
            str(file.relative_to(run)): file.read_bytes()
            for file in run.rglob("*")
            if file.is_file() and not file.is_symlink()
        }
        if (state := tuple(sorted(content.items()))) not in seen:
            seen.add(state)
            load_checkpoint.append(folder / f"{len(load_checkpoint):04d}")
            shutil.copytree(
                run, load_checkpoint[-1], ignore=shutil.ignore_patterns("*.lock*", "*.lease*")
            )

    with watched(keep):
        run_search(context, run)
    return load_checkpoint


@pytest.mark.usefixtures("no_fsync")
def test_a_driver_killed_before_any_of_its_writes(
    account: Accounts, run_search: Drive, context: SearchContext, tmp_path: Path
) -> None:
    ledger = account("driver killed before each of its writes")
    left = states(run_search, context, tmp_path)
    for place in spread(len(left)):
        with ledger.of(left[place]):
            run_search(context, left[place])


@pytest.mark.usefixtures("no_fsync")
def test_a_journal_torn_at_any_byte(
    account: Accounts, run_search: Drive, context: SearchContext, tmp_path: Path
) -> None:
    ledger = account("journal torn at each byte of an ask or tell")
    left = states(run_search, context, tmp_path)
    journals = [(folder / "journal.log").read_bytes() for folder in left]
    written = [i for i, (a, b) in enumerate(itertools.pairwise(journals)) if len(a) < len(b)]
    for place in spread(len(written)):
        whole, after = journals[written[place]], journals[written[place] + 1]
        lines = after[len(whole) :].splitlines(keepends=True)
        tried = spread(len(lines))
        for number, line in enumerate(lines):
            if number in tried:
                tear_line(ledger, run_search, context, left[written[place]], whole, line)
            whole += line


def tear_line(  # noqa: PLR0917 - what is torn, and where
    ledger: FaultLedger,
    run_search: Drive,
    context: SearchContext,
    left: Path,
    whole: bytes,
    line: bytes,
) -> None:
    """Tear a line at each byte: it alone is cut off, and what is left is resumed."""
    folder = shutil.copytree(left, left.with_name(f"{left.name}-{len(whole)}"))
    finished = len(record_bytes(folder))
    for end in range(1, len(line)):
        (folder / "journal.log").write_bytes(whole + line[:end])
        repair(folder / "journal.log")
        assert (folder / "journal.log").read_bytes() == whole
    (folder / "journal.log").write_bytes(whole + line[:-1])
    with ledger.of(folder):
        run_search(context, folder)
    # Wherever the line was torn, it is this journal that is resumed.
    ledger.injected += len(line) - 2
    ledger.carried_on += len(line) - 2
    ledger.finished_before += finished * (len(line) - 2)


@pytest.mark.usefixtures("no_fsync")
def test_a_driver_killed_while_it_held_the_journal(
    account: Accounts,
    run_search: Drive,
    context: SearchContext,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger = account("driver killed while it held the journal")
    run = run_search(context, tmp_path / "run")
    (run.folder / "journal.log.lock").symlink_to(run.journal)
    ticks = itertools.count()
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(time, "monotonic", lambda: float(next(ticks)))
    with ledger.of(run.folder, TRIALS + 1):
        run_search(context, run.folder, trials=TRIALS + 1)


@pytest.mark.usefixtures("no_fsync")
def test_a_record_that_is_lost_is_tried_again(
    account: Accounts, run_search: Drive, context: SearchContext, tmp_path: Path
) -> None:
    ledger = account("record gone that the journal knows of")
    run = run_search(context, tmp_path / "run")
    for record in run.records():
        folder = shutil.copytree(run.folder, tmp_path / str(record.number))
        (folder / "trials" / f"{record.number:04d}.json").unlink()
        with ledger.of(folder):
            run_search(context, folder)


@pytest.mark.usefixtures("no_fsync")
def test_a_trial_told_twice_by_tune(
    account: Accounts,
    run_search: Drive,
    context: SearchContext,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger = account("result told twice by Tune")
    run = run_search(context, tmp_path / "run", trials=1)
    as_result, rung = StudySearcher.on_trial_complete, StudySearcher.on_trial_result

    def twice(self: StudySearcher, name: str, *result: Any, **kind: Any) -> None:
        as_result(self, name, *result, **kind)
        before = record_bytes(run.folder)
        as_result(self, name, *result, **kind)
        as_result(self, name, error=True)
        if "rung" in result[0]:
            rung(self, name, result[0])
        assert record_bytes(run.folder) == before

    monkeypatch.setattr(StudySearcher, "on_trial_complete", twice)
    with ledger.of(run.folder):
        run_search(context, run.folder)


@pytest.mark.usefixtures("no_fsync")
def test_two_drivers_on_one_run(
    account: Accounts, run_search: Drive, context: SearchContext, tmp_path: Path
) -> None:
    ledger = account("two drivers on one run")
    run = run_search(context, tmp_path / "run", trials=1)
    with ledger.of(run.folder):
        with run.exclusive_lock(), pytest.raises(UserError, match="in use by another search"):
            run_search(context, run.folder)
        run_search(context, run.folder)
