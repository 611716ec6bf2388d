"""Context tree weighting: the Bayesian mixture of every Markov source of bounded depth (Willems, Shtarkov and Tjalkens,
IEEE Trans. Inf. Theory 41(3), 1995), over any number of symbols, in its sequential form.

Each context keeps counts and beta, the odds that it is better not to look further back. Its prediction mixes its own
counts, with weight beta, and the prediction of the next longer context, with weight one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

PRIOR = 0.05  # count that every symbol starts with; small, because few symbols ever follow a context
BETA_BOUND = 60.0  # of log beta: odds beyond e^60 are certain either way

Context = tuple[int, ...]  # the symbols before an event, the latest first


@dataclass
class Node:
    """The counts and the log odds of one context."""

    counts: dict[int, int] = field(default_factory=dict)
    total: int = 0
    log_beta: float = 0.0

    def copy(self) -> Node:
        """Return a node that learns without changing this one."""
        return Node(dict(self.counts), self.total, self.log_beta)


class ContextTree:
    """Contexts of up to `depth` symbols, out of `symbols`. Starts from the nodes of `below`, which stay as they are."""

    def __init__(self, symbols: int, depth: int, below: ContextTree | None = None) -> None:
        self.symbols, self.depth, self.below = symbols, depth, below
        self.nodes: dict[Context, Node] = {}

    def learn(self, context: Sequence[int], symbol: int) -> None:
        """Count that `symbol` came after `context`: (depth,) symbols, the latest first."""
        path = [self._own_node(tuple(context[:length])) for length in range(self.depth + 1)]
        longer = 1.0
        for length in range(self.depth, -1, -1):
            node = path[length]
            counted = (node.counts.get(symbol, 0) + PRIOR) / (node.total + PRIOR * self.symbols)
            if length == self.depth:
                mixed = counted
            else:
                beta = math.exp(node.log_beta)
                mixed = (beta * counted + longer) / (beta + 1)
                odds = node.log_beta + math.log(counted / longer)
                node.log_beta = max(-BETA_BOUND, min(BETA_BOUND, odds))
            longer = mixed
            node.counts[symbol] = node.counts.get(symbol, 0) + 1
            node.total += 1

    def probabilities(self, context: Sequence[int]) -> np.ndarray:
        """Return (symbols,) probabilities after `context`."""
        mixed = np.full(self.symbols, 1 / self.symbols)
        for length in range(self.depth, -1, -1):
            node = self._find(tuple(context[:length]))
            if node is None:
                continue  # a context without counts predicts the uniform distribution, which `mixed` still is
            counted = self._counted_probabilities(node)
            if length == self.depth:
                mixed = counted
            else:
                beta = math.exp(node.log_beta)
                mixed = (beta * counted + mixed) / (beta + 1)
        return mixed

    def arrays(self) -> dict[str, np.ndarray]:
        """Return contexts, as rows padded with -1; their log betas; and triples of context's row, symbol, count."""
        rows, betas, triples = [], [], []
        for row, (context, node) in enumerate(self.nodes.items()):
            rows.append((*context, *[-1] * (self.depth - len(context))))
            betas.append(node.log_beta)
            triples += [(row, symbol, count) for symbol, count in node.counts.items()]
        contexts = np.array(rows, np.int64).reshape(len(rows), self.depth)
        counts = np.array(triples, np.int64).reshape(len(triples), 3)
        return {"contexts": contexts, "log_beta": np.array(betas), "counts": counts}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore what `arrays` returned."""
        contexts = [tuple(symbol for symbol in row if symbol >= 0) for row in arrays["contexts"].tolist()]
        nodes = [Node(log_beta=beta) for beta in arrays["log_beta"].tolist()]
        for row, symbol, count in arrays["counts"].tolist():
            nodes[row].counts[symbol] = count
            nodes[row].total += count
        self.nodes = dict(zip(contexts, nodes, strict=True))

    def _counted_probabilities(self, node: Node) -> np.ndarray:
        counts = np.full(self.symbols, PRIOR)
        counts[list(node.counts)] += np.fromiter(node.counts.values(), float, len(node.counts))
        return counts / (node.total + PRIOR * self.symbols)

    def _find(self, context: Context) -> Node | None:
        node = self.nodes.get(context)
        return node if node is not None or self.below is None else self.below._find(context)

    def _own_node(self, context: Context) -> Node:
        node = self.nodes.get(context)
        if node is None:
            under = self.below._find(context) if self.below is not None else None
            node = self.nodes[context] = under.copy() if under is not None else Node()
        return node
