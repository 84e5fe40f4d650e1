"""simstead from Python: its names, its errors, and the notebook of the documentation as a whole."""

import subprocess
import sys
from pathlib import Path

import pytest

import simstead
from problems import Problem, UserError

NOTEBOOK = Path(__file__).parent.parent / "docs" / "python.ipynb"


EXECUTE = """
import sys, nbformat
from nbclient import NotebookClient
NotebookClient(nbformat.read(sys.argv[1], 4), timeout=600, kernel_name="python3").execute()
"""


def test_the_notebook_runs(tmp_path: Path, command_env: dict[str, str]) -> None:
    # In a process of its own: the client replaces the handlers of signals.
    command = [sys.executable, "-c", EXECUTE, str(NOTEBOOK)]
    done = subprocess.run(
        command, cwd=tmp_path, env=command_env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "report.html").is_file()


def test_every_public_name_exists() -> None:
    for name in simstead.__all__:
        assert getattr(simstead, name) is not None, name


def test_a_problem_file_can_import_it_quickly() -> None:
    code = "import sys, simstead; print(*({'torch', 'ray', 'pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trails": 3}, "unknown option 'trails'; did you mean 'trials'?"),
        ({"trials": 0}, "trials must be 1 or more, not 0"),
        ({"reference_hours": -1.0}, "reference_hours must be above 0"),
    ],
)
def test_a_wrong_option_is_named_before_anything_is_computed(
    options: dict[str, float], message: str
) -> None:
    with pytest.raises(UserError) as refused:
        simstead.search("planets", **options)
    assert message in str(refused.value)


def test_a_problem_made_in_the_session_is_refused(problem: Problem) -> None:
    with pytest.raises(UserError, match="was made in this session"):
        simstead.search(problem)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no run"):
        simstead.open_run(tmp_path)


def test_the_recommended_surrogate_is_opened(finished_run: Path) -> None:
    run = simstead.open_run(str(finished_run))
    recommended = run.finalists().query("recommended")["trial"].item()
    by_name, by_number = run.surrogate(), run.surrogate(recommended)
    assert by_name.outputs == by_number.outputs
    with pytest.raises(UserError, match="unknown pick"):
        run.surrogate("best")
