"""`simstead dashboard`: Optuna's dashboard on a copy of the study."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import optuna
import pytest
from optuna.storages import JournalStorage

from problems import UserError
from search.commands.dashboard import serve_dashboard
from search.commands.study_copy import StudyCopy
from search.run.directory import RunDirectory
from search.run.journal import JournalBackend
from tests.builders import make_spec

SIMSTEAD = Path(sys.executable).with_name("simstead")


class Search:
    """A search that is being driven: its run and its study.

    Args:
        folder: The run directory.
    """

    def __init__(self, folder: Path) -> None:
        self.run = RunDirectory.start(folder, make_spec())
        self._backend = JournalBackend(self.run.journal)
        self._study = optuna.create_study(
            storage=JournalStorage(self._backend),
            study_name="simstead",
            directions=["minimize", "minimize"],
        )

    def try_network(self) -> None:
        trial = self._study.ask()
        trial.suggest_float("training.learning_rate", 1e-4, 1e-2)
        self._study.tell(trial, [0.1, 0.01])
        self._backend.flush()


@pytest.fixture
def search(tmp_path: Path) -> Search:
    search = Search(tmp_path / "run")
    search.try_network()
    return search


def trials_of(storage: JournalStorage) -> int:
    return len(optuna.load_study(study_name="simstead", storage=storage).trials)


def test_a_copy_follows_the_journal_by_whole_lines(search: Search, tmp_path: Path) -> None:
    copy = StudyCopy(search.run.journal, tmp_path / "copy.log")
    storage = copy.open()
    assert trials_of(storage) == 1
    names = optuna.load_study(study_name="simstead", storage=storage).metric_names
    assert names == ["log10 of the error", "log10 of the relative time"]
    search.try_network()
    whole = search.run.journal.read_bytes()
    search.run.journal.write_bytes(whole[:-5])
    copy.update()
    trials_of(storage)
    search.run.journal.write_bytes(whole)
    copy.update()
    assert trials_of(storage) == 2
    assert search.run.journal.read_bytes() == whole


def test_a_run_without_trials_is_told(tmp_path: Path) -> None:
    pytest.importorskip("optuna_dashboard")
    run = RunDirectory.start(tmp_path / "run", make_spec())
    with pytest.raises(UserError, match="has no trial yet"):
        serve_dashboard(run, 0, lambda _: None)


def test_without_the_extra_the_message_says_how_to_install_it(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    with pytest.raises(UserError, match=r"needs optuna-dashboard.*'\.\[dashboard\]'"):
        serve_dashboard(search.run, 0, lambda _: None)


def test_a_port_in_use_is_refused(search: Search) -> None:
    pytest.importorskip("optuna_dashboard")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UserError, match=r"can't be used .*address already in use"):
            serve_dashboard(search.run, taken.getsockname()[1], lambda _: None)


@pytest.fixture
def dashboard(search: Search) -> Generator["subprocess.Popen[str]"]:
    pytest.importorskip("optuna_dashboard")
    command = [str(SIMSTEAD), "dashboard", str(search.run.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_the_dashboard_shows_the_study_and_changes_nothing(
    search: Search, dashboard: "subprocess.Popen[str]"
) -> None:
    assert dashboard.stdout is not None
    address = dashboard.stdout.readline().split()[1]
    assert address.startswith("http://127.0.0.1:")
    with urlopen(address) as page:  # noqa: S310 - our own
        assert b"Optuna Dashboard" in page.read()
    with urlopen(f"{address}/api/studies") as answer:  # noqa: S310
        (study,) = json.load(answer)["study_summaries"]
    assert study["study_name"] == "simstead"
    journal = search.run.journal.read_bytes()
    deletion = Request(f"{address}/api/studies/{study['study_id']}", method="DELETE")  # noqa: S310
    with pytest.raises(HTTPError, match="405"):
        urlopen(deletion)  # noqa: S310
    search.try_network()
    assert search.run.journal.read_bytes().startswith(journal)
    with urlopen(f"{address}/api/studies/{study['study_id']}?after=0") as answer:  # noqa: S310
        assert len(json.load(answer)["trials"]) == 2
    dashboard.send_signal(signal.SIGINT)
    assert dashboard.wait(60.0) == 0
