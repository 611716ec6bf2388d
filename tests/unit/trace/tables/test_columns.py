"""Columns of tables as arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.trace.tables.columns import previous_in_group


@pytest.mark.parametrize("bits", [16, 32])
@given(data=st.data())
def test_the_previous_row_of_a_group_is_the_last_one_with_its_key(bits: int, data: st.DataObject) -> None:
    some = data.draw(st.lists(st.integers(-(1 << bits - 1), (1 << bits - 1) - 1), min_size=1, max_size=3))
    keys = data.draw(st.lists(st.sampled_from(some), max_size=20))
    last: dict[int, int] = {}
    expected = []
    for row, key in enumerate(keys):
        expected.append(last.get(key, -1))
        last[key] = row
    assert previous_in_group(np.array(keys, f"i{bits // 8}")).tolist() == expected
