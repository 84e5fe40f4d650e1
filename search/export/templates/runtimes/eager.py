"""PyTorch, operator by operator, as in `network.py`."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

Array = np.ndarray[Any, Any]


def load(artefact: Path, call_sizes: Any) -> Callable[[Array], Array]:
    """Return a function of exactly one batch; sets the number of threads of the process."""
    torch.set_num_threads(call_sizes.threads)
    network = runpy.run_path(str(artefact / "use" / "network.py"))["load"](call_sizes.device)

    def call(inputs: Array) -> Array:
        with torch.inference_mode():
            return network(torch.from_numpy(inputs).to(call_sizes.device)).cpu().numpy()

    return call
