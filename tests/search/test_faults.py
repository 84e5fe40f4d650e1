"""Faults, injected: nothing finished is lost, no trial is left running, the search is carried on.

`benchmarks/faults.py` runs these tests and prints what they noted.
"""

import errno
import io
import itertools
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from rich.console import Console

from problems import Dataset, UserError
from problems.data.dataset import generate
from search import driver
from search.export import export
from search.final.evaluation import run_final_evaluation
from search.objectives.baselines import NO_BASELINES
from search.objectives.recommendation import select_finalists
from search.progress import ProgressDisplay
from search.run.checkpoints import CorruptCheckpointError, load_checkpoint
from search.run.directory import RunDirectory
from search.run.journal import repair
from search.run.nodes import NodeState
from search.run.records import NO_LIMITS, Record, State, count_networks
from search.sampling import study
from search.timing.reference import ReferenceTiming, verified_manifest
from search.trial import checkpointing, deployment, preparation
from search.trial.context import SearchContext
from search.trial.lifecycle import run_trial
from search.trial.record_builder import RungReport
from search.trial.scoring import SplitScore
from search.trial.training import OptimiserStep
from search.workers.successive_halving import SuccessiveHalving
from search.workers.tune_adapter import StudySearcher
from spaces.candidate import Candidate
from spaces.restrictions import Restrictions
from spaces.surrogate import Surrogate
from tests.builders import SMALL, make_record, make_rung, make_spec
from tests.pairwise import session
from tests.search.conftest import HIDDEN, RayNodes, check_kinds, started_nodes, unshared
from tests.search.journals import stored_study

Life = Callable[[SearchContext, Candidate, int, int | None], Iterator[RungReport | Record]]
Drive = Callable[..., RunDirectory]
Accounts = Callable[[str], "FaultLedger"]
SIMSTEAD = Path(sys.executable).with_name("simstead")

PLACES = int(os.environ.get("SIMSTEAD_FAULT_PLACES", "8"))
"""Of the places where a fault may strike, so many are tried, spread evenly."""

NARROWING = Restrictions(keep={"architecture": ("mlp",), "runtime": ("eager",)})
TRIALS, DEPLOYMENTS, WORKERS = 3, 2, 2
MOMENTS = itertools.count()
"""No two records are alike: one that is written again is noticed."""


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


# A driver in this process, without Ray.


def run_sequentially(
    life: Life,
    context: SearchContext,
    searcher: StudySearcher,
    halving: SuccessiveHalving,
) -> None:
    """Do what Tune does: what the searcher has, a step of each in turn.

    Only who diverged is stopped at a rung: what faults do is looked at to the end.
    """
    lives = dict[str, Iterator[RungReport | Record]]()
    while not searcher.should_stop:
        while asked := searcher.suggest():
            name = str(asked.number)
            lives[name] = life(context, asked.candidate, asked.number, asked.training)
        if not lives:
            break
        for name in list(lives):
            event = next(lives[name])
            if isinstance(event, RungReport):
                as_result = event.as_result()
                searcher.on_trial_result(name, as_result)
                should_continue = halving.should_continue(
                    event.rung.share, event.rung.error, event.relative_time
                )
                if should_continue or math.isfinite(event.rung.error):
                    continue
            else:
                as_result = {"record": event.model_dump_json(), "done": True}
            searcher.on_trial_complete(name, as_result)
            del lives[name]
    if searcher.storage_error:
        raise searcher.storage_error


def instant_trial(
    context: SearchContext, candidate: Candidate, number: int, training: int | None = None
) -> Iterator[RungReport | Record]:
    """A life that takes no time: its figures hang on the candidate alone."""
    error, time_s = (1.0 / (1 + int(candidate.key[i : i + 4], 16)) for i in (0, 4))
    rung = make_rung(error)
    if training is None:
        yield RungReport(rung, time_s, {})
    fails = int(candidate.key[8], 16) < 4
    yield make_record(
        number,
        candidate,
        error=None if fails else error,
        time_s=None if fails else time_s,
        objective=context.problem.objective.name,
        training=training,
        state=State.INFEASIBLE if fails else State.COMPLETE,
        reason="as it happens" if fails else "",
        rungs=(rung,) if training is None else (),
        unpruned_error=error,
        untrained_relative_time=time_s,
        ended=str(next(MOMENTS)),
    )


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


WATCHING: list[Callable[[str, Path], None]] = []
"""Who is told of a process's own writes, before each: what is done, and where."""


