"""The tutorial's blocks, followed in their order as a reader would.

Searches have one worker, because every worker's imports cost several seconds, and short trainings.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.run.directory import RunDirectory
from search.run.records import State

TUTORIAL = Path(__file__).parent.parent / "docs" / "register-a-problem.md"
SAMPLES = "samples=Samples(train=512, validation=128, test=128, shifted=64),"
LOAD = "import sys; from spaces.surrogate import Surrogate; Surrogate.load(sys.argv[1])"
BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(text: str) -> Iterator[tuple[list[str], int, list[str]]]:
    """Yield each command's arguments, its exit code ("# 1" after it) and what it should say."""
    for part in text.split("$ ")[1:]:
        line, *expected = part.splitlines()
        command, _, code = line.partition("  # ")
        yield shlex.split(command), int(code or 0), expected


@pytest.mark.slow
def test_following_the_steps(simstead, quick_final_evaluation: str, tmp_path: Path) -> None:  # noqa: ANN001 - conftest's
    followed = 0
    for language, name, text in BLOCK.findall(TUTORIAL.read_text()):
        if language == "python":
            new = not (tmp_path / name).exists()
            short = text.replace(SAMPLES, f"{SAMPLES} epochs=8,")
            with (tmp_path / name).open("a") as file:
                file.write(quick_final_evaluation * new + short)
        elif language == "console":
            for (program, *arguments), code, expected in commands(text):
                assert program == "simstead"
                one_worker = ("--workers", "1") if arguments[0] == "search" else ()
                done = simstead(*arguments, *one_worker, folder=tmp_path)
                assert done.returncode == code, done.stdout + done.stderr
                for line in expected:
                    assert line in done.stdout, (arguments, line, done.stdout)
                followed += 1
    assert followed >= 8
    records = RunDirectory.open(tmp_path / "cosines").records()
    assert {record.candidate.architecture for record in records} == {"cosines"}
    assert any(record.state is State.COMPLETE for record in records), [r.reason for r in records]
    assert simstead("export", "cosines", "own", folder=tmp_path).returncode == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    loaded = subprocess.run(
        [sys.executable, "-c", LOAD, str(tmp_path / "own")],
        capture_output=True, text=True, check=False, cwd=elsewhere,
    )  # fmt: skip
    assert loaded.returncode == 0, loaded.stderr
