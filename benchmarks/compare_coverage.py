"""How often the intervals and p-values of `harness compare` are right, in simulated campaigns whose truth is known.

A trial's value is the sum of an effect of its arm, of its host, boot and block, of what arm and host, and arm and boot,
have together (an arm may gain more on one host), and of noise of its own, skewed or not, rounded or not. Each case is
many campaigns, which go through the same code as real ones, all at once.

    $ python benchmarks/compare_coverage.py
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.comparison.measured.observation import Observation
from harness.comparison.statistics import inference
from harness.comparison.statistics.design import Pair, sample, unit_of
from harness.comparison.statistics.inference import Sample
from harness.recorded_clock import RecordedClock

CAMPAIGNS = 2_000
METRICS = 20  # of one comparison: the family of Holm's correction
RESAMPLES = 1_999  # fewer than a comparison's 9,999, so that it takes minutes and not an hour
MOST_BLOCKS = 60  # at which a campaign ends whose interval is still too wide
Noise = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
NOISES: dict[str, Noise] = {
    "normal": lambda draw, shape: draw.normal(size=shape),
    "skewed": lambda draw, shape: draw.gamma(2.0, size=shape) / np.sqrt(2) - np.sqrt(2),
    "heavy": lambda draw, shape: draw.standard_t(4, size=shape) / np.sqrt(2),
    "ties": lambda draw, shape: draw.normal(size=shape),
    "one arm skewed": lambda draw, shape: draw.gamma(1.0, size=shape) - 1,
    "one arm jumps": lambda draw, shape: (draw.random(size=shape) < 0.1) / 0.3 - 1 / 3,  # in one of ten trials
}
ONE_ARM = ("one arm skewed", "one arm jumps")  # else the skew of two arms cancels in their difference
QUIET = 0.3  # the spread of the other arm's normal noise then


@dataclass(frozen=True)
class Case:
    """Campaigns of one form: hosts x boots of each x blocks of each boot; spreads in units of a trial's noise.

    `split`: of each host, the first boots whose second trials are of another boot, as after an interruption.
    """

    hosts: int
    boots: int
    blocks: int
    noise: str = "normal"
    arm_host: float = 0.5
    arm_boot: float = 0.5
    split: int = 0

    @property
    def name(self) -> str:
        """Hosts x boots x blocks, the noise, and the blocks in two boots."""
        across = f", {self.split} in two boots" if self.split else ""
        return f"{self.hosts} x {self.boots} x {self.blocks}, {self.noise}{across}"

    def pairs(self) -> list[Pair]:
        """Return the blocks as a comparison finds them."""
        return [
            Pair(_trial(host, boot, block), _trial(host, boot, block), cluster=host * self.boots + boot)
            for host in range(self.hosts)
            for boot in range(self.boots)
            for block in range(self.blocks)
        ]


CASES = [
    *(Case(1, 1, blocks, noise) for blocks in (6, 8, 12, 30) for noise in NOISES if noise not in ONE_ARM),
    *(Case(1, boots, 1) for boots in (6, 8, 12, 30)),  # a new boot for every block
    *(Case(1, boots, 1, split=1) for boots in (6, 12, 30)),  # and one that an interruption split
    Case(1, 6, 5, "skewed"),
    Case(1, 12, 3),
    Case(2, 6, 2),
    Case(2, 1, 6, "skewed"),
    Case(2, 4, 1),
    Case(6, 1, 5),
    Case(8, 2, 3, "skewed"),
    Case(12, 2, 2),
    *(Case(1, 1, blocks, noise) for noise in ONE_ARM for blocks in (6, 8, 12, 30)),
]


def _trial(host: int, boot: int, block: int) -> Observation:
    names = (f"host {host}", f"boot {host}.{boot}")
    return Observation(f"run {host}", "", "", Path(), *names, block, "", False, {}, {}, RecordedClock())


def simulate(case: Case, campaigns: int, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the difference in each block, (campaigns, blocks), and what it truly is, (campaigns,).

    Hosts that are too few to be the unit are these hosts: their own mean is the truth. So it is with boots.
    """
    shape = (campaigns, case.hosts, case.boots, case.blocks)
    hosts, boots = ((*shape[:2], 1, 1), (*shape[:3], 1))
    shared, boot = 3 * draw.normal(size=hosts), 2 * draw.normal(size=boots)
    shared = shared + boot + draw.normal(size=shape)
    by_host, by_boot = case.arm_host * draw.normal(size=hosts), case.arm_boot * draw.normal(size=boots)
    noise = NOISES[case.noise]
    of_first = QUIET * draw.normal(size=shape) if case.noise in ONE_ARM else noise(draw, shape)
    first, second = shared + of_first, shared + by_host + by_boot + noise(draw, shape)
    if case.split:
        second[:, :, : case.split] += (2 * draw.normal(size=boots) - boot)[:, :, : case.split]
    if case.noise == "ties":
        first, second = np.round(first), np.round(second)
    unit = unit_of(case.pairs())
    truth = np.zeros(campaigns)
    truth += 0 if unit == "host" else by_host.mean(axis=(1, 2, 3))
    truth += 0 if unit in ("host", "run", "boot") or case.blocks == 1 else by_boot.mean(axis=(1, 2, 3))
    return (second - first).reshape(campaigns, -1), truth


