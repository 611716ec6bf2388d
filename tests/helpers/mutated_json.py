"""JSON that somebody has changed in one place."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("0" * 64),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def mutated(data: st.DataObject, value: Any) -> Any:
    """Return `value` with one thing in it, at any depth, replaced or left out."""
    if isinstance(value, dict | list) and value and data.draw(st.integers(0, 5), label="deeper"):
        keys = sorted(value) if isinstance(value, dict) else range(len(value))
        key = data.draw(st.sampled_from(keys), label="key")
        if not data.draw(st.integers(0, 4), label="kept"):
            rest = [(name, value[name]) for name in keys if name != key]
            return dict(rest) if isinstance(value, dict) else [item for _, item in rest]
        changed = value.copy()
        changed[key] = mutated(data, value[key])
        return changed
    return data.draw(VALUES, label="value")
