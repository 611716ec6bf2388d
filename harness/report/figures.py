"""Draws the figures of the page: each function turns numbers into inline SVG."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence

from markupsafe import Markup

from harness.report.history import Curve
from harness.report.model_scores import ModelScores, Rollout
from harness.report.recording_summary import REST, TASKS_SHOWN, Distribution
from harness.report.seed_groups import SeedGroup
from harness.report.svg import Scale, axis, element, grid, lane, nice_scale, tick_step, ticks, time_tick
from harness.report.text import fixed, percent

ROLLOUT_SHOWN = 120
_CURVE_HEIGHT = 150


def swatch(slot: int) -> Markup:
    """Draw a small square in a task's colour."""
    return element(
        "svg", element("rect", class_=f"fill t{slot}", width="10", height="10", rx="2"),
        class_="swatch", width="10", height="10", aria_hidden="true",
    )  # fmt: skip


def bar(share: float, kind: str = "") -> Markup:
    """Draw a horizontal bar over `share` (0 to 1) of its table cell."""
    width = f"{100 * min(max(share, 0.0), 1.0):.2f}%"
    return lane(14, [element("rect", class_=f"bar {kind}".strip(), x="0", y="2", height="10", width=width)])


def split_bar(contested: float) -> Markup:
    """Draw one bar in two parts: contested switches, then forced ones."""
    edge = f"{100 * contested:.2f}%"
    parts = [
        element("rect", class_="bar forced", x="0", y="2", height="10", width="100%"),
        element("rect", class_="bar contested", x="0", y="2", height="10", width=edge),
    ]
    return lane(14, parts, f"{percent(contested)} contested")


def time_scale(edges_ns: Sequence[float]) -> Scale:
    """Return the logarithmic scale of a trial's distributions."""
    return Scale(edges_ns[0], edges_ns[-1], log=True)


def time_axis(edges_ns: Sequence[float], label: str) -> Markup:
    """Draw the axis under a column of distributions."""
    return axis(time_scale(edges_ns), label, time_tick)


def ridge(distribution: Distribution, edges_ns: Sequence[float], slot: int, height: int = 38) -> Markup:
    """Draw a histogram over log time, scaled to its own peak; below it the 5 to 95 % range, middle half and median."""
    scale, peak = time_scale(edges_ns), max(distribution.bins) or 1
    base = height - 7
    steps = "".join(f"V{base - (base - 3) * n / peak:.1f}H{index + 1}" for index, n in enumerate(distribution.bins))
    shape = element("path", class_=f"fill t{slot}", d=f"M0 {base}{steps}V{base}Z")
    hist = element("svg", shape, viewBox=f"0 0 {len(distribution.bins)} {height}", preserveAspectRatio="none",
                   width="100%", height=height)  # fmt: skip
    y = height - 3
    quantiles = (distribution.p05, distribution.p25, distribution.p50, distribution.p75, distribution.p95)
    p05, p25, p50, p75, p95 = map(scale.percent, quantiles)
    middle = element("line", class_="middle", x1=p25, x2=p75, y1=y, y2=y)
    tails = element("line", class_="tails", x1=p05, x2=p95, y1=y, y2=y)
    median = element("circle", class_="median", cx=p50, cy=y, r="3")
    bins = ",".join(map(str, distribution.bins))
    return lane(height, [*grid(scale), hist, tails, middle, median], class_="ridge", data_bins=bins)


def score_scale(groups: Iterable[SeedGroup], split: str, metric: str) -> Scale:
    """Return one scale for all predictors' scores on one split, wide enough for their intervals and for chance."""
    values: list[float] = []
    for group in groups:
        scores = [seed.splits[split][metric] for seed in group.seeds if metric in seed.splits[split]]
        values += [v for score in scores for v in (score.value, score.low, score.high) if v is not None]
        if (split, metric) == ("contested", "top1"):
            values += [seed.chance for seed in group.seeds if seed.chance is not None]
    return nice_scale(values, floor=0.0, ceiling=1.0 if metric == "top1" else None)


