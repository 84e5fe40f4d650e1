"""The files of recorded data as users give them: paths, patterns, or files of each split."""

from collections.abc import Mapping, Sequence
from glob import glob, has_magic
from pathlib import Path
from typing import NamedTuple

import numpy as np

from problems.errors import UnknownNameError, UserError
from problems.interfaces.types import CONFIRMATION, SPLITS, Array

ALL_SPLITS = (*SPLITS, CONFIRMATION)

SPLIT_WORDS: Mapping[str, str] = {
    **{name: name for name in ALL_SPLITS},
    "training": "train", "learn": "train", "valid": "validation", "val": "validation",
    "dev": "validation", "holdout": "test", "shift": "shifted",
}  # fmt: skip
"""The split that a word of a column stands for; capitals don't matter."""

Files = str | Path | Sequence[str | Path] | Mapping[str, str | Path | Sequence[str | Path]]
"""A file, several, or those of each split by its name."""

_REMEDY = "give a file in the folder of the problem's file as Path(__file__).with_name"


class GivenFile(NamedTuple):
    """One file, with the split of its samples; "" where the file doesn't decide."""

    path: Path
    split: str = ""


def given_files(files: Files) -> list[GivenFile]:
    """Return the files and patterns that the user gave.

    Args:
        files: What the user gave.

    Raises:
        UserError: A name of a split is unknown.
    """
    if isinstance(files, Mapping):
        found: list[GivenFile] = []
        for name, part in files.items():
            if name not in ALL_SPLITS:
                raise UserError(f"files=: {UnknownNameError('split', name, ALL_SPLITS)}")
            found += [GivenFile(given.path, name) for given in given_files(part)]
        return found
    return [GivenFile(Path(f)) for f in ([files] if isinstance(files, str | Path) else files)]


def existing_files(files: Files) -> list[GivenFile]:
    """Return the files, with patterns expanded.

    Args:
        files: What the user gave.

    Raises:
        UserError: A file doesn't exist, or there is none.
    """
    found: list[GivenFile] = []
    for given in given_files(files):
        path = given.path
        if path.exists():
            found.append(given)
        elif has_magic(str(path)):
            matching = sorted(glob(str(path)))  # noqa: PTH207 - Path.glob takes no absolute pattern
            if not matching:
                raise UserError(f"no file matches the pattern '{path}'; {_REMEDY}({path.name!r})")
            found += [GivenFile(Path(match), given.split) for match in matching]
        else:
            raise UserError(f"there is no file '{path}'; {_REMEDY}({path.name!r})")
    if not found:
        raise UserError(f"files= names no file; {_REMEDY}('data.csv')")
    return found


def split_numbers(words: Array, path: Path, first: int) -> Array:
    """Return the index in `ALL_SPLITS` of each sample (b,), as its word says.

    Args:
        words: The words (b,) in the files.
        path: The file.
        first: Index of the first sample in the file.

    Raises:
        UserError: A word is no name of a split.
    """
    numbers = np.empty(len(words), dtype=np.int8)
    for i, word in enumerate(words.tolist()):
        text = word.decode() if isinstance(word, bytes) else str(word)
        name = SPLIT_WORDS.get(text.strip().lower())
        if name is None:
            raise UserError(
                f"{path}: row {first + i + 1} is in the split {text!r}, which split= doesn't know; "
                f"write one of {', '.join(ALL_SPLITS)}"
            )
        numbers[i] = ALL_SPLITS.index(name)
    return numbers
