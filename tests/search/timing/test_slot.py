"""One timing at a time on a machine, whoever measures."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from search.timing import slot
from search.timing.slot import exclusive_slot

HOLDING = """
import os, sys, time
from search.timing import slot

slot.SLOT_NAME = chr(0) + sys.argv[1]
if os.getuid() == 0:
    os.setuid(65534)  # nobody
with slot.exclusive_slot():
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A slot of this test, which waits for no other process."""
    monkeypatch.setattr(slot, "SLOT_NAME", f"\0{tmp_path.name}-{os.getpid()}")
    monkeypatch.setattr(slot, "all_cores_allocated", lambda: True)
    return slot.SLOT_NAME.lstrip("\0")


def another(name: str, seconds: float, temporary: Path) -> subprocess.Popen[str]:
    """Start a process that takes the slot, with a temporary folder of its own.

    It belongs to another user where the tests run as root.

    Args:
        name: Name of the slot.
        seconds: How long it holds the slot [s].
        temporary: The folder.
    """
    return subprocess.Popen(
        [sys.executable, "-c", HOLDING, name, str(seconds)],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_the_slot_is_held_by_one_of_two_users_and_freed_by_death(name: str, tmp_path: Path) -> None:
    with another(name, 600.0, tmp_path) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with another(name, 0.0, tmp_path / "other") as waiting:
            assert waiting.stdout
            with pytest.raises(subprocess.TimeoutExpired):
                waiting.wait(1.0)
            holder.kill()
            assert waiting.stdout.readline() == "held\n"
            assert waiting.wait(30) == 0


def test_a_slot_whose_holder_is_suspended_is_waited_for_no_longer(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with exclusive_slot() as excluded:
        assert excluded
    monkeypatch.setattr(slot, "MAX_WAIT_S", 0.3)
    with another(name, 600.0, tmp_path) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        began = time.monotonic()
        with exclusive_slot() as excluded:
            assert not excluded, "its timing may be disturbed"
        assert time.monotonic() - began >= 0.3
        holder.kill()


@pytest.mark.usefixtures("name")
@pytest.mark.parametrize(
    ("namespace", "all_cores", "excluded"),
    [
        (slot.FIRST_PROCESS_NAMESPACE, False, True),
        ("pid:[4026532201]", False, False),
        ("pid:[4026532201]", True, True),
    ],
)
def test_a_container_with_all_cores_alone_excludes_other_containers(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    namespace: str,
    *,
    all_cores: bool,
    excluded: bool,
) -> None:
    monkeypatch.setattr(slot, "all_cores_allocated", lambda: all_cores)
    (tmp_path / "pid").symlink_to(namespace)
    monkeypatch.setattr(slot, "PROCESS_NAMESPACE", tmp_path / "pid")
    with exclusive_slot() as held:
        assert held is excluded
