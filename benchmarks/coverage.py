"""Measures how often 95 % intervals of scores hold the true score, for few trials that differ little or much.

    python benchmarks/coverage.py
    python benchmarks/coverage.py --simulations 4000

Each simulated experiment has a few trials of 200 switches in blocks of 10. Trials differ from each other, and blocks
within a trial. The true score is the mean over all trials that there could be, which is known here.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np

from model.scoring.bootstrap import DRAWS, Blocks, Interval, mean_interval

EVENTS, BLOCK = 200, 10  # of a trial
TRIALS = (2, 3, 5, 10)
SPREADS = (0, 1, 4)  # standard deviation of the trials' true scores, in standard errors of a trial's own score
SHARE, BITS = 0.8, 0.5  # true scores
BLOCK_SPREAD = 0.1  # standard deviation of the blocks of a trial
KINDS = ("share", "bits")

Method = Callable[[np.ndarray, np.ndarray, int], Interval]


def true_score(kind: str) -> float:
    """Return the score that the intervals have to hold."""
    return SHARE if kind == "share" else BITS


def simulate(kind: str, trials: int, spread: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return (n,) hits or bits of one experiment, and the trial of each switch."""
    draw, mean = (_beta, SHARE) if kind == "share" else (_gamma, BITS)
    of_switch = mean * (1 - mean) if kind == "share" else mean**2 + BLOCK_SPREAD**2  # its variance within a block
    error = np.sqrt((BLOCK_SPREAD**2 + of_switch / BLOCK) / (EVENTS / BLOCK))
    of_trial = draw(np.full(trials, mean), spread * error, rng)
    of_block = np.repeat(draw(np.repeat(of_trial, EVENTS // BLOCK), BLOCK_SPREAD, rng), BLOCK)
    value = rng.random(len(of_block)) < of_block if kind == "share" else rng.exponential(of_block)
    return value.astype(float), np.repeat(np.arange(trials), EVENTS)


def _beta(mean: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Draw shares of these means; those close to 0 or 1 vary less than `deviation`, as they must."""
    if not deviation:
        return mean
    mean = np.clip(mean, 1e-6, 1 - 1e-6)
    size = np.maximum(mean * (1 - mean) / deviation**2 - 1, 0.2)
    return rng.beta(mean * size, (1 - mean) * size)


def _gamma(mean: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Draw bits of these means: skewed to the right, never below 0."""
    if not deviation:
        return mean
    mean = np.maximum(mean, 1e-6)
    return rng.gamma((mean / deviation) ** 2, deviation**2 / mean)


def within(value: np.ndarray, trial: np.ndarray, seed: int) -> Interval:
    """Return the interval of the blocks, which knows nothing of trials."""
    return mean_interval(value, stream=trial, seed=seed)


def over_trials(value: np.ndarray, trial: np.ndarray, seed: int) -> Interval:
    """Return the interval that scores have."""
    return mean_interval(value, stream=trial, trial=trial, seed=seed)


def resampled(value: np.ndarray, trial: np.ndarray, seed: int) -> Interval:
    """Return the middle 95 % of draws of trials, and of blocks within them, with replacement."""
    blocks, rng = Blocks.draw(trial, trial, seed), np.random.default_rng(seed)
    means = np.add.reduceat(value, blocks.begin) / np.diff([*blocks.begin, len(value)])
    by_trial = means.reshape(trial[-1] + 1, -1)
    drawn = by_trial[rng.integers(0, len(by_trial), (DRAWS, len(by_trial)))]
    column = rng.integers(0, by_trial.shape[1], drawn.shape)
    low, high = np.quantile(np.take_along_axis(drawn, column, axis=2).mean(axis=(1, 2)), [0.025, 0.975])
    return float(low), float(high)


METHODS: dict[str, Method] = {
    "within, by blocks": within,
    "resampled trials": resampled,
    "over trials": over_trials,
}


def coverage(method: Method, kind: str, trials: int, spread: float, simulations: int) -> float:
    """Return the share of simulated experiments whose interval holds the true score."""
    rng, held, truth = np.random.default_rng([trials, int(10 * spread)]), 0, true_score(kind)
    for seed in range(simulations):
        interval = method(*simulate(kind, trials, spread, rng), seed)
        held += interval is not None and interval[0] <= truth <= interval[1]
    return held / simulations


def rows(simulations: int) -> Iterator[str]:
    """Yield the lines of a table."""
    yield f"| score | trials differ by | interval | {' | '.join(f'{trials} trials' for trials in TRIALS)} |"
    yield f"| --- | --- | --- | {' | '.join('---:' for _ in TRIALS)} |"
    for kind in KINDS:
        for spread in SPREADS:
            for name, method in METHODS.items():
                cells = [f"{coverage(method, kind, trials, spread, simulations):.1%}" for trials in TRIALS]
                yield f"| {kind} | {spread} | {name} | {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=1000, help="experiments per cell")
    for line in rows(parser.parse_args().simulations):
        print(line, flush=True)


if __name__ == "__main__":
    main()
