"""Graph network: nodes tell their neighbours along edges, round after round.

Edges lie in a dense array, so that a message is a product that every runtime has and no scatter is
needed; memory grows with the square of the nodes.

Sources: Gilmer et al., Neural message passing, ICML 2017; Battaglia et al., arXiv:1806.01261
(2018).
"""

from torch import Tensor, nn

from problems import Choose, Layout, Settings
from spaces.architectures import (
    ACTIVATIONS,
    WIDTHS,
    Architecture,
    Shape,
    register_architecture,
    serving,
)
from spaces.architectures.deep_sets import POOLINGS, masked_pool


class MessagePassingLayer(nn.Module):
    """One exchange: each node changes by what it and its neighbours' messages say.

    A message is a perceptron with one hidden layer, of sender, receiver and edge. Its outer layer
    is linear, so it comes after the sum over neighbours, once a node rather than once an edge.
    """

    def __init__(self, width: int, ends: int, activation: type[nn.Module], pooling: str) -> None:
        super().__init__()
        self.receiver = nn.Linear(width, width)
        self.sender = nn.Linear(width, width, bias=False)
        self.edge = nn.Linear(ends, width, bias=False)
        self.own = nn.Linear(width, width)
        self.heard = nn.Linear(width, width, bias=False)
        self.change = nn.Linear(width, width)
        self.activation = activation()
        self.pooling = pooling

    def forward(self, nodes: Tensor, edges: Tensor, joined: Tensor) -> Tensor:
        """Return nodes (b, p, w) of nodes, edges (b, p, p, c) and where they are (b, p, p, 1)."""
        message = self.receiver(nodes).unsqueeze(2) + self.sender(nodes).unsqueeze(1)
        message = self.activation(message + self.edge(edges))
        heard = masked_pool(message, joined, self.pooling)
        return nodes + self.change(self.activation(self.own(nodes) + self.heard(heard)))


class GraphNetwork(nn.Module):
    """Rounds of messages on a dense adjacency, with an answer of each node or of all.

    Args:
        shape: Of inputs (p, 1 + p, c): in row i, node i itself and then its edge to every node.
        width: Features of a node.
        rounds: Of messages.
        activation: Of messages and nodes.
        pooling: Of a node's messages, and of the nodes where one answer is asked of all.
    """

    def __init__(
        self, shape: Shape, width: int, rounds: int, activation: type[nn.Module], pooling: str
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(shape.channels, width)
        self.rounds = nn.ModuleList(
            MessagePassingLayer(width, shape.channels, activation, pooling) for _ in range(rounds)
        )
        self.answer = nn.Linear(width, shape.head_outputs)
        self.aligned, self.pooling = shape.aligned, pooling

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, o) of graphs (b, p, 1 + p, c)."""
        there, edges = x[:, :, 0, :1], x[:, :, 1:]
        joined = edges[..., :1] * there.unsqueeze(2) * there.unsqueeze(1)
        nodes = self.embed(x[:, :, 0] * there)
        for exchange in self.rounds:
            nodes = exchange(nodes, edges, joined)
        if self.aligned:
            return self.answer(nodes).flatten(1)
        return self.answer(masked_pool(nodes, there, self.pooling))


@register_architecture("graph_network")
class GraphNetworkArchitecture(Architecture):
    """`rounds` of messages between nodes of equal width."""

    serves = serving((Layout.GRAPH,))

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Choose width, rounds, aggregation and activation."""
        return {
            "width": choose.categorical("width", WIDTHS[:2]),
            "rounds": choose.integer("rounds", 1, 3),
            "aggregation": choose.categorical("aggregation", POOLINGS),
            "activation": choose.categorical("activation", list(ACTIVATIONS)),
        }

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return rounds of messages with a linear answer."""
        return GraphNetwork(
            shape,
            int(settings["width"]),
            int(settings["rounds"]),
            ACTIVATIONS[str(settings["activation"])],
            str(settings["aggregation"]),
        )
