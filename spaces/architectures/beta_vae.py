"""Conditional B-VAE that samples its codes from a buffer of codes of training samples.

The prior of the codes isn't used in sampling: a random training sample i determines the code
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
"""Binary logarithms of searched buffer sizes: with codes of 32 numbers, buffers of 1 to 16 MB."""

MIN_SCALE = 1e-3
"""Smallest scale, in units of the targets' standard deviation, and smallest sigma of a code: both
are divisors."""


class BufferDecoder(nn.Module):
    """A decoder of codes that are sampled from a buffer.

    A sample is centre + scale * decoded. Centre and scale depend on the condition alone, so that
    the standardised samples, and their codes, hardly depend on the condition: codes of samples with
    other conditions can be used.

    Args:
        shape: Shape of the network.
        settings: Width, depth and activation of the decoder; size of codes and buffer.
    """

    means: Tensor
    spreads: Tensor
    places: Tensor

    def __init__(self, shape: Shape, settings: Settings) -> None:
        super().__init__()
        bits, latent = int(settings["bits"]), int(settings["latent"])
        self.read = [shape.channels, bits, latent]
        framing_shape = replace(shape, outputs=2 * shape.outputs)
        self.framing = MLP.build(framing_shape, {**settings, "depth": 1})
        self.decoder = MLP.build(replace(shape, inputs=(shape.channels + latent,)), settings)
        self.kept = [list(part.modules())[-1] for part in (self.framing, self.decoder)]
        self.register_buffer("means", torch.zeros(2**bits, latent))
        self.register_buffer("spreads", torch.ones(2**bits, latent))
        self.register_buffer("places", 2 ** torch.arange(bits))

    def forward(self, x: Tensor) -> Tensor:
        """Return samples (b, o) of conditions with noise (b, c + noise)."""
        conditions, signs, noise = x.split(self.read, dim=1)
        # The binary digits of the row are signs of random numbers, which are exact in any number
        # format. One number scaled to the size of the buffer would have too few digits.
        row = ((signs > 0) * self.places).sum(dim=1)
        code = self.means[row] + self.spreads[row] * noise
        centre, scale = self.location_scale(conditions)
        return centre + scale * self.decode(conditions, code)

    def location_scale(self, conditions: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean and standard deviation (b, o) of samples at conditions (b, c)."""
        centre, scale = self.framing(conditions).chunk(2, dim=1)
        return centre, positive_scale(scale)

    def decode(self, conditions: Tensor, code: Tensor) -> Tensor:
        """Return standardised samples (b, o) of conditions (b, c) and codes (b, latent)."""
        return self.decoder(torch.cat([conditions, code], dim=1))


class BetaVAELearner(Learner):
    """The decoder with its encoder, which fills the buffer."""

    network: BufferDecoder

    def __init__(self, network: nn.Module, shape: Shape, settings: Settings) -> None:
        super().__init__(network)
        encoder_shape = replace(shape, inputs=(shape.outputs,), outputs=2 * int(settings["latent"]))
        self.encoder = MLP.build(encoder_shape, settings)
        self._beta, self._smudge = float(settings["beta"]), float(settings["smudge"])

    def optimisation_targets(self) -> Sequence[OptimisationTarget]:
        """Return the parameters of encoder and decoder."""
        return [OptimisationTarget(list(self.parameters()), self.loss)]

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss () of training pairs.

        It is the sum of the negative log-likelihood of centre and scale, the mean squared error of
        the decoded standardised samples, and B times the divergence of the codes from the prior.
        """
        centre, scale = self.network.location_scale(inputs)
        standardised = (targets - centre) / scale
        likelihood_loss = (scale.log() + 0.5 * standardised.square()).mean()
        standardised = standardised.detach()
        mean, spread = self._encode(standardised)
        code = mean + spread * torch.randn_like(mean)
        error = nn.functional.mse_loss(self.network.decode(inputs, code), standardised)
        divergence = 0.5 * (mean.square() + spread.square() - 1.0) - spread.log()
        return likelihood_loss + error + self._beta * divergence.sum(dim=1).mean()

    def on_epoch_end(self, inputs: Tensor, targets: Tensor) -> None:
        """Fill the buffer with codes of training pairs that are spread evenly, in their order."""
        network = self.network
        rows = torch.arange(len(network.means), device=inputs.device)
        chosen = rows * len(inputs) // len(rows)
        centre, scale = network.location_scale(inputs[chosen])
        mean, spread = self._encode((targets[chosen] - centre) / scale)
        network.means.copy_(mean)
        network.spreads.copy_(spread + self._smudge)

    def _encode(self, standardised: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and sigma (b, latent) of the codes of standardised samples (b, o)."""
        mean, spread = self.encoder(standardised).chunk(2, dim=1)
        return mean, positive_scale(spread)


def positive_scale(x: Tensor) -> Tensor:
    """Return positive scales (b, ...) of any numbers (b, ...); an exponential would overflow."""
    return nn.functional.softplus(x) + MIN_SCALE


@register_architecture("beta_vae")
class BetaVAE(Architecture):
    """Variational autoencoders of multilayer perceptrons, with a buffer of codes."""

    serves = serving((Layout.FLAT,), (Target.DISTRIBUTION,))
    unsuited: ClassVar = {
        "int8": "rounded inputs lose the signs of numbers near 0: one code in fifteen is wrong"
    }

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Return chosen settings of both networks, sizes of codes and buffer, B and smudge."""
        return {
            **MLP.settings(choose),
            "latent": choose.categorical("latent", LATENT_SIZES),
            "bits": choose.categorical("bits", BUFFER_BITS),
            "beta": choose.real("beta", 1e-7, 1e-3, log=True),
            "smudge": choose.real("smudge", 0.0, 0.1),
        }

    @classmethod
    def noise(cls, shape: Shape, settings: Settings) -> int:  # noqa: ARG003 - required by the base class
        """Return the number of binary digits of a row plus the size of a code."""
        return int(settings["bits"]) + int(settings["latent"])

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return the decoder with an initial buffer, which is the prior of the codes."""
        return BufferDecoder(shape, settings)

    @classmethod
    def learner(cls, network: nn.Module, shape: Shape, settings: Settings) -> Learner:
        """Return the decoder with a new encoder."""
        return BetaVAELearner(network, shape, settings)