def dots(group: SeedGroup, split: str, metric: str, scale: Scale, best: bool = False) -> Markup:
    """Draw a predictor's mean with its interval, a faint dot for each seed, and a dashed line at chance."""
    score = group.score(split, metric)
    parts = grid(scale, 4)
    chance = group.mean(lambda seed: seed.chance) if (split, metric) == ("contested", "top1") else None
    if chance is not None:
        x = scale.percent(chance)
        parts.append(element("line", class_="chance", x1=x, x2=x, y1="0", y2="100%"))
    if score is None:
        return lane(26, parts)
    if score.low is not None and score.high is not None:
        parts.append(element("line", class_="interval", x1=scale.percent(score.low), x2=scale.percent(score.high),
                             y1="13", y2="13"))  # fmt: skip
    parts += [
        element("circle", class_="seed", cx=scale.percent(seed.splits[split][metric].value), cy="13", r="2.5")
        for seed in group.seeds
        if len(group.seeds) > 1 and metric in seed.splits[split]
    ]
    kind = " ".join(["point"] + ["best"] * best + ["baseline"] * group.baseline)
    parts.append(element("circle", class_=kind, cx=scale.percent(score.value), cy="13", r="4.5"))
    return lane(26, parts)


def any_scored(groups: Iterable[SeedGroup], split: str, metric: str) -> bool:
    """Return whether any predictor has this score: a recording may hold no forced switch, or no contested one."""
    return any(group.score(split, metric) for group in groups)


def score_axis(scale: Scale, metric: str) -> Markup:
    """Draw the axis under a column of dots."""
    if metric == "top1":
        return axis(scale, "top-1 accuracy", lambda value: percent(value, 0), 4)
    step = tick_step(scale.low, scale.high, 4)
    digits = 0 if step >= 1 else 1 if step >= 0.1 else 2
    return axis(scale, "bits per switch", lambda value: fixed(value, digits), 4)


def seed_slots(groups: Iterable[SeedGroup]) -> dict[str, int]:
    """Give each seed a colour, the same in all panels."""
    seeds = sorted({seed.seed for group in groups for seed in group.seeds}, key=lambda seed: (len(seed), seed))
    return {seed: index % (TASKS_SHOWN - 1) + 1 for index, seed in enumerate(seeds)}


def curves(seeds: Sequence[ModelScores], name: str, slots: dict[str, int]) -> Markup:
    """Draw one column of the training history, a line for each seed in its colour."""
    lines = [(seed.seed, curve) for seed in seeds for curve in seed.curves if curve.label == name]
    points = [point for _, curve in lines for point in curve.points]
    xs = Scale(min(x for x, _ in points), max(x for x, _ in points) + 1e-9)
    ys = nice_scale([y for _, y in points])
    top, bottom = 12, _CURVE_HEIGHT - 40
    parts: list[Markup] = []
    for value in ticks(ys, 4):
        y = bottom - (bottom - top) * ys.position(value) / 100
        parts.append(element("line", class_="grid", x1="10%", x2="100%", y1=y, y2=y))
        parts.append(element("text", f"{value:.4g}", class_="tick", x="8.5%", y=y + 4, text_anchor="end"))
    drawn = [_polyline(curve, seed, slots[seed]) for seed, curve in lines]
    box = f"{xs.low:.9g} {-ys.high:.9g} {xs.high - xs.low:.9g} {ys.high - ys.low:.9g}"
    parts.append(element("svg", *drawn, x="10%", y=top, width="90%", height=bottom - top, viewBox=box,
                         preserveAspectRatio="none", overflow="visible"))  # fmt: skip
    foot = element("svg", axis(xs, seeds[0].x_label, lambda value: f"{value:.4g}"),
                   x="10%", y=bottom, width="90%", height="40")  # fmt: skip
    return lane(
        _CURVE_HEIGHT, [*parts, foot], f"{name} over {seeds[0].x_label}, one line for each seed", class_="curves"
    )


