"""A network as Python that needs PyTorch alone: the operators that its export is made of."""

import runpy
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from problems import Array, UserError
from spaces.candidate import Pruning
from spaces.runtimes import CPU, Lowering
from spaces.runtimes.eager import avoid_slow_conv3d, rebuild_network

PROGRAM_FILE = "network.py"
WEIGHTS_FILE = "weights.npz"
"""What the program holds: weights and constants, in NumPy's own format without pickle."""

PROGRAM_TEMPLATE = '''\
"""The network, operator by operator: written by simstead's export, called by runtime.py."""

from pathlib import Path

import numpy as np
import torch
from torch import inf, nan  # noqa: F401 - names that operators' arguments may take

TYPES = {{{types}
}}


class Network(torch.nn.Module):
    """Answers (b, o) to inputs (b, ...), b the batch that it was exported with."""

    def __init__(self, held):
        super().__init__()
        for name, kind in TYPES.items():
            values = torch.from_numpy(held[name]).to(kind)
            self.register_parameter(name, torch.nn.Parameter(values, requires_grad=False))

    def forward(self, {reads}):
        device = {reads}.device
{body}


def load(device):
    """Return the network with its weights, on a device."""
    torch.backends.cudnn.allow_tf32 = False  # float32 means float32
    with np.load(Path(__file__).with_name("{file}")) as held:
        return Network(held).to(device)
'''


def write_program(folder: Path, lowering: Lowering, inputs: Tensor, use: Path) -> None:
    """Write an artefact's network as a straight line of operators, with what it holds.

    Weights that were packed two of four for a GPU are plain matrices in it.

    Args:
        folder: The artefact, which holds the network's weights alone.
        lowering: What rebuilds it.
        inputs: Of one call (batch, ...), to try it on.
        use: Where the program goes.

    Raises:
        UserError: The network is no straight line, or the program's answers differ from its own.
    """
    unpacked = lowering.candidate.model_copy(update={"pruning": Pruning.NONE})
    network = rebuild_network(folder, replace(lowering, candidate=unpacked), CPU)
    if lowering.candidate.runtime == "eager":
        network = avoid_slow_conv3d(network, lowering, CPU)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter warns of its own internals
        exported = torch.export.export(network, (inputs,))
    signature = exported.graph_signature
    sources = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    tensors: dict[str, Any] = {**exported.state_dict, **exported.constants}
    held = {name: tensors[source].detach() for name, source in sources.items()}
    (use / PROGRAM_FILE).write_text(_text(exported, {name: t.dtype for name, t in held.items()}))
    with (use / WEIGHTS_FILE).open("wb") as file:
        np.savez(file, allow_pickle=False, **{name: _array(t) for name, t in held.items()})
    written = runpy.run_path(str(use / PROGRAM_FILE))["load"](CPU)
    with torch.inference_mode():
        same = torch.equal(written(inputs), network(inputs))
    if not same:
        raise UserError(f"{use / PROGRAM_FILE} answers otherwise than {folder}; pick another trial")


def _text(exported: torch.export.ExportedProgram, types: dict[str, torch.dtype]) -> str:
    _, *lines, _ = exported.graph_module.code.strip().splitlines()  # between "def" and "return"
    if any("self." in line for line in lines):
        raise UserError("the network has parts that are called; pick a trial of another runtime")
    (reads,), (answers,) = (
        exported.graph_signature.user_inputs,
        exported.graph_signature.user_outputs,
    )
    body = [f"    {name} = self.{name}" for name in types]
    body += [line.replace("device(type='cpu')", "device") for line in lines]
    body.append(f"    return {answers}")
    return PROGRAM_TEMPLATE.format(
        types="".join(f'\n    "{name}": {kind},' for name, kind in types.items()),
        reads=reads,
        body="\n".join(f"    {line}" for line in body),
        file=WEIGHTS_FILE,
    )


def _array(tensor: Tensor) -> Array:
    """Return a tensor's values; formats that NumPy lacks, all of them short, as float32."""
    short = tensor.is_floating_point() and tensor.itemsize < torch.float32.itemsize
    return (tensor.float() if short else tensor).numpy()
