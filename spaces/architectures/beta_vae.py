"""Conditional B-VAE that draws its codes from a buffer of the training samples' own.

The prior of the codes plays no part in sampling: a random training sample i gives a code
z ~ N(mu_i, sigma_i + smudge), so that B may be small and samples stay sharp.

Sources: Higgins et al., beta-VAE, ICLR 2017; Otten et al., Nature Communications 12 (2021) 2985,
whose density information buffer this is.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from problems import Choose, Layout, Settings, Target
from spaces.architectures import Architecture, Shape, register_architecture, serving
from spaces.architectures.mlp import MLP
from spaces.training_targets import Learner, OptimisationTarget

LATENT_SIZES = (8, 16, 32)

BUFFER_BITS = (12, 14, 16)
"""Binary logarithms of the buffer's searched sizes: a code of 32 numbers takes 1 to 16 MB."""

MIN_SCALE = 1e-3
"""Of scales, in units of the targets' spread, and of a code's sigma: both are divided by."""


class BufferDecoder(nn.Module):
    """Decodes a code drawn from the buffer of codes.

    A sample is centre + scale * decoded: both of the condition alone, so that what is coded, and
    drawn from the codes of samples with other conditions, hardly depends on the condition.

    Args:
        shape: What is asked for.
        settings: Width, depth and activation of the decoder, size of codes and buffer.
    """

    means: Tensor
    spreads: Tensor
    places: Tensor

    def __init__(self, shape: Shape, settings: Settings) -> None:
        super().__init__()
        bits, latent = int(settings["bits"]), int(settings["latent"])
        self.read = [shape.channels, bits, latent]
        framing = replace(shape, outputs=2 * shape.outputs)
        self.framing = MLP.build(framing, {**settings, "depth": 1})
        self.decoder = MLP.build(replace(shape, inputs=(shape.channels + latent,)), settings)
        self.kept = [list(part.modules())[-1] for part in (self.framing, self.decoder)]
        self.register_buffer("means", torch.zeros(2**bits, latent))
        self.register_buffer("spreads", torch.ones(2**bits, latent))
        self.register_buffer("places", 2 ** torch.arange(bits))

    def forward(self, x: Tensor) -> Tensor:
        """Return samples (b, o) of conditions and noise (b, c + noise)."""
        conditions, signs, noise = x.split(self.read, dim=1)
        # The signs of so many numbers are a row's binary digits: exact in any number format, where
        # one number scaled to the buffer's size would have too few digits.
        row = ((signs > 0) * self.places).sum(dim=1)
        code = self.means[row] + self.spreads[row] * noise
        centre, scale = self.location_scale(conditions)
        return centre + scale * self.decode(conditions, code)

    def location_scale(self, conditions: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean and the spread (b, o) of samples at conditions (b, c)."""
        centre, scale = self.framing(conditions).chunk(2, dim=1)
        return centre, positive_scale(scale)

    def decode(self, conditions: Tensor, code: Tensor) -> Tensor:
        """Return what codes (b, latent) stand for, (b, o), in units of the frame."""
        return self.decoder(torch.cat([conditions, code], dim=1))


class BetaVAELearner(Learner):
    """The decoder with its encoder, and with what fills the buffer."""

    network: BufferDecoder

    def __init__(self, network: nn.Module, shape: Shape, settings: Settings) -> None:
        super().__init__(network)
        coded = replace(shape, inputs=(shape.outputs,), outputs=2 * int(settings["latent"]))
        self.encoder = MLP.build(coded, settings)
        self._beta, self._smudge = float(settings["beta"]), float(settings["smudge"])

    def optimisation_targets(self) -> Sequence[OptimisationTarget]:
        """Return encoder and decoder as one."""
        return [OptimisationTarget(list(self.parameters()), self.loss)]

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the frame's negative log-likelihood, the squared error and B times divergence."""
        centre, scale = self.network.location_scale(inputs)
        inner = (targets - centre) / scale
        location_scale = (scale.log() + 0.5 * inner.square()).mean()
        inner = inner.detach()
        mean, spread = self._coded(inner)
        code = mean + spread * torch.randn_like(mean)
        error = nn.functional.mse_loss(self.network.decode(inputs, code), inner)
        divergence = 0.5 * (mean.square() + spread.square() - 1.0) - spread.log()
        return location_scale + error + self._beta * divergence.sum(dim=1).mean()

    def on_epoch_end(self, inputs: Tensor, targets: Tensor) -> None:
        """Fill the buffer with codes of training pairs spread evenly, in their order."""
        network = self.network
        rows = torch.arange(len(network.means), device=inputs.device)
        chosen = rows * len(inputs) // len(rows)
        centre, scale = network.location_scale(inputs[chosen])
        mean, spread = self._coded((targets[chosen] - centre) / scale)
        network.means.copy_(mean)
        network.spreads.copy_(spread + self._smudge)

    def _coded(self, inner: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and spread (b, latent) of the codes of samples (b, o) in their frame."""
        mean, spread = self.encoder(inner).chunk(2, dim=1)
        return mean, positive_scale(spread)


def positive_scale(x: Tensor) -> Tensor:
    """Return what a linear layer says of a spread as one: an exponential would overflow."""
    return nn.functional.softplus(x) + MIN_SCALE


@register_architecture("beta_vae")
class BetaVAE(Architecture):
    """Multilayer perceptrons as encoder and decoder, with a buffer of codes."""

    serves = serving((Layout.FLAT,), (Target.DISTRIBUTION,))
    unsuited: ClassVar = {
        "int8": "rounded inputs lose the signs of numbers near 0: one code in fifteen is another's"
    }

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Choose both networks' form, the size of codes and buffer, B and the smudge."""
        return {
            **MLP.settings(choose),
            "latent": choose.categorical("latent", LATENT_SIZES),
            "bits": choose.categorical("bits", BUFFER_BITS),
            "beta": choose.real("beta", 1e-7, 1e-3, log=True),
            "smudge": choose.real("smudge", 0.0, 0.1),
        }

    @classmethod
    def noise(cls, shape: Shape, settings: Settings) -> int:  # noqa: ARG003 - the family's signature
        """Return a sign for each digit of a row's number, and a number for each of its code's."""
        return int(settings["bits"]) + int(settings["latent"])

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return the decoder with an empty buffer, which is the codes' prior."""
        return BufferDecoder(shape, settings)

    @classmethod
    def learner(cls, network: nn.Module, shape: Shape, settings: Settings) -> Learner:
        """Return the decoder with an encoder."""
        return BetaVAELearner(network, shape, settings)
