"""Names in messages."""

from __future__ import annotations

import pytest

from harness.listed import listed, shortened


@pytest.mark.parametrize(("names", "text"), [("", ""), ("a", "a"), ("ab", "a and b"), ("abcd", "a, b, c and d")])
def test_the_last_of_several_names_follows_an_and(names: str, text: str) -> None:
    assert listed([*names]) == text


@pytest.mark.parametrize(("names", "text"), [("", ""), ("abc", "a, b, c"), ("abcde", "a, b, c and 2 more")])
def test_only_the_first_of_many_names_are_named(names: str, text: str) -> None:
    assert shortened([*names], most=3) == text