@dataclass(frozen=True)
class Found:
    """What came of a case: all are shares of its campaigns, but `units` and `unit`.

    `alarms`: of two equals; where the noise is of one arm, of two arms that have no more than the mean in common.
    """

    case: str
    unit: str
    units: int
    coverage: float
    alarms: float
    power: float


def run(case: Case, campaigns: int = CAMPAIGNS, seed: int = 1) -> Found:
    """Measure a case: coverage of the interval; false alarms of a single metric between equals; power."""
    draw = np.random.default_rng(seed)
    pairs = case.pairs()
    unit = unit_of(pairs)
    differences, truth = simulate(case, campaigns, draw)
    units = sample(pairs, differences, unit)
    low, high = inference.interval(units, RESAMPLES)
    equals, _ = simulate(replace(case, arm_host=0.0, arm_boot=0.0), campaigns, draw)
    alarms = inference.p_of_sign_flips(sample(pairs, equals, unit)) < inference.CHANCE
    return Found(
        case.name,
        f"{unit}, {len(units.groups)} fixed" if len(units.groups) > 1 else unit,
        units.size,
        float(np.mean((low <= truth) & (truth <= high))),
        float(np.mean(alarms)),
        _power(units, truth),
    )


def _power(units: Sample, truth: np.ndarray) -> float:
    """Return how often the difference that is said to be detectable is found, were it there.

    The size is the one for the true spread, the root mean square of the campaigns' own.
    """
    size = inference.detectable(units) / units.error * np.sqrt(np.mean(units.error**2))
    moved = Sample(tuple(group + (size - truth)[:, None] for group in units.groups))
    return float(np.mean(inference.p_of_sign_flips(moved) < inference.CHANCE))


