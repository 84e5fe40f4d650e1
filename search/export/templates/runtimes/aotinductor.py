"""AOTInductor: a package of machine code compiled by PyTorch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch._inductor import aoti_load_package

Array = np.ndarray[Any, Any]


def load(artefact: Path, call_sizes: Any) -> Callable[[Array], Array]:
    """Return a function of exactly one batch; sets the number of threads of the process."""
    torch.backends.cudnn.allow_tf32 = False  # float32 means float32
    torch.set_num_threads(call_sizes.threads)
    package: Any = aoti_load_package(str(artefact / "network.pt2"), run_single_threaded=True)

    def call(inputs: Array) -> Array:
        return package.loader.run([torch.from_numpy(inputs).to(call_sizes.device)])[0].cpu().numpy()

    return call
