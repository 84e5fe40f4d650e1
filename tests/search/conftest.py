"""What tests of the search share."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from search.run.directory import RunDirectory
from search.run.records import State
from search.trial import deployment
from tests.builders import make_timing
from tests.pairwise import session

HIDDEN = 'mount -t tmpfs none "$0" && exec "$@"'
"""A shell command that runs the others with an empty folder in place of one of all nodes."""

AS_ANOTHER = 'mount --bind "$0" /proc/cpuinfo && exec "$@"'
"""A shell command that runs the others as if on another processor."""


@pytest.fixture
def only_in_whole_runs() -> None:
    """Skip what would take CI too long."""
    if not session.whole:
        pytest.skip("a minute or more, of which other tests try the parts: runs in make test-all")


@pytest.fixture
def constant_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every trial of this process be timed by a clock that says one thing."""
    timing = make_timing(time_s=1e-6, reference_s=1e-3)
    monkeypatch.setattr(deployment, "measure", lambda *_: timing)


class RayNodes:
    """A Ray cluster of two nodes of one core, on loopback addresses, with a token.

    Args:
        folder: Folder of all its files; its name is in the command line of all its processes.
        env: The environment of commands.
        before: A command that runs the one that starts the second node.
    """

    def __init__(self, folder: Path, env: dict[str, str], before: Sequence[str] = ()) -> None:
        self.folder = folder
        token = folder / "token"
        token.touch(0o600)
        token.write_text(secrets.token_hex(32))
        self.env = {**env, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
        network = f"127.{os.getpid() % 200 + 1}.{secrets.randbelow(250)}"
        self.first, self.second = f"{network}.1", f"{network}.2"
        self._start(self.first, "--head", "--port=0", "--include-dashboard=false")
        self.address = (folder / self.first / "ray_current_cluster").read_text()
        self._before = before

    def start_second(self) -> None:
        """Start the second node, for the first time or once it was killed."""
        self._start(self.second, f"--address={self.address}", before=self._before)

    def _start(self, address: str, *options: str, before: Sequence[str] = ()) -> None:
        ray = Path(sys.executable).with_name("ray")
        command = [*before, ray, "start", "--num-cpus=1", "--object-store-memory=100000000"]
        command += ["--include-log-monitor=false", "--disable-usage-stats", "--log-style=record"]
        command += [f"--node-ip-address={address}", f"--temp-dir={self.folder / address}", *options]
        subprocess.run(command, env=self.env, check=True, capture_output=True, timeout=120)

    def kill(self, address: str) -> None:
        """Kill a node without a warning, as when its machine fails."""
        for process, command in self._processes():
            if f"{self.folder / address}/" in command:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)

    def close(self) -> None:
        """End all processes of the cluster, and no others."""
        for address in (self.first, self.second):
            self.kill(address)

    def _processes(self) -> Generator[tuple[int, str]]:
        """Yield number and command line of the processes whose command line names the folder."""
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if str(self.folder) in command and "ray" in command:
                    yield int(entry.name), command


@contextmanager
def started_nodes(env: dict[str, str], before: Sequence[str] = ()) -> Generator[RayNodes]:
    """Start two nodes and end them.

    Args:
        env: The environment of commands.
        before: A command that runs the one that starts the second node.
    """
    with TemporaryDirectory(prefix="sr-", ignore_cleanup_errors=True) as folder:
        nodes = RayNodes(Path(folder), env, before)
        try:
            nodes.start_second()
            yield nodes
        finally:
            nodes.close()


@pytest.fixture
def ray_nodes(command_env: dict[str, str]) -> Generator[RayNodes]:
    with started_nodes(command_env) as nodes:
        yield nodes


@pytest.fixture
def nodes_of_two_kinds(command_env: dict[str, str], tmp_path: Path) -> Generator[RayNodes]:
    """A node like this machine and one with another processor."""
    (tmp_path / "cpuinfo").write_text("model name : another processor\n")
    with started_nodes(command_env, unshared(AS_ANOTHER, tmp_path / "cpuinfo")) as nodes:
        yield nodes


def unshared(shell: str, path: object) -> list[str]:
    """Return the command that runs another one with a file system changed by a shell command.

    Args:
        shell: The shell command.
        path: Its "$0".
    """
    command = [shutil.which("unshare") or "unshare", "-m", "sh", "-c", shell, str(path)]
    if subprocess.run([*command, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this user may not mount a file system")
    return command


def check_kinds(run: RunDirectory, kind: str, trains_only: str) -> None:
    """Check that all times of a run were measured on one kind, also of what another one trained."""
    evaluation = run.final_evaluation()
    assert evaluation is not None
    assert evaluation.kind == run.spec().kind == run.nodes().kind == kind
    for record in run.records():
        assert record.state is not State.INFEASIBLE, record.reason
        assert record.kind == kind
        assert bool(record.timed_by) == (record.node == trains_only)
    assert trains_only in {record.node for record in run.records()}
