"""The errors of the package `model`, which knows neither exit codes nor extras, as those of harness."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from harness.errors import MissingExtraError, ModelError, UsageError


@contextmanager
def as_model_error() -> Iterator[None]:
    """Turn a PredictionError into the HarnessError of its kind."""
    from model.errors import MissingLibraryError, NoModelError, NoTablesError, PredictionError

    try:
        yield
    except MissingLibraryError as error:
        raise MissingExtraError(error.extra, error.package, where=f"predictor {error.predictor}") from error
    except (NoModelError, NoTablesError) as error:
        raise UsageError(str(error)) from error
    except PredictionError as error:
        raise ModelError(str(error)) from error
