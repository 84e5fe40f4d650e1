"""What a run has achieved, as a line that changes with each step: does a job get anywhere?"""

import json
import sys
from contextlib import suppress
from pathlib import Path

COUNTED = ("trials/*.json", "derived/*.json", "simulations/*", "trainings/*")
"""Files of a run that each step of a search adds or rewrites."""

WRITTEN = ("data.json", "baselines.json", "validation.json", "retrained.json", "heat.json")
"""Files of a run that its phases write."""


def achievements(run: Path) -> str:
    """Return a line that two moments share only if nothing was achieved between them.

    Args:
        run: The run directory.
    """
    files = [path for pattern in COUNTED for path in run.glob(pattern)]
    stamps: list[int] = []
    for path in (*files, *(run / name for name in WRITTEN)):
        with suppress(FileNotFoundError):  # a checkpoint of a training that has just ended
            stamps.append(path.stat().st_mtime_ns)
    return f"{len(stamps)} {sum(stamps)} {_samples_made(run / 'progress.json')}"


def _samples_made(path: Path) -> int:
    """Return the samples that were made; other phases begin anew, however far they had come."""
    progress = json.loads(path.read_text()) if path.exists() else {}
    return progress["done"] if progress.get("phase") == "data" else 0


if __name__ == "__main__":
    sys.stdout.write(f"{achievements(Path(sys.argv[1]))}\n")
