"""The command line as a user meets it: mistakes are one line and exit code 2."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from problems.sources import USER_MODULE_PREFIX
from problems.template.write import write_template
from search.commands.main import main

RunSimstead = Callable[..., subprocess.CompletedProcess[str]]
COMMANDS = (
    "search",
    "launch",
    "logs",
    "dashboard",
    "space",
    "report",
    "export",
    "problems",
    "check",
)
OWN_FAMILY = """
from problems.template.problem import problem
from spaces.architectures import register_architecture
from spaces.architectures.mlp import MLP


@register_architecture("[bold]mine")
class Mine(MLP):
    @classmethod
    def settings(cls, choose):
        return {"width": choose.categorical("width", (16, 32)), "depth": 1, "activation": "relu"}
"""


@pytest.fixture
def in_process(
    decoy_folder: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> RunSimstead:
    """Run the command line as `simstead` does, in this process: its imports are done already.

    It forgets the files of users that other tests imported, and which may be gone.
    """
    for name in [name for name in sys.modules if name.startswith(USER_MODULE_PREFIX)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setenv("SIMSTEAD_CACHE", str(cache))
    monkeypatch.chdir(decoy_folder)

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        words = ["simstead", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", words)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return subprocess.CompletedProcess(words, int(ended.value.code or 0), said.out, said.err)

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(in_process: RunSimstead, command: str) -> None:
    done = in_process(command, "--help")
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
        (["search", "planets", "--simulations", 0], "--simulations must be 1 or more, not 0"),
        (["search", "planets", "--simulations", 2.5], "--simulations"),
        (["search", "planets", "--reference-hours", 0], "--reference-hours must be above 0"),
        (["search", "planets", "--reference-hours", "nan"], "--reference-hours must be above 0"),
        (["search", "planets", "--run", "/proc/nowhere"], "can't be written"),
        (["search", "planets", "--kind", "EPYC"], "give --address as well"),
        (["search", "planets", "--sampler", "tp"], "unknown sampler 'tp'; did you mean 'tpe'?"),
        (["resume", "nowhere"], "holds no run"),
        (["status", "nowhere"], "holds no run"),
        (["stop", "nowhere"], "holds no run"),
        (["search"], "problem"),
        (["search", "planets", "--only", "architectur=mlp"], "did you mean 'architecture'"),
        (
            ["search", "planets", "--only", "precision=fp31"],
            "--only precision=fp31: unknown option",
        ),
        (["search", "planets", "--weight", "runtime.eager=0"], "greater than 0"),
        (["search", "planets", "--space", "nowhere.yaml"], "nowhere.yaml: it can't be read"),
        (["space", "planet"], "did you mean 'planets'"),
        (
            ["space", "planets", "--only", "runtime=onnxruntime", "--only", "precision=bf16"],
            "runtime=onnxruntime and precision=bf16 leave nothing to deploy",
        ),
        (["check", "planet"], "did you mean 'planets'"),
        (["report", "nowhere"], "holds no run"),
        (["report"], "RUN is missing"),
        (["report", "--index", "nowhere"], "--index nowhere holds no run"),
        (["diagnose", "planets", "--into", "nowhere"], "nowhere holds no run"),
        (["export", "nowhere", "folder"], "holds no run"),
    ],
)
def test_a_mistake_is_one_line(
    in_process: RunSimstead, arguments: list[object], words: str
) -> None:
    done = in_process(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_mistakes_are_one_line_of_a_process_too(simstead: RunSimstead) -> None:
    for arguments, words in (
        (["serch", "planets"], "Did you mean 'search'"),
        (["search", "planets", "--weight", "runtime.eager=0"], "greater than 0"),
    ):
        done = simstead(*arguments)
        assert done.returncode == 2
        assert words in done.stderr
        assert done.stderr.count("\n") == 1
        assert done.stdout == ""


def test_a_path_is_printed_as_it_is(in_process: RunSimstead, tmp_path: Path) -> None:
    folder = tmp_path / "d[old] :one: [/x]"
    folder.mkdir(parents=True)
    done = in_process("new", "mine", "--folder", folder)
    assert done.returncode == 0, done.stderr
    assert str(folder / "mine.py") in done.stdout


def test_problems_are_listed(simstead: RunSimstead) -> None:
    done = simstead("problems")
    assert done.returncode == 0
    assert "planets" in done.stdout
    assert "pattern" in done.stdout


def test_a_space_is_shown_as_it_is_restricted(in_process: RunSimstead, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(
        "keep: {architecture: [mlp]}\nweights: {runtime: {eager: 2}}"
    )
    whole = in_process("space", "planets", "--size", "tiny")
    narrow = in_process(
        "space", "planets", "--size", "tiny", "--space", tmp_path / "small.yaml", "--only",
        "mlp.width=64",
    )  # fmt: skip
    assert whole.returncode == narrow.returncode == 0, whole.stderr + narrow.stderr
    assert "series: sequence, value" in whole.stdout
    assert "mlp.width: 64, 128" in whole.stdout
    assert "excluded on this machine" in whole.stdout
    assert "mlp.width: 64\n" in narrow.stdout
    assert "eager (weight 2)" in narrow.stdout
    assert "series" not in narrow.stdout


def test_a_family_of_a_users_own_is_shown(simstead: RunSimstead, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN_FAMILY)
    shown = simstead("space", tmp_path / "mine.py")
    assert shown.returncode == 0, shown.stderr
    assert "[bold]mine.width: 16, 32" in shown.stdout


def test_check_passes(simstead: RunSimstead, tmp_path: Path) -> None:
    done = simstead("check", write_template("mine", tmp_path))
    assert done.returncode == 0, done.stdout
    assert "all checks pass" in " ".join(done.stdout.split())


def test_a_file_in_the_way_is_said(in_process: RunSimstead, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    done = in_process("search", "planets", "--size", "tiny", "--run", tmp_path / "taken")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
