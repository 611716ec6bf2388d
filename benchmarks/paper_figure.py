"""The paper's loss curves as one SVG: a panel per set of choices, with its baselines as level lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

Rows = Sequence[Mapping[str, float]]

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 330, 260, 46, 30, 40
# column, label, colour, dashes
LEVELS = (
    ("constant_loss", "a constant", "#8a6d00", "6 3"),
    ("column_clock_loss", "the column clock", "#b3402a", "2 3"),
    ("table_loss", "order-1 table, in order", "#2f7d4f", "9 3 2 3"),
)
CURVES = (("train_loss", "train", "#9bb4d6"), ("test_loss", "test", "#1f4e8c"))


def draw(histories: Mapping[str, Sequence[Rows]]) -> str:
    """Return the figure; `histories` holds the history of each seed, by the name of the choices."""
    width, height = WIDTH * len(histories), HEIGHT + 30
    panels = "".join(
        f'<g transform="translate({WIDTH * index},0)">{"".join(_panel(name, seeds))}</g>'
        for index, (name, seeds) in enumerate(histories.items())
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"'
        f' font-size="11"><title>Mean squared error after each step: each seed thin, their mean thick</title>'
        f'<rect width="{width}" height="{height}" fill="white"/>{panels}{"".join(_legend())}</svg>\n'
    )


def _panel(name: str, seeds: Sequence[Rows]) -> Iterator[str]:
    """Yield a thin line per seed and a thick one for their mean; the baselines hardly differ between seeds."""
    rows = _mean(seeds)
    highest = max(row[key] for seed in seeds for row in seed for key, *_ in CURVES)
    top = min(max(highest, rows[0]["constant_loss"]), 2 * rows[0]["constant_loss"]) * 1.08
    right, floor = WIDTH - 12, HEIGHT - BOTTOM

    def x(step: float) -> float:
        return LEFT + (right - LEFT) * (step - 1) / max(len(rows) - 1, 1)

    def y(loss: float) -> float:
        return max(floor - (floor - TOP) * loss / top, TOP)

    yield f'<text x="{LEFT}" y="18" font-weight="bold">{name}</text>'
    yield f'<path d="M{LEFT} {TOP}V{floor}H{right}" fill="none" stroke="#444"/>'
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        loss = share * top
        yield f'<text x="{LEFT - 5}" y="{y(loss) + 4:.1f}" text-anchor="end">{loss:.3f}</text>'
    for step in sorted({1, (1 + len(rows)) // 2, len(rows)}):
        yield f'<text x="{x(step):.1f}" y="{floor + 15}" text-anchor="middle">{step}</text>'
    yield f'<text x="{(LEFT + right) / 2:.1f}" y="{floor + 30}" text-anchor="middle">step</text>'
    for key, _, colour, dashes in LEVELS:
        level = f"{y(rows[0][key]):.1f}"
        yield f'<path d="M{LEFT} {level}H{right}" stroke="{colour}" stroke-dasharray="{dashes}" stroke-width="1.5"/>'
    for key, _, colour in CURVES:
        for history, width in (*((seed, 0.6) for seed in seeds), (rows, 2)):
            points = " ".join(f"{x(step):.1f},{y(row[key]):.1f}" for step, row in enumerate(history, 1))
            yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}"/>'


def _mean(seeds: Sequence[Rows]) -> Rows:
    """Return the mean of each column over seeds, step by step."""
    return [{key: sum(row[key] for row in step) / len(step) for key in step[0]} for step in zip(*seeds, strict=True)]


def _legend() -> Iterator[str]:
    entries = [(label, colour, "") for _, label, colour in CURVES] + [(label, *rest) for _, label, *rest in LEVELS]
    x = LEFT
    for label, colour, dashes in entries:
        yield f'<path d="M{x} {HEIGHT + 10}h28" stroke="{colour}" stroke-dasharray="{dashes}" stroke-width="2"/>'
        yield f'<text x="{x + 34}" y="{HEIGHT + 14}">{label}</text>'
        x += 60 + 6 * len(label)
