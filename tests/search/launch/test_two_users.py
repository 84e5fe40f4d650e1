"""Two users on one node: neither reaches the other's Ray."""

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import psutil
import pytest

from tests.search.launch.conftest import wait_until

SIMSTEAD = Path(sys.executable).with_name("simstead")
OTHER_USER = 65534
"""Number of the user nobody."""

START_S = 120.0

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


class Node(NamedTuple):
    """A node of one user, and another user of its machine.

    Args:
        attempt: Folder of the attempt.
        temporary: Folder in which the node makes its own.
        home: Folder of the other user.
        process: The node.
    """

    attempt: Path
    temporary: Path
    home: Path
    process: psutil.Process

    def as_other_user(
        self, *command: object, **variables: str
    ) -> "subprocess.CompletedProcess[str]":
        """Return how a command of the other user ended."""
        setpriv = ["setpriv", f"--reuid={OTHER_USER}", f"--regid={OTHER_USER}", "--clear-groups"]
        own = {"PATH": os.environ["PATH"], "HOME": str(self.home), "TMPDIR": str(self.home)}
        kept = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
        return subprocess.run(
            [*setpriv, *map(str, command)],
            cwd=self.home,
            env=own | kept | {"SIMSTEAD_CACHE": str(self.home / "cache")} | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )


@pytest.fixture
def node() -> Generator[Node]:
    """The first node of a job whose folders lie where everybody may look."""
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root may act as a second user")
    with TemporaryDirectory(prefix="su-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        attempt, temporary, home = root / "cluster" / "1.0", root / "n", root / "home"
        for each in (attempt, temporary, home):
            each.mkdir(parents=True)
        os.chown(home, OTHER_USER, OTHER_USER)
        for each in (root, temporary):
            each.chmod(0o755)
        shared = os.umask(0o077)  # as in the scripts of jobs
        (attempt / "events").touch()
        (attempt / "token").write_text(secrets.token_hex(32))
        command = [
            *(sys.executable, "-P", "-m", "search.launch.node", attempt, "--cores", 1),
            *("--store-bytes", 10**8, "--temporary", temporary, "--interface", "lo"),
        ]
        process = psutil.Popen([*map(str, command)])
        os.umask(shared)
        try:
            wait_until((attempt / "address").exists, START_S)
            yield Node(attempt, temporary, home, process)
        finally:
            (attempt / "end").touch()
            process.wait(60.0)


def test_nobody_else_reaches_the_ray_of_a_user(node: Node) -> None:
    there = node.as_other_user(SIMSTEAD, "--help")
    if there.returncode:
        pytest.skip("another user can't run this installation")
    address, secret = (node.attempt / name for name in ("address", "token"))
    (own,) = node.temporary.iterdir()
    for reading in (("cat", secret), ("ls", own)):
        assert "Permission denied" in node.as_other_user(*reading).stderr
    search = ("search", "planets", "--size", "tiny", "--run", "run", "--address")
    reached = address.read_text()
    refused = node.as_other_user(SIMSTEAD, *search, reached)
    assert refused.returncode == 2, refused.stderr
    assert "needs a token" in refused.stderr
    refused = node.as_other_user(
        SIMSTEAD, *search, reached, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32)
    )
    assert refused.returncode == 2, refused.stderr
    assert "refuses this token" in refused.stderr
    token = secret.read_text()
    for process in (node.process, *node.process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            assert not any(token in word for word in process.cmdline())
            assert node.as_other_user("cat", f"/proc/{process.pid}/environ").stdout == ""
    assert node.process.is_running()
