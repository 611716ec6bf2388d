"""What one step of a network computes, as nodes and edges, recorded by torchview while the step runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from model.one_step import OneStep

# Functions that only give a tensor another shape, copy it, or take it apart: an edge says as much.
SHAPERS = {
    *("__get__", "__getitem__", "chunk", "clone", "contiguous", "expand", "flatten", "permute", "reshape", "select"),
    *("split", "squeeze", "stack", "transpose", "unbind", "unflatten", "unsqueeze", "view"),
}
Shape = tuple[int, ...]
Edge = tuple[int, int]


@dataclass(frozen=True)
class Node:
    """An input, a result, a layer with weights, or a function; `name` is the layer's in the network."""

    kind: str  # input, result, layer or function
    name: str
    what: str  # the layer's class, or the function
    parameters: int
    taken: tuple[Shape, ...]
    given: tuple[Shape, ...]


@dataclass(frozen=True)
class Graph:
    """Nodes in the order of their computation, and edges between their indices."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def trace(step: OneStep) -> Graph:
    """Run the step once and return its graph, without what only changes shapes and what no input has a part in."""
    from torchview import draw_graph

    example = tuple(step.example.values())
    drawn = draw_graph(step, input_data=example, device="cpu", depth=math.inf, roll=False)
    modules = {id(module): (name, module) for name, module in step.named_modules()}
    computed = [edge for edge in drawn.edge_list if all(hasattr(node, "compute_unit_id") for node in edge)]
    nodes = {id(node): _node(node, modules) for edge in computed for node in edge}
    return _graph(nodes, _bridged(nodes, [(id(tail), id(head)) for tail, head in computed]))


def _node(node: Any, modules: Mapping[int, tuple[str, nn.Module]]) -> Node:
    """Return a node as this package shows it; torchview knows the classes of modules, not their names."""
    path, module = modules.get(node.compute_unit_id, ("", None))
    taken, given = (tuple(map(tuple, shapes)) for shapes in (node.input_shape, node.output_shape))
    if module is None:
        return Node("function", "", node.name, 0, taken, given)
    place, _, name = path.partition(".")
    kind = {"inputs": "input", "outputs": "result"}.get(place, "layer")
    return Node(kind, name, type(module).__name__, sum(each.numel() for each in module.parameters()), taken, given)


def _bridged(nodes: Mapping[int, Node], edges: list[Edge]) -> list[Edge]:
    """Join what stands before and behind each function that only changes shapes."""
    for key in [key for key, node in nodes.items() if _only_shapes(node)]:
        before, behind = [tail for tail, head in edges if head == key], [head for tail, head in edges if tail == key]
        joined = [(tail, head) for tail in before for head in behind]
        edges = [*(edge for edge in edges if key not in edge), *joined]
    return list(dict.fromkeys(edges))


def _only_shapes(node: Node) -> bool:
    return node.kind == "function" and (node.what in SHAPERS or (node.what == "cat" and len(node.taken) == 1))


def _graph(nodes: Mapping[int, Node], edges: list[Edge]) -> Graph:
    """Keep what an input leads to, and what leads to a result."""
    inputs, results = ({key for key, node in nodes.items() if node.kind == kind} for kind in ("input", "result"))
    used = _reached(inputs, edges) & _reached(results, [(head, tail) for tail, head in edges])
    kept = [key for key in nodes if key in used]
    index = {key: number for number, key in enumerate(kept)}
    joined = sorted((index[tail], index[head]) for tail, head in edges if tail in index and head in index)
    return Graph(tuple(nodes[key] for key in kept), tuple(joined))


def _reached(start: set[int], edges: list[Edge]) -> set[int]:
    reached, new = set(start), set(start)
    while new:
        new = {head for tail, head in edges if tail in new} - reached
        reached |= new
    return reached
