import io
import math
import signal
import time
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from problems import InterruptedRunError, Problem, Size, UserError, load_problem
from problems.sources import ProblemSource
from search import driver, interrupts, joining
from search import session as search_session
from search.driver import SearchSession, run_search
from search.interrupts import (
    ending_in_time,
    kept_handlers,
    seconds_left,
    signals_as_interrupt,
)
from search.joining import JoinRequest, joined
from search.request import make_spec, restrictions_for
from search.run.directory import RunDirectory
from search.run.environment import collect_environment, machine_kind
from search.run.records import DatasetSummary
from search.run.spec import Spec
from search.search_options import SearchOptions
from search.session import search_problem
from spaces.restrictions import Restrictions
from spaces.user_restrictions import parse_restrictions

NOBODY = "127.0.0.1:1"
"""An address at which no cluster answers."""

FIRST, SECOND = ["runtime=eager,onnxruntime"], ["runtime=eager"]


def spec(problem: Problem, folder: Path, only: list[str]) -> Spec:
    restrictions = restrictions_for(problem, parse_restrictions(None, only, []), folder)
    asked: dict[str, Any] = {"size": "tiny", "seed": 0, "trials": 4, "workers": 1}
    return make_spec(problem, ProblemSource(problem.name, ""), restrictions=restrictions, **asked)


@pytest.fixture
def ctrl_c_ignored() -> Generator[None]:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c_ignored")
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGUSR1])
def test_a_batch_system_ends_what_a_script_put_in_the_background(sign: signal.Signals) -> None:
    before = signal.getsignal(sign)
    with pytest.raises(KeyboardInterrupt), signals_as_interrupt():
        signal.raise_signal(sign)
    assert signal.getsignal(sign) is before


def test_a_run_is_resumed_in_its_own_space(problem: Problem, tmp_path: Path) -> None:
    begun = spec(problem, tmp_path / "run", FIRST)
    RunDirectory.start(tmp_path / "run", begun)
    assert spec(problem, tmp_path / "run", []) == begun
    assert spec(problem, tmp_path / "run", ["runtime=onnxruntime,eager"]) == begun
    assert RunDirectory.start(tmp_path / "run", begun).spec().restrictions == begun.restrictions
    assert spec(problem, tmp_path / "other", []).restrictions == Restrictions()


def test_a_search_that_continues_a_run_tries_no_fewer_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = load_problem("planets", Size.TINY)
    RunDirectory.start(tmp_path / "run", spec(problem, tmp_path / "run", []))
    specs: list[Spec] = []
    monkeypatch.setattr(search_session, "run_search", lambda *values: specs.append(values[2]))
    for trials in (2, 6):
        options = SearchOptions(trials=trials, size=Size.TINY, run=tmp_path / "run")
        search_problem(
            ProblemSource(problem.name, ""), options, Console(file=io.StringIO()), lambda _: None
        )
    assert [wanted.trials for wanted in specs] == [4, 6]


@pytest.mark.parametrize(("begun", "other"), [(FIRST, SECOND), ([], SECOND)])
def test_another_space_is_another_search(
    problem: Problem, tmp_path: Path, begun: list[str], other: list[str]
) -> None:
    RunDirectory.start(tmp_path / "run", spec(problem, tmp_path / "run", begun))
    with pytest.raises(UserError, match="belongs to another search"):
        RunDirectory.start(tmp_path / "run", spec(problem, tmp_path / "run", other))


def test_what_a_long_reference_took_holds_for_later_sessions_on_such_a_processor(
    problem: Problem, tmp_path: Path
) -> None:
    run = RunDirectory.start(tmp_path / "run", spec(problem, tmp_path / "run", []))
    here = collect_environment()
    assert run.reference_s(here.processor) is None
    facts: dict[str, Any] = {
        "summary": "",
        "samples": {},
        "failed": {},
        "metrics": (),
        "exclusions": (),
    }
    run.write("data.json", DatasetSummary(**facts, reference_s=60.0, processor=here.processor))
    assert run.reference_s(here.processor) == 60.0
    assert run.reference_s("another") is None


def test_a_run_whose_space_is_not_to_be_had_is_told(problem: Problem, tmp_path: Path) -> None:
    lost = spec(problem, tmp_path / "run", []).model_copy(
        update={"restrictions": Restrictions(keep={"architecture": ("of another version",)})}
    )
    RunDirectory.start(tmp_path / "run", lost)
    with pytest.raises(UserError, match=r"run .*: unknown option of architecture"):
        spec(problem, tmp_path / "run", [])


