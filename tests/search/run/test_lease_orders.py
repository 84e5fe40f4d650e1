"""Two drivers of one run, of which one was suspended: in whatever order they act, one goes on."""

import os
import random
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from problems import UserError
from search.run import lease as leases
from search.run.lease import Lease, new_lease, read_lease

ORDERS = 150
BEATS = 3
"""Heartbeats of each driver once both drive."""

CALLS = ("open", "link", "rename", "replace", "unlink")
"""Functions of `os` between which a driver may be suspended."""


class Participant(threading.Thread):
    """A driver that acts when it is told to, up to its next call of the file system."""

    def __init__(self, act: Callable[["Participant"], None]) -> None:
        super().__init__(daemon=True)
        self._act, self.over, self.ended, self.beats = act, False, False, 0
        self._go, self._arrived = threading.Semaphore(0), threading.Semaphore(0)

    def run(self) -> None:
        with suppress(UserError):
            self._act(self)
        self.over = True
        self._arrived.release()

    def pause(self) -> None:
        """Wait for the next turn."""
        self._arrived.release()
        self._go.acquire()

    def turn(self) -> None:
        """Let it act up to its next pause."""
        self._go.release()
        self._arrived.acquire()

    def begin(self) -> None:
        self.start()
        self._arrived.acquire()


class Beats:
    """In place of the event that ends a driver: it is over after some heartbeats of both."""

    def __init__(self, drivers: list[Participant]) -> None:
        self._drivers, self._set = drivers, False

    def wait(self, _: float) -> bool:
        current = participant()
        assert current
        current.beats += 1
        current.pause()
        return all(each.over or each.beats > BEATS for each in self._drivers)


def participant() -> Participant | None:
    thread = threading.current_thread()
    return thread if isinstance(thread, Participant) else None


@contextmanager
def suspended_at_calls(patch: pytest.MonkeyPatch) -> Generator[None]:
    """Have participants pause before each call of the file system, and note their end."""

    def pausing(call: Callable[..., Any]) -> Callable[..., Any]:
        def paused(*arguments: Any, **options: Any) -> Any:
            current = participant()
            if current and current.is_alive():
                current.pause()
            return call(*arguments, **options)

        return paused

    def end(*_: object) -> None:
        current = participant()
        assert current
        current.ended = True

    with patch.context() as context:
        for name in CALLS:
            context.setattr(os, name, pausing(getattr(os, name)))
        context.setattr(leases, "read_lease", pausing(read_lease))
        context.setattr(os, "kill", end)
        context.setattr(os, "fsync", lambda _: None)
        context.setattr(leases, "WATCHED_S", -1.0)  # the suspension has lasted for longer
        context.setattr(leases, "POLL_S", 0.0)
        yield


def of(owner: str) -> Lease:
    return new_lease().model_copy(update={"owner": owner, "host": "node7"})


def refuse(lease: Lease) -> UserError:
    return UserError(lease.owner)


def test_one_of_two_drivers_goes_on_whatever_the_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    survivors = {0: 0, 1: 0}
    for seed in range(ORDERS):
        path, order = tmp_path / f"{seed}.lease", random.Random(seed)  # noqa: S311 - the order of a test
        path.write_text(of("first").model_dump_json())
        drivers: list[Participant] = []
        ended: Any = Beats(drivers)

        def renew(_: Participant, path: Path = path, ended: Any = ended) -> None:
            leases.renew_lease(path, of("first"), ended)

        def replace(current: Participant, path: Path = path, ended: Any = ended) -> None:
            try:
                leases.take_lease(path, of("second"), refuse)
            except UserError:
                current.ended = True
                raise
            current.beats = 0
            leases.renew_lease(path, of("second"), ended)

        drivers += [Participant(renew), Participant(replace)]
        with suspended_at_calls(monkeypatch):
            for each in drivers:
                each.begin()
            while alive := [each for each in drivers if not each.over]:
                order.choice(alive).turn()
        (survivor,) = [i for i, each in enumerate(drivers) if not each.ended]
        lease = read_lease(path)
        assert lease
        assert lease.owner == ("first", "second")[survivor]
        survivors[survivor] += 1
    assert min(survivors.values()) > 0, "the orders that were drawn are one-sided"


def test_a_lease_that_is_renewed_at_the_last_moment_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "driver.lease"
    path.write_text(of("first").model_dump_json())
    reads = 0

    def then_renewed(path: Path) -> Lease | None:
        nonlocal reads
        reads, lease = reads + 1, read_lease(path)
        if lease and reads == 2:
            renewed = lease.model_copy(update={"heartbeat": 1})
            path.write_text(renewed.model_dump_json())
        return lease

    monkeypatch.setattr(leases, "read_lease", then_renewed)
    monkeypatch.setattr(leases, "WATCHED_S", -1.0)
    monkeypatch.setattr(leases, "POLL_S", 0.0)
    with pytest.raises(UserError, match="first"):
        leases.take_lease(path, of("second"), refuse)
    assert read_lease(path) == of("first").model_copy(update={"heartbeat": 1})


def test_a_driver_whose_lease_is_gone_was_replaced_by_one_that_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signals: list[int] = []
    monkeypatch.setattr(os, "kill", lambda _, number: signals.append(number))
    monkeypatch.setattr(leases, "HEARTBEAT_S", 0.0)
    monkeypatch.setattr(leases, "MISSING_S", 0.0)
    leases.renew_lease(tmp_path / "driver.lease", of("first"), threading.Event())
    assert signals == [signal.SIGTERM]
    assert not list(tmp_path.iterdir())
