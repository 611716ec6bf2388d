"""A stored predictor as C: one file and its header, for wherever there is no room for Python."""

from model.export_c.write import export

__all__ = ["export"]
