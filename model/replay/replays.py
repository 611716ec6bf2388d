"""Which replay fits a recording: by the release of the kernel it was made on."""

from __future__ import annotations

from model.data.streams import Stream
from model.replay import cfs, kernel
from model.replay.candidates import Replay
from model.replay.cfs_replay import Walk
from model.replay.eevdf_replay import EevdfWalks
from model.replay.names import Names

BUDDIES_KEPT_SINCE = (5, 14)  # kernels before forget a buddy whenever it is picked


def replay_of(stream: Stream, names: Names) -> Replay:
    """EEVDF since Linux 6.6, CFS before. Raises TableError where run times are not recorded."""
    if kernel.is_eevdf(stream):
        return EevdfWalks(stream, names, kernel.eevdf_rules(stream.folder))
    told = kernel.release(stream.folder)
    forget = told is not None and told < BUDDIES_KEPT_SINCE
    return Walk(stream, names, cfs.Rules(forget_buddies_when_picked=forget))
