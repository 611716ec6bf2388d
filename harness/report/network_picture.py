"""One step of the run's best network as a picture for the page; where it cannot be drawn, what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from markupsafe import Markup

from harness.errors import MissingExtraError
from harness.extras import MODULES
from harness.report.model_scores import ModelScores
from harness.report.seed_groups import SeedGroup, ranking_key
from harness.visible import visible


@dataclass(frozen=True)
class NetworkPicture:
    """The model that is shown, its picture, and, without one, why there is none."""

    model: str
    svg: Markup | None = None
    missing: str = ""


def network_picture(groups: list[SeedGroup]) -> NetworkPicture | None:
    """Draw the best network that is stored; None where the run has none."""
    from model.predictors import NETWORKS

    networks = [group for group in groups if group.predictor in NETWORKS and _is_stored(group.seeds[0])]
    if not networks:
        return None
    model = max(networks, key=ranking_key(groups)).seeds[0]
    try:
        return NetworkPicture(visible(model.path.name), svg=Markup(_draw(model)))
    except ModuleNotFoundError as error:
        if error.name not in MODULES:
            raise
        return NetworkPicture(visible(model.path.name), missing=MissingExtraError(*MODULES[error.name]).what)
    except _errors() as error:
        return NetworkPicture(visible(model.path.name), missing=visible(str(error).replace(str(model.path.parent), "")))


def _is_stored(model: ModelScores) -> bool:
    return (model.path / "config.json").is_file()


def _draw(model: ModelScores) -> str:
    _require_extra()
    from model import checkpoint
    from model.graph import draw_step

    predictor = checkpoint.load(model.path).predictor
    return draw_step(predictor, f"One step of {visible(model.path.name)}").decode()


def _require_extra() -> None:
    """Raise ModuleNotFoundError without the extra, before torch is imported, which takes seconds."""
    if find_spec("torchview") is None:
        raise ModuleNotFoundError("torchview", name="torchview")


def _errors() -> type[Exception]:
    from model.errors import PredictionError

    return PredictionError
