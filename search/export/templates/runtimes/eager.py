"""PyTorch, operator by operator, as `network.py` has them."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

Array = np.ndarray[Any, Any]


def load(artefact: Path, facts: Any) -> Callable[[Array], Array]:
    """Return a function of exactly a batch; sets the process's threads."""
    torch.set_num_threads(facts.threads)
    network = runpy.run_path(str(artefact / "use" / "network.py"))["load"](facts.device)

    def call(inputs: Array) -> Array:
        with torch.inference_mode():
            return network(torch.from_numpy(inputs).to(facts.device)).cpu().numpy()

    return call
