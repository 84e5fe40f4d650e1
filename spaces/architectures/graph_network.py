"""Graph network: repeated passing of messages between nodes along edges.

Edges are a dense array, so that messages are matrix products, which every runtime supports, and no
scatter is needed. Memory grows with the square of the number of nodes.

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
    """A round of messages: each node is updated from its features and its neighbours' messages.

    A message is a perceptron of sender, receiver and edge with one hidden layer. Its last layer is
    linear and so applied after the sum over neighbours, per node rather than per edge.

    Args:
        width: Number of features w of a node.
        ends: Number of features of an edge.
        activation: Activation of messages and nodes.
        pooling: How the messages of a node are pooled.
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
        """Return updated node features (b, p, w).

        Args:
            nodes: Node features (b, p, w).
            edges: Edge features (b, p, p, c).
            joined: Mask of edges (b, p, p, 1).
        """
        message = self.receiver(nodes).unsqueeze(2) + self.sender(nodes).unsqueeze(1)
        message = self.activation(message + self.edge(edges))
        heard = masked_pool(message, joined, self.pooling)
        return nodes + self.change(self.activation(self.own(nodes) + self.heard(heard)))


class GraphNetwork(nn.Module):
    """Rounds of messages on a dense adjacency, with outputs of each node or of the graph.

    Args:
        shape: Shape of the network; inputs (p, 1 + p, c) hold in row i node i itself and then its
            edges to all nodes.
        width: Number of features of a node.
        rounds: Number of rounds of messages.
        activation: Activation of messages and nodes.
        pooling: Pooling of the messages of a node, and of the nodes if outputs aren't aligned.
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
        """Return outputs (b, o) of graphs (b, p, 1 + p, c)."""
        mask, edges = x[:, :, 0, :1], x[:, :, 1:]
        joined = edges[..., :1] * mask.unsqueeze(2) * mask.unsqueeze(1)
        nodes = self.embed(x[:, :, 0] * mask)
        for layer in self.rounds:
            nodes = layer(nodes, edges, joined)
        if self.aligned:
            return self.answer(nodes).flatten(1)
        return self.answer(masked_pool(nodes, mask, self.pooling))


@register_architecture("graph_network")
class GraphNetworkArchitecture(Architecture):
    """Graph networks with `rounds` rounds of messages."""

    serves = serving((Layout.GRAPH,))

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Return chosen width, number of rounds, aggregation and activation."""
        return {
            "width": choose.categorical("width", WIDTHS[:2]),
            "rounds": choose.integer("rounds", 1, 3),
            "aggregation": choose.categorical("aggregation", POOLINGS),
            "activation": choose.categorical("activation", list(ACTIVATIONS)),
        }

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return rounds of messages with a linear output layer."""
        return GraphNetwork(
            shape,
            int(settings["width"]),
            int(settings["rounds"]),
            ACTIVATIONS[str(settings["activation"])],
            str(settings["aggregation"]),
        )