def _polyline(curve: Curve, seed: str, slot: int) -> Markup:
    """Draw a line through the points themselves, from which the page also writes a CSV file; y grows upwards."""
    points = " ".join(f"{x:.9g},{y:.6g}" for x, y in curve.points)
    return element("polyline", class_=f"curve s{slot}", data_seed=seed, transform="scale(1 -1)", points=points)


def rollout_slots(rollout: Rollout, known: dict[str, int]) -> dict[str, int]:
    """Choose a colour for each mark of a rollout: that of the same task elsewhere on the page, else a free one."""
    marks = [mark for mark, _ in Counter(rollout.real + rollout.generated).most_common()]
    slots = {mark: slot for mark in marks if (slot := _known_slot(mark, known)) is not None}
    free = [slot for slot in range(1, TASKS_SHOWN) if slot not in slots.values()]
    return {mark: slots[mark] if mark in slots else free.pop(0) if free else TASKS_SHOWN for mark in marks}


def rollout_legend(slots: dict[str, int]) -> list[tuple[int, str]]:
    """Return (colour, name) of the marks that have a colour of their own, and one entry for all others."""
    named = [(slot, mark) for mark, slot in slots.items() if slot != TASKS_SHOWN]
    return named + [(TASKS_SHOWN, REST)] * (len(named) < len(slots))


def _known_slot(mark: str, known: dict[str, int]) -> int | None:
    """Find the colour of a task whose number is missing in the mark or on the page, as in `nginx` and `nginx#0`."""
    if mark.startswith("swapper/"):
        return known.get("idle")
    return next((known[name] for name in (mark, f"{mark}#0", mark.removesuffix("#0")) if name in known), None)


def strip(marks: Sequence[str], slots: dict[str, int], label: str) -> Markup:
    """Draw marks in order, one coloured cell each."""
    cells: dict[int, list[str]] = {}
    for index, mark in enumerate(marks[:ROLLOUT_SHOWN]):
        cells.setdefault(slots[mark], []).append(f"M{index + 0.06:.2f} 0h.88v1h-.88z")
    drawn = [element("path", class_=f"fill t{slot}", d="".join(d)) for slot, d in sorted(cells.items())]
    return _cells(drawn, 22, label)


def strips_data(rollout: Rollout) -> str:
    """Return the marks that the strips show as JSON: names, and for each strip indices of them."""
    shown = [marks[:ROLLOUT_SHOWN] for marks in (rollout.real, rollout.generated)]
    names = list(dict.fromkeys(mark for marks in shown for mark in marks))
    return json.dumps([names, *([names.index(mark) for mark in marks] for marks in shown)], separators=(",", ":"))


def agreement(rollout: Rollout) -> Markup:
    """Draw a tick at each position where the two strips differ."""
    pairs = zip(rollout.real, rollout.generated, strict=False)
    wrong = [index for index, (real, generated) in enumerate(pairs) if real != generated and index < ROLLOUT_SHOWN]
    path = element("path", class_="differs", d="".join(f"M{index + 0.06:.2f} 0h.88v1h-.88z" for index in wrong))
    return _cells([path], 6, f"{len(wrong)} positions differ")


def rollout_note(rollout: Rollout) -> str:
    """Say how many marks agree before the first that differs."""
    pairs = list(zip(rollout.real, rollout.generated, strict=False))
    equal = next((index for index, (real, generated) in enumerate(pairs) if real != generated), len(pairs))
    return f"the first {equal} of {len(pairs)} agree; {min(len(pairs), ROLLOUT_SHOWN)} are drawn"


def _cells(drawn: list[Markup], height: int, label: str) -> Markup:
    inner = element("svg", *drawn, viewBox=f"0 0 {ROLLOUT_SHOWN} 1", preserveAspectRatio="none", width="100%",
                    height=height)  # fmt: skip
    return lane(height, [inner], label, class_="strip")
