"""The tutorial's blocks, followed in their order as a reader would."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

TUTORIAL = Path(__file__).parent.parent / "docs" / "register-a-problem.md"
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
            with (tmp_path / name).open("a") as file:
                file.write(quick_final_evaluation * new + text)
        elif language == "console":
            for (program, *arguments), code, expected in commands(text):
                assert program == "simstead"
                done = simstead(*arguments, folder=tmp_path)
                assert done.returncode == code, done.stdout + done.stderr
                for line in expected:
                    assert line in done.stdout, (arguments, line, done.stdout)
                followed += 1
    assert followed >= 8
