"""The axes under the figures of the report."""

from __future__ import annotations

import re

from harness.report.svg import Scale, axis, time_tick


def test_an_axis_with_so_many_ticks_that_their_labels_would_touch_in_a_narrow_column_labels_every_second() -> None:
    decades = axis(Scale(1e4, 1e8, log=True), "slice length", time_tick)
    assert decades.count("<line") == 5
    assert re.findall("<text[^>]*>([0-9]+)[^<]*([a-zµ]s)<", decades) == [("10", "µs"), ("1", "ms"), ("100", "ms")]