def _tell(event: str, arguments: tuple[Any, ...]) -> None:
    if not WATCHING or event not in {
        "open", "os.rename", "os.remove", "os.symlink", "os.mkdir", "os.truncate", "shutil.rmtree",
    }:  # fmt: skip
        return
    if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
        return
    path = arguments[1] if event in {"os.rename", "os.symlink"} else arguments[0]
    if not isinstance(path, int):
        for watcher in WATCHING:
            watcher(event, Path(os.fsdecode(path)))


sys.addaudithook(_tell)


@contextmanager
def watched(watcher: Callable[[str, Path], None]) -> Generator[None]:
    WATCHING.append(watcher)
    try:
        yield
    finally:
        WATCHING.remove(watcher)


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


# The driver.


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


# The disk.


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


# Trials that are trained, in this process.


@pytest.fixture
def real(cache: Path, tmp_path: Path, constant_timing: None) -> SearchContext:  # noqa: ARG001 - it is set
    """The context of trials that are trained, scored and given a constant timing."""
    data = generate(SMALL, cache)
    return SearchContext(SMALL, data, ReferenceTiming(None, 1.0), NO_LIMITS, RunDirectory(tmp_path))


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


NOTHING: Any = None
NOT_SCORED = SplitScore(
    {}, np.zeros(0, dtype=bool), NOTHING, 0, {}, "", "error is nan, not a finite number"
)
WRONG = {
    "loss not a number": (OptimiserStep, "step", torch.tensor(math.nan)),
    "score not a number": (preparation, "score_split", NOT_SCORED),
    "score of what is deployed not a number": (
        deployment,
        "score_split",
        NOT_SCORED,
    ),
    "out of memory, preparing": (deployment, "initialise_learner", MemoryError("none left")),
    "out of memory, training": (OptimiserStep, "step", MemoryError("none left")),
    "out of memory, deploying": (deployment, "write_artefact", MemoryError("none left")),
    "out of memory, measuring": (deployment, "measure", MemoryError("none left")),
}
"""What goes wrong in a trial's own process: where, and what is raised or returned there."""


@pytest.mark.parametrize("fault", WRONG)
def test_what_goes_wrong_in_a_trial_ends_that_trial(  # noqa: PLR0917 - fixtures
    account: Accounts,
    run_search: Drive,
    real: SearchContext,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    ledger = account(fault)
    run = run_search(real, tmp_path / "run", run_trial, trials=1)
    owner, name, what = WRONG[fault]

    def wrong(*_: object, **__: object) -> object:
        if isinstance(what, Exception):
            raise what
        return what

    with ledger.of(run.folder, 3):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, wrong)
            run_search(real, run.folder, run_trial, trials=2)
        run_search(real, run.folder, run_trial, trials=3)
    first, second, third = (record for record in run.records() if record.training is None)
    assert (first.state, third.state) == (State.COMPLETE, State.COMPLETE)
    assert second.state is not State.COMPLETE
    assert second.reason


# What is read again.


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
    """A life whose driver is killed once it is at a rung and what it learned is put aside."""
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
    ledger = account({"unfinished": "course put aside", "trained": "trained network"}[kind])
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
    """A run that was searched to its end, but for its final heat."""
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


# Whole searches, with Ray.

FAULTY = """
import ctypes
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from problems import Samples
from problems.template.problem import problem as template
from search import watchdog
from search.final import evaluation
from search.workers import node_pool

watchdog.TIMEOUT_S = 10.0
node_pool.ABSENCE_S = 10.0
evaluation.TIME_BUDGET_S = 1.0
DUE = Path(__file__).with_name("due")
IN_A_WORKER = "default_worker" in sys.argv[0]


def sleeping():
    while True:
        time.sleep(0.1)


def holding_the_interpreter():
    ctypes.PyDLL(None).sleep(3600)


def out_of_memory():
    raise MemoryError("none left")


def killed():
    os.kill(os.getpid(), signal.SIGKILL)


def crashing():
    os.abort()


def score(predicted, reference, inputs):
    if IN_A_WORKER and "SLOW_NODE" in os.environ:
        time.sleep(2.0)
    for due in sorted(DUE.glob("*")) if IN_A_WORKER else ():
        with suppress(FileNotFoundError):  # another worker was quicker
            due.unlink()
            globals()[due.name]()
    return template.score(predicted, reference, inputs)


samples = Samples(train=32, validation=8, test=8, shifted=0)
problem = replace(
    template,
    name="faulty",
    score=score,
    shifted=None,
    samples=samples,
    epochs=4,
    standard_baselines=False,
)
"""
"""A user's problem whose trials go wrong as the names of files in `due`, beside it, say.

It shortens the limit of a hang and the wait for a node, in every process that loads it.
"""

