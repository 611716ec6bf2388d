"""Context tree weighting: the Bayesian mixture of every Markov source of bounded depth (Willems, Shtarkov and Tjalkens,
IEEE Trans. Inf. Theory 41(3), 1995), over any number of symbols, in its sequential form.

Each context keeps counts and beta, the odds that it is better not to look further back. What it predicts is what its
own counts say, weighted by beta, and what the next longer context says, weighted by one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

PRIOR = 0.05  # counts that every symbol starts with; small, for few symbols ever follow a context
BETA_BOUND = 60.0  # of log beta: odds beyond e^60 are certainty either way

Context = tuple[int, ...]  # the symbols before, the latest first


@dataclass
class Node:
    """What one context has seen."""

    counts: dict[int, int] = field(default_factory=dict)
    total: int = 0
    log_beta: float = 0.0

    def copy(self) -> Node:
        """One that can learn without this one noticing."""
        return Node(dict(self.counts), self.total, self.log_beta)


class ContextTree:
    """Contexts of up to `depth` of `symbols` symbols. `below` is a tree that this one starts from and leaves alone."""

    def __init__(self, symbols: int, depth: int, below: ContextTree | None = None) -> None:
        self.symbols, self.depth, self.below = symbols, depth, below
        self.nodes: dict[Context, Node] = {}

    def learn(self, context: Sequence[int], symbol: int) -> None:
        """`symbol` came after `context`: (depth,) symbols, the latest first."""
        path = [self._own(tuple(context[:length])) for length in range(self.depth + 1)]
        longer = 1.0
        for length in range(self.depth, -1, -1):
            node = path[length]
            own = (node.counts.get(symbol, 0) + PRIOR) / (node.total + PRIOR * self.symbols)
            if length == self.depth:
                mixed = own
            else:
                beta = math.exp(node.log_beta)
                mixed = (beta * own + longer) / (beta + 1)
                odds = node.log_beta + math.log(own / longer)
                node.log_beta = max(-BETA_BOUND, min(BETA_BOUND, odds))
            longer = mixed
            node.counts[symbol] = node.counts.get(symbol, 0) + 1
            node.total += 1

    def probabilities(self, context: Sequence[int]) -> np.ndarray:
        """(symbols,) of what comes after `context`."""
        mixed: np.ndarray | None = None
        for length in range(self.depth, -1, -1):
            node = self._find(tuple(context[:length]))
            if node is None:
                continue  # all that it could say is what an empty count says, as do those below it
            own = self._own_probabilities(node)
            if length == self.depth:
                mixed = own
                continue
            beta = math.exp(node.log_beta)
            longer = mixed if mixed is not None else np.full(self.symbols, 1 / self.symbols)
            mixed = (beta * own + longer) / (beta + 1)
        return mixed if mixed is not None else np.full(self.symbols, 1 / self.symbols)

    def arrays(self) -> dict[str, np.ndarray]:
        """Contexts as rows of symbols padded with -1; their log betas; and (context's row, symbol, count) triples."""
        rows, betas, triples = [], [], []
        for row, (context, node) in enumerate(self.nodes.items()):
            rows.append((*context, *[-1] * (self.depth - len(context))))
            betas.append(node.log_beta)
            triples += [(row, symbol, count) for symbol, count in node.counts.items()]
        contexts = np.array(rows, np.int64).reshape(len(rows), self.depth)
        counts = np.array(triples, np.int64).reshape(len(triples), 3)
        return {"contexts": contexts, "log_beta": np.array(betas), "counts": counts}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take back what `arrays` gave."""
        contexts = [tuple(symbol for symbol in row if symbol >= 0) for row in arrays["contexts"].tolist()]
        nodes = [Node(log_beta=beta) for beta in arrays["log_beta"].tolist()]
        for row, symbol, count in arrays["counts"].tolist():
            nodes[row].counts[symbol] = count
            nodes[row].total += count
        self.nodes = dict(zip(contexts, nodes, strict=True))

    def _own_probabilities(self, node: Node) -> np.ndarray:
        own = np.full(self.symbols, PRIOR)
        own[list(node.counts)] += np.fromiter(node.counts.values(), float, len(node.counts))
        return own / (node.total + PRIOR * self.symbols)

    def _find(self, context: Context) -> Node | None:
        found = self.nodes.get(context)
        return found if found is not None or self.below is None else self.below._find(context)

    def _own(self, context: Context) -> Node:
        node = self.nodes.get(context)
        if node is None:
            under = self.below._find(context) if self.below is not None else None
            node = self.nodes[context] = under.copy() if under is not None else Node()
        return node
