"""Bringing blocks into the order of time costs work in proportion to the file, whatever its order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from harness.trace.decode.results import NEVER
from harness.trace.decode.row_release import earliest_times, in_time_order


class CountingDecoder:
    """Keeps times as the decoder keeps rows, and counts how many it sorts."""

    def __init__(self) -> None:
        self.held: list[int] = []
        self.earliest_ns, self.sorted = NEVER, 0

    @property
    def rows(self) -> int:
        return len(self.held)

    def enter_part(self, part: int) -> None:
        pass

    def take(self, times: Sequence[int]) -> None:
        self.held += times
        self.earliest_ns = min(times, default=NEVER)

    def release_all(self) -> dict[str, Any]:
        return self.release(NEVER)

    def release(self, limit_ns: int) -> dict[str, Any]:
        self.sorted += len(self.held)
        released = sorted(time for time in self.held if time < limit_ns)
        self.held = [time for time in self.held if time >= limit_ns]
        return {"switches": {"time_ns": np.array(released)}}


def recording(times: Sequence[int], buffer_rows: int) -> Any:
    def feed(decoder: Any, chunk_bytes: int) -> Iterator[None]:
        for first in range(0, len(times), buffer_rows):
            decoder.take(times[first : first + buffer_rows])
            yield

    return SimpleNamespace(parts=[SimpleNamespace(feed=feed)])


ORDERS = {
    "forwards": list(range(4000)),
    "backwards": list(range(4000))[::-1],
    "first one last": [*range(1, 4000), 0],
    "early ones late, one by one": [time for pair in zip(range(2000, 4000), range(2000), strict=True) for time in pair],
}


@pytest.mark.parametrize("order", ORDERS)
def test_no_order_of_a_file_makes_rows_be_sorted_again_and_again(order: str) -> None:
    file, decoder = recording(ORDERS[order], buffer_rows=10), CountingDecoder()
    times = earliest_times(file, CountingDecoder())  # type: ignore[arg-type]
    blocks = list(in_time_order(file, decoder, times, release_rows=100))  # type: ignore[arg-type]
    released = [int(time) for block in blocks for time in block["switches"]["time_ns"]]
    assert released == list(range(4000))
    assert decoder.sorted <= 4 * len(released)


def test_the_rows_of_a_file_in_order_are_released_as_they_come() -> None:
    file, decoder = recording(ORDERS["forwards"], buffer_rows=10), CountingDecoder()
    times = earliest_times(file, CountingDecoder())  # type: ignore[arg-type]
    held = [decoder.rows for _ in in_time_order(file, decoder, times, release_rows=100)]  # type: ignore[arg-type]
    assert (len(held), max(held)) == (40, 0)
