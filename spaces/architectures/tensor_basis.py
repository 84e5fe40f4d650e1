"""Tensor basis network: ten basis tensors with coefficients that depend on invariants.

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
"""Indices of xx, yy, zz, xy, xz and yz in a flattened tensor."""

INVARIANTS, TENSORS = 7, 11


class TensorBasis(nn.Module):
    """Tensors (b, 3, 3) -> symmetric tensors (b, 6): xx, yy, zz, xy, xz, yz.

    Outputs rotate with the inputs. Inputs are divided by one plus their norm and outputs multiplied
    by it, so that invariants and basis tensors are of order one however large an input is. The
    trace and the norm are added to Pope's five invariants and the identity to his ten tensors,
    since flows may be compressible and outputs have a trace.

    Args:
        width: Width of the hidden layers.
        depth: Number of hidden layers.
        activation: Their activation.
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
        """Return symmetric tensors (b, 6) of tensors (b, 3, 3)."""
        size = 1.0 + x.flatten(1).norm(dim=1).reshape(-1, 1, 1)
        gradient = x / size
        transposed = gradient.transpose(1, 2)
        trace = _trace(gradient)
        strain = (gradient + transposed) / 2.0 - trace / 3.0 * self.identity
        invariants, products = _invariants_and_products(strain, (gradient - transposed) / 2.0)
        features = torch.cat([trace, size.log(), *invariants], dim=1).flatten(1)
        coefficients = self.coefficients(features)
        mixed = (coefficients[:, 1:].unsqueeze(1) @ products.flatten(2)).reshape(-1, 3, 3)
        symmetric = mixed + mixed.transpose(1, 2)
        isotropic = coefficients[:, 0].reshape(-1, 1, 1) - _trace(symmetric) / 3.0
        outputs = (symmetric + isotropic * self.identity) * size
        return outputs.flatten(1).index_select(1, self.components)


def _invariants_and_products(s: Tensor, r: Tensor) -> tuple[list[Tensor], Tensor]:
    """Return Pope's five invariants, each (b, 1, 1), and products (b, 10, 3, 3).

    Twice the symmetric part of a product is one of his ten tensors, except for sign and trace.
    """
    s2, r2, sr, rs = s @ s, r @ r, s @ r, r @ s
    r2s, r2s2, rs2 = r2 @ s, r2 @ s2, r @ s2
    products = [s, sr, s2, r2, rs2, r2s, rs @ r2, sr @ s2, r2s2, rs2 @ r2]
    invariants = [_trace(product) for product in (s2, r2, s2 @ s, r2s, r2s2)]
    return invariants, torch.stack(products, dim=1)


def _trace(tensor: Tensor) -> Tensor:
    """Return the traces (b, 1, 1) of tensors (b, 3, 3)."""
    return tensor.diagonal(dim1=1, dim2=2).sum(1).reshape(-1, 1, 1)


@register_architecture("tensor_basis")
class TensorBasisArchitecture(Architecture):
    """Tensor basis networks with `depth` hidden layers of equal width for the coefficients."""

    serves = serving((Layout.TENSOR,), (Target.VALUE,))

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Return chosen width, depth and activation."""
        return {
            "width": choose.categorical("width", WIDTHS[:2]),
            "depth": choose.integer("depth", 1, 3),
            "activation": choose.categorical("activation", list(ACTIVATIONS)),
        }

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return the network.

        Raises:
            UserError: The network wouldn't map a tensor to a symmetric tensor.
        """
        if shape.inputs != (3, 3) or shape.outputs != len(COMPONENTS):
            raise UserError(
                f"tensor_basis maps (3, 3) to (6,), a symmetric tensor, not {shape.inputs} to "
                f"({shape.outputs},); encode with TensorEncoding"
            )
        width, depth = int(settings["width"]), int(settings["depth"])
        return TensorBasis(width, depth, ACTIVATIONS[str(settings["activation"])])
