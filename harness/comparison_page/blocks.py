"""Draws the blocks of a comparison in the order of time: what both sides measured, and the effect in each block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING, Literal

from markupsafe import Markup

from harness.comparison.statistics.effect import BlockEffect, Effect
from harness.comparison_page.amounts import FACTORS, MANIFOLD, UNITS, effect_text, interval_text
from harness.report.svg import Scale, element, lane, nice_scale, tick_step, ticks
from harness.report.text import MINUS

if TYPE_CHECKING:
    from harness.comparison.comparison import Comparison

VALUES, GAP, EFFECTS, FOOT = 84, 14, 92, 34  # heights of the parts of a panel, and between the first two, pixels
GUTTER = 11  # percent of the width, for the numbers of the vertical axes
EDGE = 8  # pixels above and below the outermost dots
MANY = 60  # blocks: then their dots are smaller
OPEN_PANELS = 6
LARGEST = 1e6  # ratio that is drawn


@dataclass(frozen=True)
class Slot:
    """One place on the axis of time: a block, or the gap where one was lost."""

    run: str
    block: int
    host: str = ""
    boot: str = ""
    recorded_at: str = ""
    late: bool = False
    lost: bool = False

    @property
    def key(self) -> tuple[str, int]:
        """Return what identifies the block among all runs."""
        return self.run, self.block


def slots(effects: Iterable[Effect]) -> list[Slot]:
    """Return all blocks in the order of their recording, with a gap where the numbering of a run has one."""
    known = {(one.run, one.block): one for effect in effects for one in effect.blocks}
    order = sorted(known.values(), key=lambda one: one.recorded_at)
    runs = dict.fromkeys(one.run for one in order)
    return [slot for run in runs for slot in _of_run([one for one in order if one.run == run])]


def _of_run(blocks: Sequence[BlockEffect]) -> list[Slot]:
    placed = [Slot(one.run, one.block, one.host, one.boot, one.recorded_at, one.late) for one in blocks]
    numbers = {one.block for one in blocks}
    for lost in range(max(numbers)):
        if lost not in numbers:
            before = [index for index, slot in enumerate(placed) if slot.block < lost and not slot.late]
            placed.insert(max(before, default=-1) + 1, Slot(blocks[0].run, lost, lost=True))
    return placed


@dataclass(frozen=True)
class BlocksFigure:
    """The axis of time that all panels share."""

    slots: tuple[Slot, ...]

    @property
    def several_boots(self) -> bool:
        """Return whether boots are drawn: a run has several, and some hold several blocks."""
        of_runs = [[slot.boot for slot in self.slots if slot.run == run and not slot.lost] for run in self.runs]
        return any(1 < len(set(boots)) < len(boots) for boots in of_runs)

    @property
    def has_own_boot(self) -> Literal["", "block", "trial"]:
        """Return what was recorded in a boot of its own: every block, every trial of a block, or neither."""
        kept = [slot for slot in self.slots if not slot.lost]
        if len(kept) < 2 or len({(slot.run, slot.boot) for slot in kept}) < len(kept):
            return ""
        return "trial" if all(", " in slot.boot for slot in kept) else "block"

    @property
    def several_runs(self) -> bool:
        """Return whether the blocks are of several runs."""
        return len({slot.run for slot in self.slots}) > 1

    @property
    def lost(self) -> int:
        """Return how many blocks were lost."""
        return sum(slot.lost for slot in self.slots)

    @property
    def late(self) -> int:
        """Return how many blocks were completed after a later one had begun."""
        return sum(slot.late for slot in self.slots)

    @property
    def runs(self) -> list[str]:
        """Return the names of the runs in the order of their first block."""
        return list(dict.fromkeys(slot.run for slot in self.slots))

    def panel(self, effect: Effect) -> Markup:
        """Draw one metric: above the values of both sides, below the effect in each block."""
        label = f"{effect.metric.name} in {len(effect.blocks)} blocks: {effect_text(effect)} {interval_text(effect)}"
        parts = [
            *self._frame("values", 0, VALUES, *self._values(effect)),
            *self._frame("effects", VALUES + GAP, EFFECTS, *self._effects(effect)),
            element(
                "svg", *self._axis(), x=f"{GUTTER}%", y=VALUES + GAP + EFFECTS, width=f"{100 - GUTTER}%", height=FOOT
            ),
        ]
        return lane(VALUES + GAP + EFFECTS + FOOT, parts, label, class_="blocks")

    def _frame(
        self, kind: str, top: int, height: int, scale: Scale, labels: list[tuple[float, str]], drawn: list[Markup]
    ) -> Iterable[Markup]:
        """Place what is drawn in its own coordinates beside the numbers of its vertical axis."""
        for value, text in labels:
            y = top + _y(scale, value, height)
            yield element("line", class_="grid", x1=f"{GUTTER}%", x2="100%", y1=y, y2=y)
            yield element("text", text, class_="tick", x=f"{GUTTER - 1}%", y=y + 4, text_anchor="end")
        box = f"0 0 {max(len(self.slots), 1)} {height}"
        yield element("svg", *self._ground(height), *drawn, class_=kind, x=f"{GUTTER}%", y=top, viewBox=box,
                      width=f"{100 - GUTTER}%", height=height, preserveAspectRatio="none")  # fmt: skip

    def _ground(self, height: int) -> Iterable[Markup]:
        for index, slot in enumerate(self.slots):
            if slot.lost:
                yield element("rect", class_="lost", x=index + 0.1, y=0, width=0.8, height=height)
        recorded = [(index, slot) for index, slot in enumerate(self.slots) if not slot.lost]
        for (_, before), (index, slot) in pairwise(recorded):
            if before.run != slot.run:
                yield element("path", class_="apart run", d=f"M{index} 0V{height}")
            elif self.several_boots and before.boot != slot.boot:
                yield element("path", class_="apart boot", d=f"M{index} 0V{height}")

    def _values(self, effect: Effect) -> tuple[Scale, list[tuple[float, str]], list[Markup]]:
        factor = effect.metric.unit.factor
        pairs = [(index, factor * one.first, factor * one.second) for index, one in self._placed(effect)]
        scale = nice_scale([value for _, *both in pairs for value in both])
        firsts = [(index, _y(scale, first, VALUES)) for index, first, _ in pairs]
        seconds = [(index, _y(scale, second, VALUES)) for index, _, second in pairs]
        drawn = [
            _stems("pair", [(index, a, b) for (index, a), (_, b) in zip(firsts, seconds, strict=True)]),
            *self._dots("first", firsts),
            *self._dots("second", seconds),
        ]
        return scale, _labels(scale, 3), drawn

    def _effects(self, effect: Effect) -> tuple[Scale, list[tuple[float, str]], list[Markup]]:
        factor = FACTORS[effect.metric.scale]
        placed = self._placed(effect)
        values = [factor * min(one.value, LARGEST) for _, one in placed]
        ends = (
            [factor * min(end, LARGEST) for end in (effect.interval.low, effect.interval.high)]
            if effect.interval
            else []
        )
        scale = nice_scale([0.0, *values, *ends])
        width, mean = len(self.slots), _y(scale, factor * min(effect.value, LARGEST), EFFECTS)
        drawn = []
        if ends:
            low, high = (_y(scale, end, EFFECTS) for end in ends)
            drawn.append(element("rect", class_="held", x=0, width=width, y=high, height=max(low - high, 1.0)))
        zero = _y(scale, 0.0, EFFECTS)
        drawn += [element("path", class_="zero", d=f"M0 {zero:.1f}H{width}")]
        drawn += [element("path", class_="mean", d=f"M0 {mean:.1f}H{width}")]
        points = [(index, _y(scale, value, EFFECTS)) for (index, _), value in zip(placed, values, strict=True)]
        drawn += [_course(points), *self._dots("effect", points)]
        unit = UNITS[effect.metric.scale] if effect.metric.scale == "ratio" else ""
        return scale, _labels(scale, 3, signed=True, unit=unit), drawn

    def _placed(self, effect: Effect) -> list[tuple[int, BlockEffect]]:
        of_key = {(one.run, one.block): one for one in effect.blocks}
        return [(index, of_key[slot.key]) for index, slot in enumerate(self.slots) if slot.key in of_key]

    def _dots(self, kind: str, points: Sequence[tuple[int, float]]) -> Iterable[Markup]:
        """Draw dots that keep their shape: ends of lines without a length; those of late blocks are squares."""
        small = " small" if len(self.slots) > MANY else ""
        for late in (False, True):
            path = "".join(f"M{index + 0.5:g} {y:.1f}h.001" for index, y in points if self.slots[index].late is late)
            if path:
                shape = f"dot {kind}{' late' if late else ''}{small}"
                yield element("path", class_=shape, d=path)
                if late or kind == "first":  # these are hollow
                    yield element("path", class_=f"{shape} inner", d=path)

    def _axis(self) -> Iterable[Markup]:
        count = len(self.slots)
        every = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500) if count / step <= 16)
        for index, slot in enumerate(self.slots):
            x = f"{100 * (index + 0.5) / count:.2f}%"
            if index % every == 0:
                yield element("line", class_="tick", x1=x, x2=x, y1="0", y2="4")
                yield element("text", str(slot.block), class_="tick", x=x, y="16", text_anchor="middle")
        label = f"block{_hours(self.slots)}"
        yield element("text", label, class_="axis", x="50%", y="31", text_anchor="middle")


def choose_panels(comparison: Comparison) -> tuple[list[Effect], list[Effect]]:
    """Return the metrics whose blocks are shown at once, the main one and those that differ most surely, and others."""
    drawn = [effect for effect in comparison.effects if effect.blocks]
    main = comparison.primary or (drawn[0].metric.name if drawn else "")

    def rank(effect: Effect) -> tuple[bool, bool, float]:
        return effect.metric.name != main, not effect.differs, 1.0 if effect.p_adjusted is None else effect.p_adjusted

    first = {effect.metric.name for effect in sorted(drawn, key=rank)[:OPEN_PANELS]}
    ordered = sorted(drawn, key=lambda effect: effect.metric.name != main)
    return (
        [effect for effect in ordered if effect.metric.name in first],
        [effect for effect in ordered if effect.metric.name not in first],
    )


def block_rows(effects: Sequence[Effect]) -> list[list[object]]:
    """Return every effect of every block as rows of a CSV file, the first of them names the columns."""
    head: list[object] = ["metric", "run", "block", "host", "boot", "recorded_at", "late", "first", "second", "effect"]
    rows: list[list[object]] = [
        [effect.metric.name, one.run, one.block, one.host, one.boot, one.recorded_at, one.late,
         *(float(f"{number:.9g}") if isfinite(number) else None for number in (one.first, one.second, one.value))]
        for effect in effects
        for one in effect.blocks
    ]  # fmt: skip
    return [head, *rows]


def _y(scale: Scale, value: float, height: int) -> float:
    return height - EDGE - (height - 2 * EDGE) * scale.position(value) / 100


def _labels(scale: Scale, wanted: int, *, signed: bool = False, unit: str = "") -> list[tuple[float, str]]:
    step = tick_step(scale.low, scale.high, wanted)
    digits = next((places for places in range(4) if abs(step * 10**places - round(step * 10**places)) < 1e-6), 4)
    return [(value, _label(value, digits, signed, unit)) for value in ticks(scale, wanted)]


def _label(value: float, digits: int, signed: bool, unit: str) -> str:
    if signed and unit and value >= 100 * (MANIFOLD - 1):
        return f"×{1 + value / 100:.3g}"  # noqa: RUF001 - the sign of a factor
    text = f"{value:{'+' if signed else ''},.{digits}f}".replace(",", "\u202f")
    return ("0" if abs(value) < 10**-digits / 2 else text.replace("-", MINUS)) + unit


def _stems(kind: str, pairs: Sequence[tuple[int, float, float]]) -> Markup:
    path = "".join(f"M{index + 0.5:g} {first:.1f}V{second:.1f}" for index, first, second in pairs)
    return element("path", class_=kind, d=path)


def _course(points: Sequence[tuple[int, float]]) -> Markup:
    """Draw the line through the dots, which stops at a gap."""
    path, last = "", None
    for index, y in points:
        path += f"{'L' if last == index - 1 else 'M'}{index + 0.5:g} {y:.1f}"
        last = index
    return element("path", class_="course", d=path)


def _hours(placed: Sequence[Slot]) -> str:
    times = sorted(slot.recorded_at for slot in placed if len(slot.recorded_at) >= len("2026-11-30T19:00"))
    if not times:
        return ""
    first, last = (f"{time[:10]} {time[11:16]}" for time in (times[0], times[-1]))
    return f", {first} to {last.removeprefix(first[:11])} UTC"