def family_alarms(blocks: int, campaigns: int = CAMPAIGNS, noise: str = "skewed", seed: int = 2) -> float:
    """Return how often any of 20 metrics of equals is called different after Holm; half of them share their noise."""
    draw = np.random.default_rng(seed)
    shape = (campaigns, METRICS, blocks)
    noises = NOISES[noise](draw, shape) - NOISES[noise](draw, shape)
    noises[:, METRICS // 2 :] = noises[:, :1] + 0.3 * noises[:, METRICS // 2 :]
    p = inference.p_of_sign_flips(Sample((noises.reshape(-1, blocks),))).reshape(campaigns, METRICS)
    return float(np.mean(METRICS * p.min(axis=1) < inference.CHANCE))  # Holm's smallest p-value; the others follow it


@dataclass(frozen=True)
class Stopped:
    """Campaigns that went on until their interval was `width` wide, in units of a trial's noise."""

    width: float
    minimum: int
    coverage: float
    alarms: float  # of the metric that it stops by, if it does not differ
    null_alarms: float  # of the first arm and its twin
    blocks: tuple[float, float, float]  # quartiles


def stopped(width: float, minimum: int = 6, noise: str = "normal", campaigns: int = CAMPAIGNS) -> Stopped:
    """Stop each campaign by the rule of `trials.blocks: auto`, and look at the interval that it ends with."""
    draw = np.random.default_rng(3)
    first, second, twin = (NOISES[noise](draw, (campaigns, MOST_BLOCKS)) for _ in range(3))
    going, used = np.arange(campaigns), np.full(campaigns, MOST_BLOCKS)
    covered, alarmed, null = (np.zeros(campaigns, bool) for _ in range(3))
    for blocks in range(minimum, MOST_BLOCKS + 1):
        units, equals = (Sample(((other - first)[going, :blocks],)) for other in (second, twin))
        low, high = inference.interval(units, RESAMPLES)
        ends = (high - low <= width) | (blocks == MOST_BLOCKS)
        covered[going[ends]] = ((low <= 0) & (high >= 0))[ends]
        alarmed[going[ends]] = (inference.p_of_sign_flips(units) < inference.CHANCE)[ends]
        null[going[ends]] = (inference.p_of_sign_flips(equals) < inference.CHANCE)[ends]
        used[going[ends]] = blocks
        going = going[~ends]
        if not len(going):
            break
    low, middle, high = map(float, np.quantile(used, (0.25, 0.5, 0.75)))
    shares = [float(each.mean()) for each in (covered, alarmed, null)]
    return Stopped(width, minimum, *shares, (low, middle, high))


def lines(campaigns: int, workers: int) -> Iterator[str]:
    """Yield the tables, a line at a time, as docs/compare.md has them."""
    with ProcessPoolExecutor(workers) as pool:
        cases = pool.map(run, CASES, [campaigns] * len(CASES))
        rules = [
            (width, minimum, noise)
            for minimum in (6, 12)
            for width in (4.0, 2.0, 1.2)
            for noise in ("normal", "skewed")
        ]
        ended = pool.map(stopped, *zip(*rules, strict=True), [campaigns] * len(rules))
        families = pool.map(family_alarms, (8, 12, 30), [campaigns] * 3)
        yield "| hosts x boots x blocks, noise | unit | units | coverage | false alarms | power |"
        yield "| --- | --- | --- | --- | --- | --- |"
        for found in cases:
            yield (
                f"| {found.case} | {found.unit} | {found.units} | {found.coverage:.1%} | {found.alarms:.1%} "
                f"| {found.power:.0%} |"
            )
        yield ""
        yield "| stops at a width of | noise | blocks at least | quartiles | coverage | A/A | no difference |"
        yield "| --- | --- | --- | --- | --- | --- | --- |"
        for (width, minimum, noise), found in zip(rules, ended, strict=True):
            quartiles = ", ".join(f"{blocks:.0f}" for blocks in found.blocks)
            shares = f"{found.coverage:.1%} | {found.null_alarms:.1%} | {found.alarms:.1%}"
            yield f"| {width} | {noise} | {minimum} | {quartiles} | {shares} |"
        yield ""
        for blocks, alarms in zip((8, 12, 30), families, strict=True):
            yield f"any of {METRICS} metrics of equals called different, {blocks} blocks: {alarms:.1%}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--campaigns", type=int, default=CAMPAIGNS)
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    begin = time.monotonic()
    for line in lines(chosen.campaigns, chosen.workers):
        print(line, flush=True)
    print(f"\n{chosen.campaigns} campaigns a case, {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
