"""What can go wrong between a table and a score; each message says what was found, where, and what to do next."""

from __future__ import annotations


class PredictionError(Exception):
    """Something about the data, the settings or a checkpoint that a user can act on."""


class TableError(PredictionError):
    """A table is missing, lacks columns, or is of a schema this version does not know."""


class StreamError(PredictionError):
    """A stream cannot be learned from: empty, too short, or of a single task."""


class SettingError(PredictionError):
    """An unknown predictor, or a parameter it does not have."""


class CheckpointError(PredictionError):
    """A checkpoint is incomplete, was changed after it was written, or is of another schema."""
