"""A search on a Ray cluster that is there: a driver in the background, with a token from a file."""

import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from problems import UserError
from search.launch.job_words import describe_jobs
from search.launch.jobs import scripts_of, stop_launch
from search.launch.launched import LaunchFolder, LaunchSystem
from search.launch.ray_address import check_token_file
from search.launch.submission import submit_launch
from tests.builders import make_spec
from tests.search.launch.conftest import make_launch, wait_until

Programs = Callable[..., Path]

NAMED = {"token_file": "/home/a b/token"}
TOLD = 'echo "$RAY_AUTH_MODE $(cat "$RAY_AUTH_TOKEN_PATH")" > "$0.token"'


def launched_run(
    folder: Path, programs: Programs, driver: str, token: Path = Path("/none")
) -> LaunchFolder:
    """Return a run that was launched on a cluster that is there."""
    programs("simstead", driver)
    launch = make_launch(
        system=LaunchSystem.RAY,
        program_folder=str(folder / "programs"),
        environment={},
        address="10.0.0.1:6379",
        token_file=str(token),
    )
    submit_launch(folder / "my run", make_spec(), launch, 0)
    return LaunchFolder(folder / "my run")


def test_a_driver_goes_on_by_itself_with_the_token(tmp_path: Path, programs: Programs) -> None:
    token = tmp_path / "job token"
    token.write_text("abc")
    launched = launched_run(tmp_path, programs, TOLD, token)
    wait_until((launched.folder / "over").exists, 60.0)
    assert (tmp_path / "programs" / "simstead.token").read_text() == "token abc\n"
    told = shlex.split((tmp_path / "programs" / "simstead.calls").read_text())
    assert told[-2:] == ["--address", "10.0.0.1:6379"]
    assert "because the search is done" in describe_jobs(launched)[0]
    assert "abc" not in (launched.folder / "job.sh").read_text()


def test_it_is_shown_and_stopped(tmp_path: Path, programs: Programs) -> None:
    waits = "trap 'exit 85' TERM; for _ in $(seq 900); do sleep 0.1; done"
    launched = launched_run(tmp_path, programs, waits)
    wait_until(lambda: any(each.last("head") for each in launched.attempts()), 60.0)
    assert "running on" in describe_jobs(launched)[0]
    with pytest.raises(UserError, match="launched already"):
        submit_launch(launched.run, make_spec(), launched.launch() or make_launch(), 0)
    stop_launch(launched)
    wait_until((launched.folder / "over").exists, 60.0)
    assert launched.attempts()[-1].last("ended") == "85 stopped"


def test_the_script_passes_shellcheck() -> None:
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("no shellcheck here (apt install shellcheck)")
    launch = make_launch(system=LaunchSystem.RAY, address="10.0.0.1:1", **NAMED)
    (script,) = scripts_of(Path("/shared/it's"), launch).values()
    done = subprocess.run(
        [shellcheck, "-"], input=script, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_a_token_that_others_may_read_is_refused(tmp_path: Path) -> None:
    token = tmp_path / "token"
    with pytest.raises(UserError, match="can't be read"):
        check_token_file(token)
    token.touch(0o600)
    with pytest.raises(UserError, match="is empty"):
        check_token_file(token)
    token.write_text("abc")
    check_token_file(token)
    token.chmod(0o640)
    with pytest.raises(UserError, match="others may read"):
        check_token_file(token)
