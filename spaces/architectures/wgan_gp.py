"""Wasserstein generative adversarial network with gradient penalty, conditional.

A generator computes samples from conditions and noise; a critic, used in training alone, estimates
how far they are from the targets. The deployed network is the mean of the generators of the last
steps, because the generator oscillates.

Sources: Gulrajani et al., Improved training of Wasserstein GANs, NeurIPS 2017; the mean: Yazici et
al., The unusual effectiveness of averaging in GAN training, ICLR 2019; conditions are
appended to the noise and to the sample as in Mirza & Osindero, arXiv:1411.1784.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from problems import Choose, Layout, Settings, Target
from spaces.architectures import Architecture, Shape, register_architecture, serving
from spaces.architectures.mlp import MLP
from spaces.pruning import copy_with_masks
from spaces.training_targets import Learner, OptimisationTarget

PENALTY_WEIGHTS = (0.1, 1.0, 10.0)
"""Searched weights of the gradient penalty: 10 in Gulrajani et al.'s paper, 0.1 in their code for
samples of few numbers, with which the critic learns faster."""

BETAS = (0.5, 0.9)
"""Betas of the optimisers. On two toy problems, the Wasserstein distance was half of that with a
first beta that follows the cycle of the learning rate."""

CRITIC_STEPS = 5
"""Steps of the critic per step of the generator: Gulrajani et al., algorithm 1."""

MAX_EMA_DECAY = 0.99
"""Largest decay of the exponential moving average: it spans 100 steps, a quarter of the generator's
steps in a training of 2,000 steps."""

LATENT_SIZES = (16, 32, 64)


class WGANLearner(Learner):
    """The generator with its critic, which scores samples with their conditions.

    `network` is the moving average of the generators so far, from which training starts.
    """

    def __init__(self, network: nn.Module, shape: Shape, settings: Settings) -> None:
        super().__init__(network)
        channels = shape.channels + shape.outputs
        self.critic = MLP.build(replace(shape, inputs=(channels,), outputs=1), settings)
        # Only differences of scores matter, so that a bias could not be learned.
        list(self.critic.modules())[-1].register_parameter("bias", None)
        self.generator = copy_with_masks(network)
        self._latent, self._penalty = int(settings["latent"]), float(settings["penalty"])
        self._steps = 0

    def optimisation_targets(self) -> Sequence[OptimisationTarget]:
        """Return the critic, then the generator, which is updated less often."""
        self.generator = copy_with_masks(self.network)
        self._steps = 0
        return [
            OptimisationTarget(list(self.critic.parameters()), self.critic_loss, betas=BETAS),
            OptimisationTarget(
                list(self.generator.parameters()), self.generator_loss, CRITIC_STEPS, BETAS
            ),
        ]

    def critic_loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the critic's loss (): generated minus target scores, plus the gradient penalty."""
        with torch.no_grad():
            generated = self._generate(inputs).to(targets.dtype)  # autocast returns fewer digits
        between = torch.lerp(targets, generated, torch.rand_like(targets[:, :1])).requires_grad_()
        (gradient,) = torch.autograd.grad(
            self._score(inputs, between).sum(), between, create_graph=True
        )
        penalty = (gradient.norm(dim=1) - 1.0).square().mean()
        difference = self._score(inputs, generated).mean() - self._score(inputs, targets).mean()
        return difference + self._penalty * penalty

    def generator_loss(self, inputs: Tensor, targets: Tensor) -> Tensor:  # noqa: ARG002 - losses have targets
        """Return the generator's loss (): minus the mean score of generated samples."""
        self._update_average()
        return -self._score(inputs, self._generate(inputs)).mean()

    @torch.no_grad()
    def _update_average(self) -> None:
        """Update the moving average; at first with small decay, to forget the initial weights."""
        self._steps += 1
        decay = min(self._steps / (self._steps + 9), MAX_EMA_DECAY)
        for mean, last in zip(self.network.parameters(), self.generator.parameters(), strict=True):
            mean.lerp_(last, 1.0 - decay)

    def _generate(self, inputs: Tensor) -> Tensor:
        noise = torch.randn(len(inputs), self._latent, device=inputs.device)
        return self.generator(torch.cat([inputs, noise], dim=1))

    def _score(self, inputs: Tensor, samples: Tensor) -> Tensor:
        return self.critic(torch.cat([inputs, samples], dim=1))


@register_architecture("wgan_gp")
class WGANGP(Architecture):
    """Generators and critics that are multilayer perceptrons of the same form."""

    serves = serving((Layout.FLAT,), (Target.DISTRIBUTION,))

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Return chosen settings of both networks, size of the noise and penalty weight."""
        return {
            **MLP.settings(choose),
            "latent": choose.categorical("latent", LATENT_SIZES),
            "penalty": choose.categorical("penalty", PENALTY_WEIGHTS),
        }

    @classmethod
    def noise(cls, shape: Shape, settings: Settings) -> int:  # noqa: ARG003 - required by the base class
        """Return the number of latent variables."""
        return int(settings["latent"])

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return the generator."""
        channels = shape.channels + cls.noise(shape, settings)
        return MLP.build(replace(shape, inputs=(channels,)), settings)

    @classmethod
    def learner(cls, network: nn.Module, shape: Shape, settings: Settings) -> Learner:
        """Return the generator with a new critic."""
        return WGANLearner(network, shape, settings)
