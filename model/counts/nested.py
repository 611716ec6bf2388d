"""Interpolated counts of symbols in nested contexts: the tables of every predictor that counts.

Witten-Bell smoothing (Witten and Bell, IEEE Trans. Inf. Theory 37(4), 1991): a context seen n times with t distinct
symbols leaves t / (n + t) of its probability to the next shorter context, and the empty one to the uniform law. Here it
leaves s t / (n + s t); the strength s is 1 in theirs. Long contexts are rare, and their counts are less reliable:
contexts of a dozen values needed a strength of 16 or 32 on nginx recordings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

STRENGTHS = (1, 2, 4, 8, 16, 32, 64)  # tried; integers, so that the sums stay exact
MERGE_RATIO = 8  # merge when the latest part has more than 1/8 of the distinct rows of the merged ones

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]  # contexts (n, depth), symbols (n,), how often each row occurs (n,)


@dataclass(frozen=True)
class _Level:
    """Contexts of one length. A context is its parent's number and one value; its own number is its rank in `key`."""

    key: np.ndarray  # int64 (contexts,), sorted: parent * values + value
    begin: np.ndarray  # int64 (contexts + 1,): where a context's entries begin in the next two arrays
    symbol: np.ndarray  # int32 (entries,)
    count: np.ndarray  # int64 (entries,)

    def totals(self) -> np.ndarray:
        """Return (contexts,) how often each occurs."""
        return np.add.reduceat(self.count, self.begin[:-1]) if len(self.count) else np.zeros(0, np.int64)

    def counts_of(self, number: np.ndarray, symbol: np.ndarray, symbols: int) -> np.ndarray:
        """Return (n,) how often each symbol came in the context of the same row."""
        pairs = np.repeat(np.arange(len(self.key)), np.diff(self.begin)) * symbols + self.symbol
        wanted = number * symbols + symbol
        index = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
        return np.where(pairs[index] == wanted, self.count[index], 0)


