"""`simstead status --watch`: what it shows, and when it ends."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from problems import Metric
from search.commands import watch
from search.commands.status import RunStatus, format_status, read_status
from search.run.directory import RunDirectory
from search.run.records import DatasetSummary, Occupancy
from tests.builders import make_record, make_spec


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """The run of a search of 8 networks, of which 3 have ended, one each minute."""
    run = RunDirectory.start(tmp_path / "run", make_spec(trials=8))
    metric = Metric(name="error", unit="1", description="")
    summary = DatasetSummary(
        summary="", samples={"train": 4}, failed={}, metrics=(metric,), exclusions=()
    )
    run.write("data.json", summary)
    for number in range(3):
        ended = f"2026-11-30T12:{10 + number:02}:00+00:00"
        run.save_record(make_record(number, error=0.1, time_s=0.01, ended=ended))
    return run


def test_the_time_left_is_told_while_a_process_drives_the_run(run: RunDirectory) -> None:
    assert not any(line.startswith("time left") for line in format_status(read_status(run)))
    with run.exclusive_lock():
        assert "time left    about 5 min 00 s for the trials" in format_status(read_status(run))


def test_busy_workers_are_counted_while_a_process_drives_the_run(run: RunDirectory) -> None:
    run.write("workers.json", Occupancy(busy=2, workers=3))
    assert not any(line.startswith("workers") for line in format_status(read_status(run)))
    with run.exclusive_lock():
        assert "workers      2 of 3 busy" in format_status(read_status(run))


def test_it_is_watched_until_no_process_drives_it(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "INTERVAL_S", 0.0)
    with run.exclusive_lock():
        states = [read_status(run)] * 2
    states.append(read_status(run))
    read: list[RunStatus] = []

    def next_state() -> RunStatus:
        read.append(states[len(read)])
        return read[-1]

    asked: list[int] = []

    def describe_jobs() -> list[str]:
        asked.append(len(read))
        return ["job          7: running"]

    output = io.StringIO()
    watch.watch_status(Console(file=output), next_state, format_status, describe_jobs)
    assert len(read) == 3
    assert asked == [0, 3]  # the batch system is asked seldom, and at the end
    assert "interrupted; resume with" in output.getvalue()
    assert "job          7: running" in output.getvalue()


def test_ctrl_c_ends_the_watching_alone() -> None:
    def interrupted() -> RunStatus:
        raise KeyboardInterrupt

    output = io.StringIO()
    watch.watch_status(Console(file=output), interrupted, format_status, list[str])
    assert "the search continues" in output.getvalue()
