"""One step of the paper's network as a picture, for the paper's 28 names: the graph depends on no recording.

    python benchmarks/paper_network.py FILE.svg

Needs the extra `graph` and Debian's package graphviz.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from model.files import write_atomic
from model.graph import draw_step
from model.nn import kernel_oracle
from model.predictors.kernel_oracle import PaperAsCoded

NAMES = 28


def network() -> PaperAsCoded:
    """Return the network as it is before training, with a column for the time and one per name."""
    predictor = PaperAsCoded()
    predictor.layout = kernel_oracle.Layout(np.arange(NAMES), 0.0, 1.0)
    predictor.cells = kernel_oracle.Cells(1 + NAMES).double()
    return predictor


def main() -> None:
    """Draw it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("figure", type=Path, help="where to draw it, as SVG")
    write_atomic(parser.parse_args().figure, draw_step(network(), "One step of the paper's network"))


if __name__ == "__main__":
    main()
