"""Ray on a node of a job: it ends with the attempt, and leaves nothing."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from search.launch.node import address_of
from tests.search.launch.conftest import wait_until

RAY = """
import subprocess, sys, time
from pathlib import Path

options = dict(word.partition("=")[::2] for word in sys.argv[1:])
folder = Path(options["--temp-dir"])
folder.mkdir()
# As Ray's daemons: in a session of its own, deaf to the end of its parent.
orphan = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
daemon = subprocess.Popen([sys.executable, "-c", orphan], start_new_session=True)
Path({pids!r}).write_text(str(daemon.pid))
if "--head" in options:
    (folder / "ray_current_cluster").write_text("10.0.0.1:6379")
print(*sys.argv[1:], flush=True)
time.sleep({seconds})
"""
"""What `ray start --block` does, with a daemon that outlives it."""

Node = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def attempt(tmp_path: Path) -> Path:
    folder = tmp_path / "cluster" / "7.0"
    folder.mkdir(parents=True)
    (folder / "events").touch()
    return folder


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """Start a node with a Ray that runs so long, and options."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (tmp_path / "nodes").mkdir()
    (programs / "python").symlink_to(sys.executable)

    def start(
        *options: object, seconds: float = 600.0, rank: int = 0, variable: str = "SLURM_PROCID"
    ) -> "subprocess.Popen[bytes]":
        ray = programs / "ray"
        text = RAY.format(pids=str(tmp_path / "daemon"), seconds=seconds)
        ray.write_text(f"#!{sys.executable}\n{text}")
        ray.chmod(0o700)
        code = (
            "import sys; from search.launch import node; node.POLL_S, node.ENDING_S = 0.1, 0.5; "
            f"sys.executable = {str(programs / 'python')!r}; sys.exit(node.run_node())"
        )
        sizes = ("--cores", 2, "--store-bytes", 10**8, "--temporary", tmp_path / "nodes")
        command = [sys.executable, "-P", "-c", code, *options, *sizes]
        env = {"PATH": "/usr/bin:/bin", variable: str(rank), "SLURMD_NODENAME": f"n{rank}"}
        root = str(Path(__file__).parents[3])
        return subprocess.Popen([*map(str, command)], env=env | {"PYTHONPATH": root})

    return start


def left(tmp_path: Path) -> bool:
    """Return whether the daemon or a temporary folder is left."""
    daemon = int((tmp_path / "daemon").read_text())
    return psutil.pid_exists(daemon) or any((tmp_path / "nodes").iterdir())


def test_the_head_publishes_its_address_and_ends_with_the_attempt(
    tmp_path: Path, attempt: Path, node: Node
) -> None:
    process = node(attempt)
    wait_until((attempt / "address").exists, 60.0)
    assert (attempt / "address").read_text() == "10.0.0.1:6379"
    assert left(tmp_path)
    (attempt / "end").touch()
    assert process.wait(60.0) == 0
    assert not left(tmp_path)
    log = (attempt / "node-n0.log").read_text()
    assert "--num-cpus=2" in log
    assert "--port=0 --include-dashboard=false" in log


def test_a_node_that_is_terminated_leaves_nothing(
    tmp_path: Path, attempt: Path, node: Node
) -> None:
    (attempt / "address").write_text("10.0.0.1:6379")
    process = node(attempt, rank=1)
    wait_until((tmp_path / "daemon").exists, 60.0)
    process.terminate()
    assert process.wait(60.0) == 143
    assert not left(tmp_path)
    assert "--address=10.0.0.1:6379" in (attempt / "node-n1.log").read_text()


@pytest.mark.parametrize("variable", ["PBS_NODENUM", "OMPI_COMM_WORLD_RANK", "PMI_RANK"])
def test_start_commands_tell_a_node_its_number(attempt: Path, node: Node, variable: str) -> None:
    """That of PBS, and `mpiexec` of two kinds."""
    (attempt / "address").write_text("10.0.0.1:6379")
    process = node(attempt, rank=1, variable=variable)
    log = attempt / "node-n1.log"
    wait_until(lambda: log.exists() and "--address=10.0.0.1:6379" in log.read_text(), 60.0)
    (attempt / "end").touch()
    assert process.wait(60.0) == 0


def test_a_ray_that_ends_is_started_anew_and_then_told(
    tmp_path: Path, attempt: Path, node: Node
) -> None:
    (attempt / "address").write_text("10.0.0.1:6379")
    assert node(attempt, seconds=0.0, rank=1).wait(120.0) == 3
    assert (attempt / "node-n1.log").read_text().count("joins 10.0.0.1:6379") == 3
    assert not left(tmp_path)


def test_a_joining_node_follows_the_attempts_until_they_are_over(
    tmp_path: Path, attempt: Path, node: Node
) -> None:
    process = node("--join", attempt.parent)
    (attempt / "address").write_text("10.0.0.1:6379")
    (attempt.parent / "current").write_text("7.0")
    wait_until((attempt / "node-n0.log").exists, 60.0)
    (attempt / "end").touch()
    second = attempt.with_name("7.1")
    second.mkdir()
    (second / "events").touch()
    (second / "address").write_text("10.0.0.2:6379")
    (attempt.parent / "current").write_text("7.1")
    wait_until((second / "node-n0.log").exists, 60.0)
    (second / "end").touch()
    (attempt.parent / "over").touch()
    assert process.wait(60.0) == 0
    assert not left(tmp_path)


def test_a_node_that_does_not_see_the_attempt_says_so(tmp_path: Path, node: Node) -> None:
    assert node(tmp_path / "elsewhere").wait(60.0) == 3


def test_interfaces_have_addresses() -> None:
    assert address_of("lo") == "127.0.0.1"
    with pytest.raises(SystemExit, match="no interface none"):
        address_of("none")
