"""Transformers on the elements of a sequence or set.

Sources: Vaswani et al., NeurIPS 2017; Xiong et al., ICML 2020 (normalisation before each
part); Lee et al., Set transformer, ICML 2019.
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
"""Searched ratios of the hidden width of the feed-forward layers to the width."""

MASKED_SCORE = -30.0
"""Added to the scores of elements that don't exist, which multiplies their weights by 1e-13.

A larger absolute value would leave too few steps of int8 for the other scores.
"""

POSITION_SCALE = 0.02
"""Initial standard deviation of positions, as in BERT and ViT: small against the elements."""


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.read = nn.Linear(width, 3 * width)
        self.write = nn.Linear(width, width)

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """Return features (b, p, w) of features (b, p, w); scores are biased by (b, 1, 1, p)."""
        projected = self.read(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = projected.unbind()
        attended = scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return self.write(attended.transpose(1, 2).flatten(2))


class TransformerBlock(nn.Module):
    """Attention, then a perceptron of each element, both residual."""

    def __init__(self, width: int, heads: int, factor: int) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.hidden = nn.Linear(width, factor * width)
        self.change = nn.Linear(factor * width, width)
        self.before_attention, self.before_change = nn.LayerNorm(width), nn.LayerNorm(width)
        self.activation = nn.GELU()

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """Return features (b, p, w) of features (b, p, w); scores are biased by (b, 1, 1, p)."""
        x = x + self.attention(self.before_attention(x), bias)
        return x + self.change(self.activation(self.hidden(self.before_change(x))))


class TransformerEncoder(nn.Module):
    """A linear embedding, blocks, and a normalisation.

    `kept` lists the layers whose channels are not pruned: all but the hidden layers of feed-forward
    parts, since the width is divided among heads and shared by all residual blocks.
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
        """Return normalised features (b, p, w) of embedded elements; scores have a bias."""
        for block in self.blocks:
            x = block(x, bias)
        return self.norm(x)


class SequenceTransformer(TransformerEncoder):
    """An encoder with learned positions; outputs from the mean, the last step or all steps."""

    def __init__(self, shape: Shape, settings: Settings) -> None:
        super().__init__(shape, settings)
        positions = torch.randn(shape.places[0], int(settings["width"]))
        self.positions = nn.Parameter(POSITION_SCALE * positions)
        self.last = settings["answers_from"] == LAST

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs (b, o) of sequences (b, l, c)."""
        x = self.encode(self.embed(x) + self.positions)
        if self.aligned:
            return self.answer(x).flatten(1)
        return self.answer(x[:, -1] if self.last else x.mean(1))


class SetTransformerNetwork(TransformerEncoder):
    """An encoder without positions, in which elements that don't exist are masked."""

    def __init__(self, shape: Shape, settings: Settings) -> None:
        super().__init__(shape, settings)
        self.pooling = str(settings["pooling"])

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs (b, o) of sets (b, p, c)."""
        mask = x[..., :1]
        bias = (1.0 - mask.transpose(1, 2).unsqueeze(1)) * MASKED_SCORE
        x = self.encode(self.embed(x * mask), bias)
        if self.aligned:
            return self.answer(x).flatten(1)
        return self.answer(masked_pool(x, mask, self.pooling))


class TransformerArchitecture(Architecture):
    """The settings that transformers have in common."""

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Return chosen width, heads, number of layers and feed-forward factor."""
        return {
            "width": choose.categorical("width", WIDTHS),
            "heads": choose.categorical("heads", HEADS),
            "layers": choose.integer("layers", 1, 3),
            "factor": choose.categorical("factor", FEEDFORWARD_FACTORS),
        }


@register_architecture("transformer")
class Transformer(TransformerArchitecture):
    """Transformers on the steps of a sequence."""

    serves = serving((Layout.SEQUENCE,))

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Return the common settings, and from where outputs that aren't aligned are computed."""
        answers_from = choose.categorical("answers_from", (MEAN, LAST))
        return {**super().settings(choose), "answers_from": answers_from}

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return the network."""
        return SequenceTransformer(shape, settings)


@register_architecture("set_transformer")
class SetTransformer(TransformerArchitecture):
    """Transformers on the elements of a set."""

    serves = serving((Layout.SET,))

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Return the common settings, and the pooling of outputs that aren't aligned."""
        return {**super().settings(choose), "pooling": choose.categorical("pooling", POOLINGS)}

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return the network."""
        return SetTransformerNetwork(shape, settings)
