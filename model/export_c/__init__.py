"""Export of a stored predictor as C: one file and its header, for places that cannot run Python."""

from model.export_c.write import export

__all__ = ["export"]
