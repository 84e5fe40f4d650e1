"""Files of tensors in a run directory: trained networks, and checkpoints of unfinished trainings.

A trained network is kept for its further deployments, a checkpoint to resume its training. Each
file is the SHA-256 of PyTorch's bytes, followed by those bytes; they are read with
`weights_only=True`.
"""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from problems.atomic_files import atomic_write

HASH_BYTES = hashlib.sha256().digest_size


class CorruptCheckpointError(Exception):
    """A file is missing or differs from what was written; the message names the file."""


def save_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors and plain values to a file, completely or not at all.

    Raises:
        OSError: The file can't be written.
    """
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    data = buffer.getvalue()
    path.parent.mkdir(exist_ok=True)
    with atomic_write(path) as file:
        file.write(hashlib.sha256(data).digest() + data)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return the tensors and plain values that `save_checkpoint` wrote.

    Raises:
        CorruptCheckpointError: The file is missing or differs from what was written.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CorruptCheckpointError(f"{path} can't be read ({error.strerror})") from error
    if hashlib.sha256(data[HASH_BYTES:]).digest() != data[:HASH_BYTES]:
        raise CorruptCheckpointError(f"{path} is damaged")
    return torch.load(io.BytesIO(data[HASH_BYTES:]), weights_only=True)
