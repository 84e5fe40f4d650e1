"""What training leaves in a run directory: trained networks, and courses that were cut off.

A trained network is kept for its further deployments, a course so that it can be gone on with. A
file is PyTorch's, read with `weights_only=True`, behind the hash of its bytes.
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
    """A file isn't what was written; the message says which."""


def save_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors and plain values, whole or not at all.

    Raises:
        OSError: They can't be written.
    """
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    data = buffer.getvalue()
    path.parent.mkdir(exist_ok=True)
    with atomic_write(path) as file:
        file.write(hashlib.sha256(data).digest() + data)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return what `keep` wrote.

    Raises:
        DamagedError: The file isn't what was written, or isn't there.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CorruptCheckpointError(f"{path} can't be read ({error.strerror})") from error
    if hashlib.sha256(data[HASH_BYTES:]).digest() != data[:HASH_BYTES]:
        raise CorruptCheckpointError(f"{path} is damaged")
    return torch.load(io.BytesIO(data[HASH_BYTES:]), weights_only=True)