PATIENT = FAULTY.replace("watchdog.TIMEOUT_S = 10.0\n", "")
"""The same without the limit of a hang."""

IN_A_TRIAL = {
    "sleeping": "hang in Python",
    "holding_the_interpreter": "hang in C that holds the interpreter",
    "out_of_memory": "out of memory in a trial, whole search",
    "killed": "worker killed, as a kernel out of memory does",
    "crashing": "worker crashed",
}
"""Faults by the names of their functions."""

ALIKE = (("sleeping", "holding_the_interpreter"), ("out_of_memory",), ("killed", "crashing"))
"""Faults that end alike: as a time limit, an exception and a death of the worker."""

WAIT_S = 300.0
"""A search on a busy machine does something within this time, or hangs."""

GRACE_S = 30.0
"""Between a batch system's signal and its SIGKILL; SLURM's KillWait."""


@pytest.fixture
def faulty_problem(tmp_path: Path) -> Path:
    file = tmp_path / "faulty.py"
    file.write_text(FAULTY)
    (tmp_path / "due").mkdir()
    return file


@contextmanager
def started(command_env: dict[str, str], *command: object) -> Generator[subprocess.Popen[str]]:
    """Start a command in a session of its own; what is left of it is killed in the end."""
    with subprocess.Popen(
        [*map(str, command)],
        env=command_env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as driver:
        try:
            yield driver
        finally:
            with suppress(ProcessLookupError):
                os.killpg(driver.pid, signal.SIGKILL)


def asked(file: Path, folder: Path, trials: int) -> list[object]:
    """Return the arguments of a search of trials that are quick."""
    return [
        "search", file, "--run", folder, "--trials", trials, "--deployments", 2, "--retrain", 0,
        "--only", "runtime=eager", "--only", "architecture=mlp",
    ]  # fmt: skip


def wait_for(driver: subprocess.Popen[str], look: Callable[[], bool]) -> None:
    """Wait until something is so, or the driver has ended."""
    until = time.monotonic() + WAIT_S
    while driver.poll() is None and not look():
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.01)


@pytest.mark.slow
def test_trials_that_time_out_or_die_end_with_a_reason(
    account: Accounts, faulty_problem: Path, command_env: dict[str, str], tmp_path: Path
) -> None:
    faults = [
        name
        for alike in ALIKE
        for name in (alike if session.whole else [random.SystemRandom().choice(alike)])
    ]
    ledgers = [account(IN_A_TRIAL[name]) for name in faults]
    folder = tmp_path / "run"
    trials = 2 * len(faults) + 2  # who is no match is never scored, and meets no fault
    with (
        started(command_env, SIMSTEAD, *asked(faulty_problem, folder, trials)) as driver,
        ExitStack() as stack,
    ):
        wait_for(driver, lambda: bool(record_bytes(folder)))
        for ledger in ledgers:
            stack.enter_context(ledger.of(folder, trials))
        for name in faults:
            (tmp_path / "due" / name).touch()
        _, err = driver.communicate(timeout=WAIT_S)
        assert driver.returncode == 0, err
    assert not list((tmp_path / "due").iterdir())
    records = RunDirectory.open(folder).records()
    reasons = [record.reason for record in records if record.state is State.INFEASIBLE]
    assert sum("its worker died" in reason for reason in reasons) >= len(faults) - 1
    assert sum("MemoryError" in reason for reason in reasons) == 1


@pytest.mark.slow
def test_a_driver_ended_at_random_moments(
    account: Accounts, faulty_problem: Path, command_env: dict[str, str], tmp_path: Path
) -> None:
    folder, journal = tmp_path / "run", tmp_path / "run" / "journal.log"
    trials = 6 if session.whole else 3
    signals = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGKILL]
    if not session.whole:
        signals = [random.SystemRandom().choice(signals)]

    def lines() -> int:
        return journal.read_bytes().count(b"\n") if journal.exists() else 0

    with ExitStack() as stack:
        for sign in signals:
            ledger = account(f"driver ended by {sign.name} at a random moment")
            moment = lines() + random.SystemRandom().randint(1, 8)
            with started(command_env, SIMSTEAD, *asked(faulty_problem, folder, trials)) as driver:
                wait_for(driver, lambda moment=moment: lines() >= moment)
                assert driver.poll() is None, "the search was over before its moment came"
                driver.send_signal(sign)  # to it alone: what Ray started is left behind
                _, err = driver.communicate(timeout=GRACE_S)
                if sign is not signal.SIGKILL:
                    assert driver.returncode == 85, err
                    assert f"resume with: simstead resume {folder}" in err
                    assert "Traceback" not in err
                stack.enter_context(ledger.of(folder, trials))
        with started(command_env, SIMSTEAD, "resume", folder) as driver:
            _, err = driver.communicate(timeout=WAIT_S)
            assert driver.returncode == 0, err
    assert RunDirectory.open(folder).final_evaluation() is not None


