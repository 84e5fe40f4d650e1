"""torch.compile: PyTorch's just-in-time compiler, which takes seconds and needs a C++ compiler."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

Array = np.ndarray[Any, Any]

OPTIONS: dict[str, Any] = {"freezing": True, "compile_threads": 1}


def load(artefact: Path, call_sizes: Any) -> Callable[[Array], Array]:
    """Return a function of exactly one batch; sets the number of threads of the process."""
    torch.set_num_threads(call_sizes.threads)
    network = runpy.run_path(str(artefact / "use" / "network.py"))["load"](call_sizes.device)
    compiled: Any = torch.compile(network, fullgraph=True, dynamic=False, options=OPTIONS)

    def call(inputs: Array) -> Array:
        with torch.no_grad():
            return compiled(torch.from_numpy(inputs).to(call_sizes.device)).cpu().numpy()

    call(np.zeros((call_sizes.batch, *call_sizes.inputs), dtype=np.float32))
    return call
