"""The errors of model. Each message names what is wrong, where, what was expected, and what to do."""

from __future__ import annotations


class PredictionError(Exception):
    """A problem with the data, the settings or a checkpoint that a user can act on."""


class TableError(PredictionError):
    """A table is missing, lacks columns, or is of a schema this version does not know."""


class NoTablesError(TableError):
    """A folder is there, and holds no tables of a recording: another one is meant."""


class StreamError(PredictionError):
    """A stream that nothing can be learned from: empty, too short, or of a single task; or no room for its columns."""


class SettingError(PredictionError):
    """An unknown predictor, or a setting that it does not have or cannot use."""


class MissingLibraryError(PredictionError):
    """A predictor needs a package that is not installed, and that an extra of this project brings."""

    def __init__(self, predictor: str, extra: str, package: str) -> None:
        super().__init__(f"predictor {predictor}: {package} is not installed: it comes with the extra {extra}")
        self.predictor, self.extra, self.package = predictor, extra, package


class CheckpointError(PredictionError):
    """A checkpoint is incomplete, was changed after it was written, or is of another schema."""


class NoModelError(CheckpointError):
    """A folder is there, or is not, and holds no stored model: another one is meant."""


class FolderError(PredictionError):
    """A folder that a model is to be stored in cannot be written."""


class MissingProgramError(PredictionError):
    """A program is not installed; `package` is the package of Debian that brings it."""

    def __init__(self, program: str, package: str) -> None:
        super().__init__(f"the program {program} is not installed: it comes with Debian's package {package}")
        self.program, self.package = program, package