@contextmanager
def in_phase(
    phase: str, command_env: dict[str, str], *command: object
) -> Generator[subprocess.Popen[str]]:
    """Start a command, and wait until it is in a phase or has ended.

    Args:
        phase: Name of the phase.
        command_env: Environment of the command.
        *command: The command.
    """
    with subprocess.Popen(
        [*map(str, command)],
        env=command_env | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as driver:
        assert driver.stdout
        for line in driver.stdout:
            if line.startswith(f"{phase} "):
                break
        try:
            yield driver
        finally:
            with suppress(ProcessLookupError):
                os.killpg(driver.pid, signal.SIGKILL)


PHASES = ("data", "baselines", "trials", "validation", "retraining", "evaluation")


@pytest.mark.slow
def test_each_signal_ends_a_search_in_each_phase(
    command_env: dict[str, str], tmp_path: Path
) -> None:
    """Phases come in turn in one run; of their signals one is drawn for each."""
    folder, file = tmp_path / "run", tmp_path / "patient.py"
    file.write_text(PATIENT)
    search = [*asked(file, folder, 2), "--retrain", 1]
    signals = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1]
    chosen = PHASES if session.whole else random.SystemRandom().sample(PHASES[2:], 1)
    for phase in chosen:
        sign = random.SystemRandom().choice(signals)
        with in_phase(phase, command_env, SIMSTEAD, *search) as driver:
            driver.send_signal(sign)
            _, err = driver.communicate(timeout=WAIT_S)
        assert driver.returncode == 85, (phase, sign.name, err)
        assert f"resume with: simstead resume {folder}" in err
        assert "Traceback" not in err, (phase, sign.name)
        assert RunDirectory.open(folder).driver() is None


