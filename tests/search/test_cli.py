"""The command line as a user meets it: mistakes are one line and exit code 2."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Simstead = Callable[..., subprocess.CompletedProcess[str]]
COMMANDS = ("search", "report", "export", "problems", "check")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(simstead: Simstead, command: str) -> None:
    done = simstead(command, "--help")
    assert done.returncode == 0
    assert "Example" in done.stdout
    assert f"simstead {command}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["serch", "planets"], "Did you mean 'search'"),
        (["search", "planet"], "did you mean 'planets'"),
        (["search", "planets", "--trails", 3], "--trials"),
        (["search", "planets", "--size", "tinny"], "did you mean 'tiny'"),
        (["search", "planets", "--trials", 0], "--trials must be 1 or more, not 0"),
        (["search", "planets", "--trials", -5], "--trials must be 1 or more, not -5"),
        (["search", "planets", "--trials", "many"], "--trials"),
        (["search", "planets", "--workers", 0], "--workers must be 1 or more"),
        (["search", "planets", "--seed", -1], "--seed must be 0 or more"),
        (["search", "planets", "--run", "/proc/nowhere"], "can't be written"),
        (["search"], "problem"),
        (["check", "planet"], "did you mean 'planets'"),
        (["report", "nowhere"], "holds no run"),
        (["export", "nowhere", "folder"], "holds no run"),
    ],
)
def test_a_mistake_is_one_line(simstead: Simstead, arguments: list[object], words: str) -> None:
    done = simstead(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_path_is_printed_as_it_is(simstead: Simstead, tmp_path: Path) -> None:
    folder = tmp_path / "d[old] :one: [/x]"
    folder.mkdir(parents=True)
    done = simstead("new", "mine", "--folder", folder)
    assert done.returncode == 0, done.stderr
    assert str(folder / "mine.py") in done.stdout


def test_problems_are_listed(simstead: Simstead) -> None:
    done = simstead("problems")
    assert done.returncode == 0
    assert "planets" in done.stdout
    assert "pattern" in done.stdout


def test_check_passes(simstead: Simstead) -> None:
    done = simstead("check", "planets")
    assert done.returncode == 0, done.stdout
    assert "every promise holds" in done.stdout


def test_a_file_in_the_way_is_said(simstead: Simstead, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    done = simstead("search", "planets", "--size", "tiny", "--run", tmp_path / "taken")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
