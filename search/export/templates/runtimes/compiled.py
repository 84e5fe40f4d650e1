"""torch.compile: PyTorch's compiler, just in time; loading takes seconds and a C++ compiler."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

Array = np.ndarray[Any, Any]

OPTIONS: dict[str, Any] = {"freezing": True, "compile_threads": 1}


def load(artefact: Path, facts: Any) -> Callable[[Array], Array]:
    """Return a function of exactly a batch; sets the process's threads."""
    torch.set_num_threads(facts.threads)
    network = runpy.run_path(str(artefact / "use" / "network.py"))["load"](facts.device)
    compiled: Any = torch.compile(network, fullgraph=True, dynamic=False, options=OPTIONS)

    def call(inputs: Array) -> Array:
        with torch.no_grad():
            return compiled(torch.from_numpy(inputs).to(facts.device)).cpu().numpy()

    call(np.zeros((facts.batch, *facts.reads), dtype=np.float32))
    return call
