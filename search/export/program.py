"""A network as Python code of PyTorch's operators, as `torch.export` returns them."""

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
"""Weights and constants of the program, in NumPy's format without pickle."""

PROGRAM_TEMPLATE = '''\
"""The network, operator by operator: written by simstead's export, called by runtime.py."""

from pathlib import Path

import numpy as np
import torch
from torch import inf, nan  # noqa: F401 - names that operators' arguments may take

TYPES = {{{types}
}}


class Network(torch.nn.Module):
    """Maps inputs (b, ...) to outputs (b, o), where b is the batch of the export."""

    def __init__(self, arrays):
        super().__init__()
        for name, dtype in TYPES.items():
            values = torch.from_numpy(arrays[name]).to(dtype)
            self.register_parameter(name, torch.nn.Parameter(values, requires_grad=False))

    def forward(self, {inputs}):
        device = {inputs}.device
{body}


def load(device):
    """Return the network with its weights, on a device."""
    torch.backends.cudnn.allow_tf32 = False  # float32 means float32
    with np.load(Path(__file__).with_name("{file}")) as arrays:
        return Network(arrays).to(device)
'''


def write_program(folder: Path, lowering: Lowering, inputs: Tensor, use: Path) -> None:
    """Write the network of an artefact as a sequence of operators, with its weights.

    Weights with 2:4 sparsity, packed for a GPU, become dense matrices.

    Args:
        folder: The artefact, which contains only the weights of the network.
        lowering: The lowering, from which the network is rebuilt.
        inputs: Inputs of one call (batch, ...), on which the program is compared with the network.
        use: Folder of the program.

    Raises:
        UserError: The network isn't a sequence of operators, or the program's outputs differ.
    """
    unpacked = lowering.candidate.model_copy(update={"pruning": Pruning.NONE})
    network = rebuild_network(folder, replace(lowering, candidate=unpacked), CPU)
    if lowering.candidate.runtime == "eager":
        network = avoid_slow_conv3d(network, CPU)
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
    weights = {name: tensors[source].detach() for name, source in sources.items()}
    dtypes = {name: tensor.dtype for name, tensor in weights.items()}
    (use / PROGRAM_FILE).write_text(_program_text(exported, dtypes))
    arrays = {name: _array(tensor) for name, tensor in weights.items()}
    with (use / WEIGHTS_FILE).open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    program = runpy.run_path(str(use / PROGRAM_FILE))["load"](CPU)
    with torch.inference_mode():
        identical = torch.equal(program(inputs), network(inputs))
    if not identical:
        raise UserError(
            f"the outputs of {use / PROGRAM_FILE} differ from those of {folder}; pick another trial"
        )


def _program_text(exported: torch.export.ExportedProgram, dtypes: dict[str, torch.dtype]) -> str:
    _, *lines, _ = exported.graph_module.code.strip().splitlines()  # between "def" and "return"
    if any("self." in line for line in lines):
        raise UserError("the network calls submodules; pick a trial of another runtime")
    signature = exported.graph_signature
    (inputs,), (outputs,) = signature.user_inputs, signature.user_outputs
    body = [f"    {name} = self.{name}" for name in dtypes]
    body += [line.replace("device(type='cpu')", "device") for line in lines]
    body.append(f"    return {outputs}")
    return PROGRAM_TEMPLATE.format(
        types="".join(f'\n    "{name}": {dtype},' for name, dtype in dtypes.items()),
        inputs=inputs,
        body="\n".join(f"    {line}" for line in body),
        file=WEIGHTS_FILE,
    )


def _array(tensor: Tensor) -> Array:
    """Return a tensor's values (...); shorter floats than float32 become float32 for NumPy."""
    short = tensor.is_floating_point() and tensor.itemsize < torch.float32.itemsize
    return (tensor.float() if short else tensor).numpy()
