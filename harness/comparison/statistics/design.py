"""How the trials of two sides belong together: pairs in blocks, and the units that were repeated independently."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.comparison.measured.observation import UNKNOWN, Observation
from harness.comparison.sides import Side
from harness.comparison.statistics.inference import MIN_FREEDOM, Sample
from harness.counted import counted
from harness.listed import listed

Unit = Literal["block", "boot", "run", "host", "trial"]
LEVELS: tuple[Unit, ...] = ("host", "run", "boot", "block")  # from the top down


@dataclass(frozen=True)
class Design:
    """How many of each level the comparison rests on, and which level counts as its independent unit.

    `unit` is `trial` where the sides share no block. `interleaved`: whether they do. `units` is how often the unit was
    repeated: where each arm has a boot of its own in a block, the unit is such a pair of boots. `notes`: what limits
    the result, a sentence each.
    """

    hosts: int
    runs: int
    boots: int
    blocks: int
    unit: Unit
    units: int
    interleaved: bool
    notes: tuple[str, ...]

    @property
    def units_text(self) -> str:
        """`12 blocks`, `12 boots`, `12 pairs of boots`; where pairs share boots `6 groups of boots`."""
        if self.unit != "boot" or self.units == self.boots:
            return counted(self.units, self.unit)
        return f"{counted(self.units, 'pair' if 2 * self.units == self.boots else 'group')} of boots"


@dataclass(frozen=True)
class Pair:
    """The trials of both sides in one block; pairs that share a boot have one number as their `cluster`."""

    first: Observation
    second: Observation
    cluster: int = 0

    @property
    def host(self) -> str:
        """The host of both trials, or their hosts."""
        return _joined(self.first.host, self.second.host)

    @property
    def boot(self) -> str:
        """The boot of both trials, or their boots."""
        return _joined(self.first.boot, self.second.boot)

    @property
    def is_of_two_boots(self) -> bool:
        """Whether its trials are known to be of different boots."""
        return self.first.boot != self.second.boot and UNKNOWN not in (self.first.boot, self.second.boot)

    @property
    def recorded_at(self) -> str:
        """When the first of its recordings began."""
        return min(self.first.recorded_at, self.second.recorded_at)

    @property
    def late(self) -> bool:
        """Whether one of its trials was recorded after a later block had begun."""
        return self.first.late or self.second.late

    def key(self, level: Unit) -> tuple[object, ...]:
        """Return what the pair has in common with others of its host, run, boot or block."""
        keys = (self.host, self.first.run, self.cluster, self.first.block)
        return keys[: LEVELS.index(level) + 1]


def paired(first: Side, second: Side) -> list[Pair]:
    """Return the blocks that hold a trial of each side, in the order of their recording."""
    left, right = ({(one.run, one.block): one for one in side.observations} for side in (first, second))
    pairs = sorted((Pair(left[key], right[key]) for key in left if key in right), key=lambda pair: pair.recorded_at)
    return [Pair(pair.first, pair.second, cluster) for pair, cluster in zip(pairs, _clusters(pairs), strict=True)]


def _clusters(pairs: Sequence[Pair]) -> list[int]:
    """Number the pairs such that those that share a boot, also by way of others, have one number.

    Where the arms need two machines, a boot may last from one block into the next.
    """
    numbers = list(range(len(pairs)))
    seen: dict[tuple[str, str], int] = {}
    for index, pair in enumerate(pairs):
        for one in (pair.first, pair.second):
            number = numbers[seen.setdefault((one.run, one.boot), index)]
            numbers = [number if each == numbers[index] else each for each in numbers]
    return numbers


def unit_of(pairs: Sequence[Pair]) -> Unit:
    """Return the highest level with enough units; those above it are fixed: nothing is said beyond these."""
    for level in LEVELS[:-1]:
        units = {pair.key(level) for pair in pairs}
        if len(units) - len(_strata(pairs, level)) >= MIN_FREEDOM:
            return level
    return "block"


def _strata(pairs: Sequence[Pair], level: Unit) -> set[tuple[object, ...]]:
    return {pair.key(level)[:-1] for pair in pairs}


def sample(pairs: Sequence[Pair], values: np.ndarray, unit: Unit) -> Sample:
    """Return the mean of each unit's values, (..., pairs), grouped by the fixed levels above; each unit counts once."""
    units: dict[tuple[object, ...], dict[tuple[object, ...], list[int]]] = {}
    for index, pair in enumerate(pairs):
        key = pair.key(unit)
        units.setdefault(key[:-1], {}).setdefault(key, []).append(index)
    return Sample(
        tuple(
            np.stack([values[..., indices].mean(axis=-1) for indices in group.values()], axis=-1)
            for group in units.values()
        )
    )