class NestedCounts:
    """Counts of `symbols` symbols in contexts of up to `depth` values, each value below `values`."""

    strength = 1  # how much of a context's probability is left to shorter ones; `choose` may raise it

    def __init__(self, symbols: int, values: int, depth: int) -> None:
        self.symbols, self.values, self.depth = symbols, values, depth
        self.levels: list[_Level] = []

    def fit_parts(self, parts: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
        """Count several parts, each as for `fit`; only their distinct rows are in memory."""
        unmerged: list[Rows] = []
        for context, symbol in parts:
            unmerged.append(self._distinct(context[:, : self.depth], symbol, np.ones(len(symbol), np.int64)))
            if len(unmerged) > 1 and len(unmerged[-1][1]) * MERGE_RATIO > len(unmerged[0][1]):
                unmerged = [self._merged(unmerged)]
        self.fit(*self._merged(unmerged))

    def fit(self, context: np.ndarray, symbol: np.ndarray, times: np.ndarray | None = None) -> None:
        """Count symbols (n,) in contexts (n, >= depth), the most useful value first; each row once, or `times` (n,)."""
        self.levels = []
        times = np.ones(len(symbol), np.int64) if times is None else times
        number = np.zeros(len(symbol), np.int64)
        for depth in range(self.depth + 1):
            key = number if depth == 0 else number * self.values + context[:, depth - 1]
            keys, number = np.unique(key, return_inverse=True)
            pairs, index = np.unique(number.astype(np.int64) * self.symbols + symbol, return_inverse=True)
            count = np.bincount(index, weights=times, minlength=len(pairs)).astype(np.int64)
            begin = np.searchsorted(pairs, np.arange(len(keys) + 1) * self.symbols)
            self.levels.append(_Level(keys, begin, (pairs % self.symbols).astype(np.int32), count))

    def _merged(self, parts: list[Rows]) -> Rows:
        if len(parts) == 1:
            return parts[0]
        return self._distinct(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def _distinct(self, context: np.ndarray, symbol: np.ndarray, times: np.ndarray) -> Rows:
        """Return the rows that differ, and how often each occurs."""
        number = symbol.astype(np.int64)
        for column in context.T:
            number = np.unique(number, return_inverse=True)[1] * self.values + column
        _, first, index = np.unique(number, return_index=True, return_inverse=True)
        return context[first], symbol[first], np.bincount(index, weights=times).astype(np.int64)

    def probabilities(self, context: np.ndarray, depth: int | None = None) -> np.ndarray:
        """Return (n, symbols) float64 for contexts (n, >= depth), of which at most `depth` values are used."""
        probability = np.full((len(context), self.symbols), 1 / self.symbols)
        for known, number, level in self._known_contexts(context, self.depth if depth is None else depth):
            _blend(probability, known, number, level, self.strength)
        return probability

    def choose(
        self,
        parts: Iterable[tuple[np.ndarray, np.ndarray]],
        depths: Sequence[int],
        strengths: Sequence[int] = STRENGTHS,
    ) -> np.ndarray:
        """Choose the strength that needs the fewest bits on `parts` (each as for `fit`) at the best of `depths`.

        Return (depth + 1,) the total bits with this strength, one per number of context values used.
        """
        bits = np.zeros((self.depth + 1, len(strengths)))
        for context, symbol in parts:
            for depth, probability in enumerate(self._probability_of(context, symbol, np.array(strengths))):
                bits[depth] -= np.log2(probability).sum(axis=1)
        best = int(bits[list(depths)].min(axis=0).argmin())
        self.strength = strengths[best]
        return bits[:, best]

    def _probability_of(self, context: np.ndarray, symbol: np.ndarray, strengths: np.ndarray) -> Iterator[np.ndarray]:
        """Yield (strengths, n) the probability of each row's own symbol, with 0, 1, ... values of its context."""
        probability = np.full((len(strengths), len(symbol)), 1 / self.symbols)
        for known, number, level in self._known_contexts(context, self.depth):
            backoff = strengths[:, None] * np.diff(level.begin)[number]
            count = level.counts_of(number, symbol[known], self.symbols)
            probability[:, known] = (backoff * probability[:, known] + count) / (backoff + level.totals()[number])
            yield probability

    def _known_contexts(self, context: np.ndarray, depth: int) -> Iterator[tuple[np.ndarray, np.ndarray, _Level]]:
        """Yield for each level up to `depth`: the rows whose context was counted, its number, and the level."""
        number = np.zeros(len(context), np.int64)
        known = np.arange(len(context))
        for level_depth, level in enumerate(self.levels[: depth + 1]):
            key = number if level_depth == 0 else number * self.values + context[known, level_depth - 1]
            index = np.minimum(np.searchsorted(level.key, key), len(level.key) - 1)
            counted = level.key[index] == key
            known, number = known[counted], index[counted]
            yield known, number, level

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the counts, as flat arrays, and the strength."""
        counts = {
            f"{depth}.{name}": getattr(level, name)
            for depth, level in enumerate(self.levels)
            for name in ("key", "begin", "symbol", "count")
        }
        return {"strength": np.array([self.strength], np.int64), **counts}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore what `arrays` returned. Counts stored without a strength have 1, as all once had."""
        self.strength = int(arrays["strength"][0]) if "strength" in arrays else 1
        names = ("key", "begin", "symbol", "count")
        self.levels = [_Level(*(arrays[f"{depth}.{name}"] for name in names)) for depth in range(self.depth + 1)]


def _blend(probability: np.ndarray, rows: np.ndarray, number: np.ndarray, level: _Level, strength: int) -> None:
    """Mix the counts of each row's context into the probabilities of the shorter contexts, in place."""
    begin, distinct = level.begin[number], level.begin[number + 1] - level.begin[number]
    backoff = strength * distinct
    totals = level.totals()[number] + backoff
    entries = np.arange(distinct.sum()) + np.repeat(begin - np.cumsum(distinct) + distinct, distinct)
    probability[rows] *= (backoff / totals)[:, None]
    probability[np.repeat(rows, distinct), level.symbol[entries]] += level.count[entries] / np.repeat(totals, distinct)