@pytest.mark.parametrize("before", ["nothing", "a folder", "a run"])
def test_a_refused_address_leaves_what_was_there(tmp_path: Path, before: str) -> None:
    problem = load_problem("planets", Size.TINY)
    folder = tmp_path / "runs" / "first"
    if before == "a run":
        RunDirectory.start(folder, spec(problem, folder, []))
    elif before == "a folder":
        folder.mkdir(parents=True)
    there = sorted(tmp_path.rglob("*"))
    options = SearchOptions(size=Size.TINY, run=folder, address=NOBODY)
    source, console = ProblemSource(problem.name, ""), Console(file=io.StringIO())
    with pytest.raises(UserError, match=f"no Ray cluster answers at --address {NOBODY}"):
        search_problem(source, options, console, lambda _: None)
    assert sorted(tmp_path.rglob("*")) == there


def test_a_run_of_a_cluster_is_resumed_on_its_kind_alone(tmp_path: Path) -> None:
    problem, folder = load_problem("planets", Size.TINY), tmp_path / "first"
    run = RunDirectory.start(folder, spec(problem, folder, []))
    alone, source = JoinRequest(None, None, None, None), ProblemSource(problem.name, "")
    run.write("spec.json", run.spec().model_copy(update={"kind": "another, 4 cores"}))
    told = "measured on another, 4 cores, and this machine"
    with pytest.raises(UserError, match=told), joined(alone, source, problem, folder):
        pass
    run.write("spec.json", run.spec().model_copy(update={"kind": machine_kind()}))
    with joined(alone, source, problem, folder) as machine:
        assert machine is None


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_while_a_cluster_is_joined_interrupts_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sign: signal.Signals
) -> None:
    monkeypatch.setattr(joining, "connection", lambda *_: signal.raise_signal(sign))
    problem, folder = load_problem("planets", Size.TINY), tmp_path / "first"
    request, source = JoinRequest(NOBODY, None, None, None), ProblemSource(problem.name, "")
    with pytest.raises(KeyboardInterrupt), joined(request, source, problem, folder):
        pass
    RunDirectory.start(folder, spec(problem, folder, []))
    resume = f"simstead resume {folder}"
    with (
        pytest.raises(InterruptedRunError, match=resume),
        joined(request, source, problem, folder),
    ):
        pass


def test_a_signal_while_the_report_is_written_interrupts_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = load_problem("planets", Size.TINY)
    monkeypatch.setattr(driver, "search_and_evaluate", lambda *_: None)
    folder = tmp_path / "first"
    session = SearchSession(
        Console(file=io.StringIO()), lambda _: signal.raise_signal(signal.SIGUSR1)
    )
    with pytest.raises(InterruptedRunError, match=f"simstead resume {folder}"):
        run_search(
            problem, ProblemSource(problem.name, ""), spec(problem, folder, []), folder, session
        )
    assert RunDirectory.open(folder).stop_s() > 0.0


NOW = datetime(2026, 11, 30, 17, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("until", "hours", "left_s"),
    [
        (None, None, None),
        (None, 0.5, 1800.0),
        ("18:30", None, 5400.0),
        ("16:30", None, 23.5 * 3600.0),
        ("18:30", 0.5, 1800.0),
        ("2026-11-30T19:00:00+00:00", 24.0, 7200.0),
    ],
)
def test_the_time_left_is_that_of_the_earlier_limit(
    until: str | None, hours: float | None, left_s: float | None
) -> None:
    assert seconds_left(until, hours, NOW) == left_s


@pytest.mark.parametrize(
    ("until", "hours"),
    [("soon", None), ("2026-11-30T16:00:00+00:00", None), (None, 0.0), (None, math.inf)],
)
def test_a_limit_that_is_no_time_to_come_is_refused(until: str | None, hours: float | None) -> None:
    with pytest.raises(UserError, match=r"--until|--hours"):
        seconds_left(until, hours, NOW)


def test_a_search_ends_itself_before_its_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "STOP_S", 0.1)
    begin = time.monotonic()
    with (
        pytest.raises(KeyboardInterrupt),
        signals_as_interrupt() as received,
        ending_in_time(0.3, 0.0),
    ):
        time.sleep(30.0)
    assert received.first is not None
    assert time.monotonic() - begin < 20.0
    with signals_as_interrupt() as received, ending_in_time(0.3, 0.0):
        pass
    time.sleep(0.4)  # done before its time, it isn't ended any more
    assert received.first is None


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGUSR1])
def test_handlers_that_tune_leaves_behind_are_removed(sign: signal.Signals) -> None:
    before = signal.getsignal(sign)
    with kept_handlers(sign):
        signal.signal(sign, signal.SIG_IGN)
    assert signal.getsignal(sign) is before