def describe(first: Side, second: Side, pairs: Sequence[Pair]) -> Design:
    """Count the levels, choose the unit and say what limits the result."""
    used = [one for pair in pairs for one in (pair.first, pair.second)] or [*first.observations, *second.observations]
    hosts, runs = {one.host for one in used}, {one.run for one in used}
    boots = {(one.run, one.boot) for one in used}
    unit = unit_of(pairs) if pairs else "trial"
    notes = [*_limits(pairs, unit, len(hosts), len(boots)), *_losses(first, second, pairs), *_splits(pairs)]
    units = len({pair.key(unit) for pair in pairs}) if unit != "trial" else 0
    return Design(len(hosts), len(runs), len(boots), len(pairs), unit, units, bool(pairs), tuple(notes))


def _limits(pairs: Sequence[Pair], unit: Unit, hosts: int, boots: int) -> Iterator[str]:
    """Say of each level whether it is beyond what was sampled: one host, these 2 hosts, these 3 boots."""
    if not pairs:
        yield "not interleaved: the sides share no block, so the hour of their recording is in the difference"
    if hosts == 1:
        yield "one host: how other hosts differ is not known"
    elif not pairs or unit != "host":
        yield f"{hosts} hosts: the result is about these"
    if boots == 1:
        yield "one boot: how other boots of the machine differ is not known"
        return
    above, known = LEVELS[1 : LEVELS.index(unit)] if pairs else (), hosts
    for level in above:  # with as many runs as hosts, these runs are these hosts
        count = len({pair.key(level) for pair in pairs})
        if count > known:
            yield f"{count} {level}s: the result is about these"
        known = count
    if len(pairs) > 1 and len({pair.cluster for pair in pairs}) == 1:
        yield f"{boots} boots with blocks in common, which count as one: how other boots differ is not known"


def _losses(first: Side, second: Side, pairs: Sequence[Pair]) -> list[str]:
    notes = []
    lone = len(first.observations) + len(second.observations) - 2 * len(pairs)
    if pairs and lone:
        notes.append(f"left out: {counted(lone, 'trial')} whose block has no usable trial of the other side")
    if late := sum(pair.late for pair in pairs):
        notes.append(f"completed later: {counted(late, 'block')}, after a later block had begun")
    return notes


def _splits(pairs: Sequence[Pair]) -> Iterator[str]:
    """Name the blocks whose two trials are of two boots, as after an interruption, although those of others share one.

    Where no block of a run has one boot, the arms need machines of their own, as two kernels do.
    """
    paired_in_boots = {pair.first.run for pair in pairs if pair.first.boot == pair.second.boot}
    split = [pair for pair in pairs if pair.first.run in paired_in_boots and pair.is_of_two_boots]
    several_runs = len({pair.first.run for pair in pairs}) > 1
    names = [f"{pair.first.block}" + (f" of {pair.first.run}" if several_runs else "") for pair in split]
    if len(names) == 1:
        yield (
            f"block {names[0]} was split across two boots: its trials are not paired within one boot, so how boots "
            "differ is in its difference, and the boot is no level of it"
        )
    elif names:
        yield (
            f"blocks {listed(names)} were split across boots: their trials are not paired within one boot, so how "
            "boots differ is in their differences, and the boot is no level of them"
        )


def _joined(*names: str) -> str:
    return ", ".join(dict.fromkeys(names))
