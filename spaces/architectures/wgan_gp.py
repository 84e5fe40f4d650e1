"""Wasserstein generative adversarial network with gradient penalty, conditional.

A generator makes samples of conditions and noise; a critic, needed in training alone, tells how far
they are from the targets. What is deployed is the mean of the generators of the last steps, because
the last one still circles.

Sources: Gulrajani et al., Improved training of Wasserstein GANs, NeurIPS 2017; the mean: Yazici et
al., The unusual effectiveness of averaging in GAN training, ICLR 2019; conditions stand beside the
noise and beside the sample as in Mirza & Osindero, arXiv:1411.1784.
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
"""Weights of the gradient penalty: 10 in Gulrajani et al.'s paper, 0.1 in their code for samples of
a few numbers, where the critic learns faster with it."""

BETAS = (0.5, 0.9)
"""Of the optimisers: on two toys half the Wasserstein distance that a cycled first beta leaves."""

CRITIC_STEPS = 5
"""Steps of the critic for each of the generator: Gulrajani et al., algorithm 1."""

MAX_EMA_DECAY = 0.99
"""What is left of the mean after a step, once there have been enough: it spans 100 of them, a
quarter of the generator's steps in a training of 2,000."""

LATENT_SIZES = (16, 32, 64)


class WGANLearner(Learner):
    """The generator with its critic, which scores samples beside their conditions.

    `network` is the mean of the generators so far; players begin from it.
    """

    def __init__(self, network: nn.Module, shape: Shape, settings: Settings) -> None:
        super().__init__(network)
        both = shape.channels + shape.outputs
        self.critic = MLP.build(replace(shape, inputs=(both,), outputs=1), settings)
        # Scores are only compared: what is added to all of them could not be learned.
        list(self.critic.modules())[-1].register_parameter("bias", None)
        self.generator = copy_with_masks(network)
        self._latent, self._penalty = int(settings["latent"]), float(settings["penalty"])
        self._steps = 0

    def optimisation_targets(self) -> Sequence[OptimisationTarget]:
        """Return the critic, then the generator, which plays more rarely."""
        self.generator = copy_with_masks(self.network)
        self._steps = 0
        return [
            OptimisationTarget(list(self.critic.parameters()), self.critic_loss, betas=BETAS),
            OptimisationTarget(
                list(self.generator.parameters()), self.generator_loss, CRITIC_STEPS, BETAS
            ),
        ]

    def critic_loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return how much higher the critic scores made samples than targets, and its penalty."""
        with torch.no_grad():
            made = self._made(inputs).to(targets.dtype)  # autocast makes it of fewer digits
        between = torch.lerp(targets, made, torch.rand_like(targets[:, :1])).requires_grad_()
        (slope,) = torch.autograd.grad(
            self._score(inputs, between).sum(), between, create_graph=True
        )
        penalty = (slope.norm(dim=1) - 1.0).square().mean()
        gap = self._score(inputs, made).mean() - self._score(inputs, targets).mean()
        return gap + self._penalty * penalty

    def generator_loss(self, inputs: Tensor, targets: Tensor) -> Tensor:  # noqa: ARG002 - a loss's signature
        """Return the critic's mean score of made samples, negative."""
        self._remember()
        return -self._score(inputs, self._made(inputs)).mean()

    @torch.no_grad()
    def _remember(self) -> None:
        """Move the mean towards the generator: at first soon, so that it forgets how it began."""
        self._steps += 1
        memory = min(self._steps / (self._steps + 9), MAX_EMA_DECAY)
        for mean, last in zip(self.network.parameters(), self.generator.parameters(), strict=True):
            mean.lerp_(last, 1.0 - memory)

    def _made(self, inputs: Tensor) -> Tensor:
        noise = torch.randn(len(inputs), self._latent, device=inputs.device)
        return self.generator(torch.cat([inputs, noise], dim=1))

    def _score(self, inputs: Tensor, samples: Tensor) -> Tensor:
        return self.critic(torch.cat([inputs, samples], dim=1))


@register_architecture("wgan_gp")
class WGANGP(Architecture):
    """A multilayer perceptron of conditions and `latent` noise, and its critic's like."""

    serves = serving((Layout.FLAT,), (Target.DISTRIBUTION,))

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Choose both networks' width, depth and activation, the noise's size and the penalty."""
        return {
            **MLP.settings(choose),
            "latent": choose.categorical("latent", LATENT_SIZES),
            "penalty": choose.categorical("penalty", PENALTY_WEIGHTS),
        }

    @classmethod
    def noise(cls, shape: Shape, settings: Settings) -> int:  # noqa: ARG003 - the family's signature
        """Return the size of the latent space."""
        return int(settings["latent"])

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return the generator."""
        read = shape.channels + cls.noise(shape, settings)
        return MLP.build(replace(shape, inputs=(read,)), settings)

    @classmethod
    def learner(cls, network: nn.Module, shape: Shape, settings: Settings) -> Learner:
        """Return the generator with a critic."""
        return WGANLearner(network, shape, settings)
