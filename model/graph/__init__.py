"""The computational graph of one step of a network: recorded by torchview, laid out by Graphviz."""

from __future__ import annotations

from model.errors import SettingError
from model.graph.picture import draw
from model.graph.trace import trace
from model.predictor import Neural, Predictor

FORMATS = ("svg", "pdf", "png")


def draw_step(predictor: Predictor, title: str, kind: str = "svg") -> bytes:
    """Return a picture of one step of a fitted predictor.

    Raises SettingError for one that is no network, ModuleNotFoundError without the extra `graph`, MissingProgramError
    without Graphviz.
    """
    if kind not in FORMATS:
        raise SettingError(f"a picture cannot be {kind!r}: expected {', '.join(FORMATS)}")
    if not isinstance(predictor, Neural):
        raise SettingError("only a network has a computational graph")
    return draw(trace(predictor.one_step()), title, kind)
