"""Transformers: every element of a sequence or set looks at every other.

Sources: Vaswani et al., NeurIPS 2017; Xiong et al., ICML 2020 (normalised before each part); Lee et
al., Set transformer, ICML 2019.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from problems import Choose, Layout, Settings
from spaces.architectures import Architecture, Shape, register_architecture, serving
from spaces.architectures.deep_sets import MEAN, POOLINGS, masked_pool

LAST = "last step"

WIDTHS = (32, 64, 128)
HEADS = (1, 2, 4)
FEEDFORWARD_FACTORS = (1, 2, 4)
"""Hidden features of the feed-forward layers, over the width."""

MASKED_SCORE = -30.0
"""Added to the score of what isn't there, whose weight becomes 1e-13 of what it would be.

With a larger number int8 has no steps left for the other scores.
"""

POSITION_SCALE = 0.02
"""Deviation of fresh positions, as in BERT and ViT: what stands there outweighs where it stands."""


class Attention(nn.Module):
    """What each element takes from every other, in several heads."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.read = nn.Linear(width, 3 * width)
        self.write = nn.Linear(width, width)

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """Return (b, p, w) of features (b, p, w); the bias (b, 1, 1, p) is added to scores."""
        read = self.read(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = read.unbind()
        taken = scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return self.write(taken.transpose(1, 2).flatten(2))


class TransformerBlock(nn.Module):
    """Attention, then a perceptron on each element, both added to what they read."""

    def __init__(self, width: int, heads: int, factor: int) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.hidden = nn.Linear(width, factor * width)
        self.change = nn.Linear(factor * width, width)
        self.before_attention, self.before_change = nn.LayerNorm(width), nn.LayerNorm(width)
        self.activation = nn.GELU()

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """Return (b, p, w) of features (b, p, w)."""
        x = x + self.attention(self.before_attention(x), bias)
        return x + self.change(self.activation(self.hidden(self.before_change(x))))


class TransformerEncoder(nn.Module):
    """Blocks between a linear image of the inputs and a norm.

    `kept` are the layers that must not lose channels: all but the feed-forward's hidden ones, since
    heads divide the width and every block adds to it.
    """

    def __init__(self, shape: Shape, settings: Settings) -> None:
        super().__init__()
        width, heads = int(settings["width"]), int(settings["heads"])
        self.embed = nn.Linear(shape.channels, width)
        self.blocks = nn.ModuleList(
            TransformerBlock(width, heads, int(settings["factor"]))
            for _ in range(int(settings["layers"]))
        )
        self.norm = nn.LayerNorm(width)
        self.answer = nn.Linear(width, shape.head_outputs)
        self.kept = [
            layer
            for name, layer in self.named_modules()
            if isinstance(layer, nn.Linear) and not name.endswith("hidden")
        ]
        self.aligned = shape.aligned

    def encode(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Return normalised features (b, p, w) of embedded elements (b, p, w)."""
        for block in self.blocks:
            x = block(x, bias)
        return self.norm(x)


class SequenceTransformer(TransformerEncoder):
    """Positions are learned; the answer is read from the mean, from the last step or from each."""

    def __init__(self, shape: Shape, settings: Settings) -> None:
        super().__init__(shape, settings)
        places = torch.randn(shape.places[0], int(settings["width"]))
        self.positions = nn.Parameter(POSITION_SCALE * places)
        self.last = settings["answers_from"] == LAST

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, o) of sequences (b, l, c)."""
        x = self.encode(self.embed(x) + self.positions)
        if self.aligned:
            return self.answer(x).flatten(1)
        return self.answer(x[:, -1] if self.last else x.mean(1))


class SetTransformerNetwork(TransformerEncoder):
    """Elements have no position; nobody looks at those that aren't there."""

    def __init__(self, shape: Shape, settings: Settings) -> None:
        super().__init__(shape, settings)
        self.pooling = str(settings["pooling"])

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, o) of sets (b, p, c)."""
        mask = x[..., :1]
        bias = (1.0 - mask.transpose(1, 2).unsqueeze(1)) * MASKED_SCORE
        x = self.encode(self.embed(x * mask), bias)
        if self.aligned:
            return self.answer(x).flatten(1)
        return self.answer(masked_pool(x, mask, self.pooling))


class TransformerArchitecture(Architecture):
    """Settings that the transformers share."""

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Choose width, heads, layers and the feed-forward's factor."""
        return {
            "width": choose.categorical("width", WIDTHS),
            "heads": choose.categorical("heads", HEADS),
            "layers": choose.integer("layers", 1, 3),
            "factor": choose.categorical("factor", FEEDFORWARD_FACTORS),
        }


@register_architecture("transformer")
class Transformer(TransformerArchitecture):
    """Blocks of attention on the steps of a sequence."""

    serves = serving((Layout.SEQUENCE,))

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Choose, besides, where one answer for all steps is read."""
        reading = {"answers_from": choose.categorical("answers_from", (MEAN, LAST))}
        return {**super().settings(choose), **reading}

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return an encoder with positions."""
        return SequenceTransformer(shape, settings)


@register_architecture("set_transformer")
class SetTransformer(TransformerArchitecture):
    """Blocks of attention on the elements of a set."""

    serves = serving((Layout.SET,))

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Choose, besides, how one answer is read from all elements."""
        return {**super().settings(choose), "pooling": choose.categorical("pooling", POOLINGS)}

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return an encoder without positions."""
        return SetTransformerNetwork(shape, settings)
