"""One driver for a run, on one machine and on several, whatever the file system's locks do."""

import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from problems import UserError
from search.interrupts import signals_as_interrupt
from search.run import lease as leases
from search.run.directory import RunDirectory
from search.run.lease import Lease, hold, new_lease, read_lease
from tests.builders import make_spec


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "HEARTBEAT_S", 0.05)
    monkeypatch.setattr(leases, "WATCHED_S", 1.0)
    monkeypatch.setattr(leases, "POLL_S", 0.02)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory.start(tmp_path / "run", make_spec())


def in_use(lease: Lease) -> UserError:
    return UserError(f"in use: {lease.description}")


def of_another_machine(**fields: object) -> Lease:
    return new_lease().model_copy(update={"host": "node7", "owner": "other", "job": "45"} | fields)


def without_locks(number: int) -> Any:
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return flock


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, None])
def test_a_driver_on_another_machine_is_seen_with_no_lock_or_a_local_one(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, number: int | None
) -> None:
    if number:
        monkeypatch.setattr(fcntl, "flock", without_locks(number))
    path, ended = run.folder / "driver.lease", threading.Event()

    def drive() -> None:
        beat = 0
        while not ended.wait(0.05):
            beat += 1
            path.with_name("new").write_text(of_another_machine(heartbeat=beat).model_dump_json())
            path.with_name("new").replace(path)

    driver = threading.Thread(target=drive)
    driver.start()
    try:
        while read_lease(path) is None:
            time.sleep(0.01)
        assert "on node7, job 45, last heard of" in str(run.driver())
        with pytest.raises(UserError, match="node7, job 45"), run.exclusive_lock():
            pass
    finally:
        ended.set()
        driver.join()
    with run.exclusive_lock():  # it is renewed no more, and is given up
        lease = read_lease(path)
        assert lease
        assert lease.process == os.getpid()
    assert not path.exists()


def test_a_clock_that_is_an_hour_off_makes_no_difference(tmp_path: Path) -> None:
    path = tmp_path / "driver.lease"
    for shift_s in (-3600.0, 3600.0):
        path.write_text(of_another_machine().model_dump_json())
        shifted_s = time.time() + shift_s
        os.utime(path, (shifted_s, shifted_s))
        began = time.monotonic()
        with hold(path, in_use):
            assert time.monotonic() - began >= leases.WATCHED_S


def test_a_driver_of_this_machine_that_died_is_replaced_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "WATCHED_S", 1000.0)
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    path = tmp_path / "driver.lease"
    path.write_text(new_lease().model_copy(update={"process": gone.pid}).model_dump_json())
    with hold(path, in_use):
        assert path.exists()


def test_of_many_that_want_a_given_up_lease_one_gets_it(tmp_path: Path) -> None:
    path = tmp_path / "driver.lease"
    path.write_text(of_another_machine().model_dump_json())
    holding, most, refused = 0, 0, 0
    lock, over = threading.Lock(), threading.Barrier(6)

    def contend() -> None:
        nonlocal holding, most, refused
        try:
            with hold(path, in_use):
                with lock:
                    holding += 1
                    most = max(most, holding)
                over.wait(60.0)
                with lock:
                    holding -= 1
        except UserError:
            refused += 1
            over.wait(60.0)

    threads = [threading.Thread(target=contend) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, refused) == (1, 5)
    assert not list(tmp_path.iterdir())


def test_a_driver_that_lost_its_lease_is_ended(tmp_path: Path) -> None:
    path, taken = tmp_path / "driver.lease", tmp_path / "taken"

    def drive() -> None:
        until = time.monotonic() + 30.0
        while time.monotonic() < until:  # the other driver renews it too
            taken.write_text(of_another_machine().model_dump_json())
            taken.replace(path)
            time.sleep(0.02)

    with signals_as_interrupt(), hold(path, in_use), pytest.raises(KeyboardInterrupt):
        drive()
    lease = read_lease(path)
    assert lease
    assert lease.owner == "other"
