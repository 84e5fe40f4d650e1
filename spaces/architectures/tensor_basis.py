"""Tensor basis network: coefficients of invariants times ten tensors, so it turns with its input.

Sources: Pope, J. Fluid Mech. 72 (1975) 331; Ling, Kurzawski & Templeton, J. Fluid Mech. 807 (2016)
155.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from problems import Choose, Layout, Settings, Target, UserError
from spaces.architectures import (
    ACTIVATIONS,
    WIDTHS,
    Architecture,
    Shape,
    register_architecture,
    serving,
)

COMPONENTS = (0, 4, 8, 1, 2, 5)
"""Where xx, yy, zz, xy, xz and yz stand in a flattened tensor."""

INVARIANTS, TENSORS = 7, 11


class TensorBasis(nn.Module):
    """Tensors (b, 3, 3) -> symmetric tensors (b, 6): xx, yy, zz, xy, xz, yz.

    Inputs are divided by one plus their norm and answers multiplied by it: so invariants and basis
    tensors are of order one however large an input is. Beside Pope's five invariants stand the
    trace and the norm, beside his ten tensors the identity: flows may be compressible, and answers
    have a trace.
    """

    identity: Tensor
    components: Tensor

    def __init__(self, width: int, depth: int, activation: type[nn.Module]) -> None:
        super().__init__()
        layers = (
            layer
            for a, b in pairwise([INVARIANTS] + [width] * depth)
            for layer in (nn.Linear(a, b), activation())
        )
        self.coefficients = nn.Sequential(*layers, nn.Linear(width, TENSORS))
        self.register_buffer("identity", torch.eye(3), persistent=False)
        self.register_buffer("components", torch.tensor(COMPONENTS), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, 6)."""
        size = 1.0 + x.flatten(1).norm(dim=1).reshape(-1, 1, 1)
        gradient = x / size
        turned = gradient.transpose(1, 2)
        trace = _trace(gradient)
        strain = (gradient + turned) / 2.0 - trace / 3.0 * self.identity
        invariants, products = _invariants_and_products(strain, (gradient - turned) / 2.0)
        read = torch.cat([trace, size.log(), *invariants], dim=1).flatten(1)
        coefficients = self.coefficients(read)
        mixed = (coefficients[:, 1:].unsqueeze(1) @ products.flatten(2)).reshape(-1, 3, 3)
        symmetric = mixed + mixed.transpose(1, 2)
        isotropic = coefficients[:, 0].reshape(-1, 1, 1) - _trace(symmetric) / 3.0
        whole = (symmetric + isotropic * self.identity) * size
        return whole.flatten(1).index_select(1, self.components)


def _invariants_and_products(s: Tensor, r: Tensor) -> tuple[list[Tensor], Tensor]:
    """Return Pope's invariants, five of (b, 1, 1), and products (b, 10, 3, 3).

    Twice the symmetric part of each product is one of his ten tensors, but for sign and trace.
    """
    s2, r2, sr, rs = s @ s, r @ r, s @ r, r @ s
    r2s, r2s2, rs2 = r2 @ s, r2 @ s2, r @ s2
    products = [s, sr, s2, r2, rs2, r2s, rs @ r2, sr @ s2, r2s2, rs2 @ r2]
    invariants = [_trace(each) for each in (s2, r2, s2 @ s, r2s, r2s2)]
    return invariants, torch.stack(products, dim=1)


def _trace(tensor: Tensor) -> Tensor:
    """Return the traces (b, 1, 1) of tensors (b, 3, 3)."""
    return tensor.diagonal(dim1=1, dim2=2).sum(1).reshape(-1, 1, 1)


@register_architecture("tensor_basis")
class TensorBasisArchitecture(Architecture):
    """`depth` hidden layers of equal width between invariants and coefficients."""

    serves = serving((Layout.TENSOR,), (Target.VALUE,))

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Choose width, depth and activation."""
        return {
            "width": choose.categorical("width", WIDTHS[:2]),
            "depth": choose.integer("depth", 1, 3),
            "activation": choose.categorical("activation", list(ACTIVATIONS)),
        }

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return the basis with its network of coefficients.

        Raises:
            UserError: Something else than one symmetric tensor is asked for.
        """
        if shape.inputs != (3, 3) or shape.outputs != len(COMPONENTS):
            raise UserError(
                f"tensor_basis reads (3, 3) and answers (6,), a symmetric tensor, not "
                f"{shape.inputs} and ({shape.outputs},); encode with TensorEncoding"
            )
        width, depth = int(settings["width"]), int(settings["depth"])
        return TensorBasis(width, depth, ACTIVATIONS[str(settings["activation"])])