@pytest.mark.slow
@pytest.mark.cluster
def test_a_lost_node_costs_no_trial(account: Accounts, ray_nodes: RayNodes, tmp_path: Path) -> None:
    ledger = account("node lost")
    folder, trials = tmp_path / "run", 4
    (tmp_path / "patient.py").write_text(PATIENT)
    search = asked(tmp_path / "patient.py", folder, trials)
    with started(ray_nodes.env, SIMSTEAD, *search, "--address", ray_nodes.address) as driver:
        wait_for(driver, lambda: bool(record_bytes(folder)))
        with ledger.of(folder, trials):
            ray_nodes.kill(ray_nodes.second)
            _, err = driver.communicate(timeout=WAIT_S)
            assert driver.returncode == 0, err
    run = RunDirectory.open(folder)
    assert [record.reason for record in run.records() if record.stage == "worker"] == []
    assert {node.address: node.state for node in run.nodes().nodes} == {
        ray_nodes.first: NodeState.ADMITTED,
        ray_nodes.second: NodeState.GONE,
    }
    assert {record.node for record in run.records()} <= {ray_nodes.first, ray_nodes.second}
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.cluster
def test_a_node_lost_in_another_phase_costs_nothing_either(
    account: Accounts, ray_nodes: RayNodes, tmp_path: Path
) -> None:
    """The node comes back after each phase; of the phases one is drawn for each."""
    phases = ("data", "retraining", "evaluation")
    file = tmp_path / "patient.py"
    file.write_text(PATIENT)
    for phase in phases if session.whole else random.SystemRandom().sample(phases, 1):
        ledger, folder = account(f"node lost, in the phase {phase}"), tmp_path / phase
        search = [*asked(file, folder, 2), "--retrain", 1, "--seed", phases.index(phase)]
        env = ray_nodes.env | {"SIMSTEAD_CACHE": str(tmp_path / "cache")}
        joined = [SIMSTEAD, *search, "--address", ray_nodes.address]
        with in_phase(phase, env, *joined) as driver:
            before = record_bytes(folder)
            ledger.injected += 1
            ledger.finished_before += len(before)
            ray_nodes.kill(ray_nodes.second)
            _, err = driver.communicate(timeout=WAIT_S)
        assert driver.returncode == 0, err
        assert "Traceback" not in err
        assert "NodeDiedError" not in err
        run = RunDirectory.open(folder)
        assert run.final_evaluation() is not None
        assert [result.reason for result in run.retrainings().results if result.reason] == []
        assert set(run.data().failed.values()) == {0}
        after = record_bytes(folder)
        ledger.lost += sum(after.get(name) != record for name, record in before.items())
        ledger.left_running += left_running(folder)
        ledger.carried_on += count_networks(run.records()) == 2
        ray_nodes.start_second()


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.usefixtures("only_in_whole_runs")
def test_the_only_node_that_times_is_lost_and_comes_back(
    account: Accounts, nodes_of_two_kinds: RayNodes, tmp_path: Path
) -> None:
    ledger, nodes = account("only node that times lost"), nodes_of_two_kinds
    folder, trials, file = tmp_path / "run", 3, tmp_path / "patient.py"
    file.write_text(PATIENT)
    joined = ("--address", nodes.address)
    search = [*asked(file, folder, trials), *joined, "--kind", "Another processor"]
    with started(nodes.env, SIMSTEAD, *search) as driver:
        wait_for(driver, lambda: bool(record_bytes(folder)))
        with ledger.of(folder, trials):
            nodes.kill(nodes.second)
            _, err = driver.communicate(timeout=WAIT_S)
            assert driver.returncode == 3, err
            assert "the cluster has had no node to work on" in err
            assert "Traceback" not in err
            with started(nodes.env, SIMSTEAD, "resume", folder) as elsewhere:
                _, err = elsewhere.communicate(timeout=WAIT_S)
                assert elsewhere.returncode == 2, err
                assert "measured on another processor" in err
                assert "and this machine is another one" in err
            nodes.start_second()
            with started(nodes.env, SIMSTEAD, "resume", folder, *joined) as resumed:
                _, err = resumed.communicate(timeout=WAIT_S)
                assert resumed.returncode == 0, err
    run = RunDirectory.open(folder)
    assert [node.trains_only for node in run.nodes().nodes] == [True, False]
    assert run.data().processor == "another processor"
    check_kinds(run, run.spec().kind, nodes.first)


DISTURBED = {
    "slow node": "",
    "node that doesn't see the cache": "it doesn't see the cache",
    "node that doesn't see the problem": "it can't load the problem",
}
"""What is wrong with a node of a cluster, and why it then gets no work."""


@pytest.mark.slow
@pytest.mark.cluster
def test_a_node_that_is_slow_or_sees_too_little_costs_nothing(
    account: Accounts, command_env: dict[str, str], tmp_path: Path
) -> None:
    """Of the nodes one is drawn."""
    for fault in DISTURBED if session.whole else random.SystemRandom().sample([*DISTURBED], 1):
        here = tmp_path / fault.split()[-1]
        cache, file = here / "cache", here / "problem" / "patient.py"
        cache.mkdir(parents=True)
        file.parent.mkdir()
        file.write_text(PATIENT)
        hidden = cache if fault.endswith("cache") else file.parent
        before = unshared(HIDDEN, hidden) if DISTURBED[fault] else ["env", "SLOW_NODE=1"]
        ledger, folder, trials = account(fault), here / "run", 4
        with started_nodes(command_env | {"SIMSTEAD_CACHE": str(cache)}, before) as nodes:
            joined = [*asked(file, folder, trials), "--address", nodes.address]
            with started(nodes.env, SIMSTEAD, *joined) as driver:
                wait_for(driver, lambda folder=folder: bool(record_bytes(folder)))
                with ledger.of(folder, trials):
                    _, err = driver.communicate(timeout=WAIT_S)
        assert driver.returncode == 0, err
        assert "Traceback" not in err
        run = RunDirectory.open(folder)
        first, second = run.nodes().nodes
        assert first.state is NodeState.ADMITTED
        assert second.state is NodeState.REFUSED if DISTURBED[fault] else NodeState.ADMITTED
        assert second.reason.startswith(DISTURBED[fault])
        assert (first.lost, second.lost) == (0, 0)
        assert [record.reason for record in run.records() if record.stage == "worker"] == []
        assert set(run.data().failed.values()) == {0}
        kinds = {record.kind for record in run.records() if record.timing}
        assert kinds == {run.spec().kind}
        at_work = {first.address} if DISTURBED[fault] else {first.address, second.address}
        assert {record.node for record in run.records()} == at_work
