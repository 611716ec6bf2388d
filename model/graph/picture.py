"""A graph as a picture: SVG, PDF or PNG, laid out by Graphviz. The same graph gives the same SVG, byte for byte."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

from model.errors import MissingProgramError
from model.graph.trace import Graph, Node, Shape

if TYPE_CHECKING:
    import graphviz

SVG = "http://www.w3.org/2000/svg"
FONT = "Helvetica"
LOOKS = {
    "input": {"shape": "box", "style": "rounded,filled", "fillcolor": "#fff3c4"},
    "layer": {"shape": "box", "style": "filled", "fillcolor": "#cdeccf", "penwidth": "1.6"},
    "function": {"shape": "box", "style": "rounded", "color": "#888888", "margin": "0.08,0.03"},
    "result": {"shape": "box", "style": "rounded,filled", "fillcolor": "#cfe2ff"},
}
SIGNS = {"mul": "×", "add": "+", "sub": "−", "neg": "−", "__rsub__": "−", "div": "÷", "cat": "join"}  # noqa: RUF001


def draw(graph: Graph, title: str, kind: str = "svg") -> bytes:
    """Return the picture. MissingProgramError where Graphviz is not there."""
    import graphviz

    picture = _dot(graph)
    try:
        drawn = picture.pipe(format=kind)
    except graphviz.ExecutableNotFound as error:
        raise MissingProgramError("dot", "graphviz") from error
    return _accessible(drawn, title, in_words(graph)) if kind == "svg" else drawn


def in_words(graph: Graph) -> str:
    """Return what a person who does not see the picture reads: its inputs, layers and results."""
    names = {kind: [node for node in graph.nodes if node.kind == kind] for kind in LOOKS}
    layers = "; ".join(f"{node.name} ({node.what}, {node.parameters:,} parameters)" for node in names["layer"])
    inputs, results = (", ".join(node.name for node in names[kind]) for kind in ("input", "result"))
    return f"Inputs: {inputs}. Layers: {layers}. Results: {results}."


def _dot(graph: Graph) -> graphviz.Digraph:
    import graphviz

    look = {"fontname": FONT, "fontsize": "11"}
    dot = graphviz.Digraph(
        graph_attr={"bgcolor": "white", "nodesep": "0.2", "ranksep": "0.3", "pad": "0.1"},
        node_attr={**look, "margin": "0.12,0.05", "height": "0.1", "width": "0.1"},
        edge_attr={"arrowsize": "0.6", "color": "#555555"},
    )
    for number, node in enumerate(graph.nodes):
        dot.node(str(number), _label(node), **LOOKS[node.kind])
    for tail, head in graph.edges:
        dot.edge(str(tail), str(head))
    return dot


def _label(node: Node) -> str:
    """Return the lines of a node: its name, and what it makes of which numbers.

    They are plain text, which SVG centres whatever font there is; marked-up text stands where Graphviz's font would.
    """
    import graphviz

    lines = [SIGNS.get(node.what, node.what)] if node.kind == "function" else [node.name, _sizes(node.given)]
    if node.kind == "layer":
        weights = [f"{node.parameters:,} parameters"] if node.parameters else []
        lines = [f"{node.name}: {node.what}", f"{_sizes(node.taken)} → {_sizes(node.given)}", *weights]
    return graphviz.nohtml(r"\n".join(map(graphviz.escape, lines)))


def _sizes(shapes: tuple[Shape, ...]) -> str:
    """Return the shapes in words, without the batch and the steps, which are one each."""
    return ", ".join("×".join(str(size) for size in shape if size != 1) or "1" for shape in shapes)  # noqa: RUF001


def _accessible(drawn: bytes, title: str, description: str) -> bytes:
    """Give a picture a name and a description, and take out what depends on the version of Graphviz."""
    ElementTree.register_namespace("", SVG)
    root = ElementTree.fromstring(drawn)  # its comments are not read
    for group in root.iter(f"{{{SVG}}}g"):
        group.attrib.pop("id", None)
        for name in group.findall(f"{{{SVG}}}title"):
            group.remove(name)
    for place, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ElementTree.Element(f"{{{SVG}}}{tag}")
        element.text, element.tail = text, "\n"
        root.insert(place, element)
    root.set("role", "img")
    return ElementTree.tostring(root, encoding="utf-8") + b"\n"
