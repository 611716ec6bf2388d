"""Damages bytes, text and JSON in one place or a few; the same dice always do the same damage."""

from __future__ import annotations

import json
import random
from typing import Any

from sanitised import damaged

EVIL_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 2**31, 2**63, 2**64, -(2**63), 10**400, 0.5, 1e308, -1e308, float("nan"), float("inf"),
    "", "0", "a" * 5000, "\x1b]52;c;eA==\x07", "\x1b[2J", "\u202e\u200b", "\ud800", "\0",
    "../../etc/passwd", "/dev/zero", "nan", "1e999", [], {},
    [[]], [None] * 50, {"": None}, {"a": {"a": {"a": {}}}}, [1, "a", {}],
)  # fmt: skip
EVIL_TEXTS = (
    b"\0",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\x1b[2J",
    b"9" * 400,
    b"-",
    b"\n",
    b"\r",
    b"\t",
    b" " * 300,
    b"%s",
    b"\xc2\x9b",
)


def damage_bytes(whole: bytes, dice: random.Random) -> bytes:
    """Change some bytes, and sometimes cut the rest away."""
    return damaged(whole, dice) if len(whole) > 2000 else _flipped(whole, dice)


def damage_text(whole: bytes, dice: random.Random) -> bytes:
    """Change, repeat, swap or drop some lines and some bytes in them."""
    lines = whole.splitlines(keepends=True)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(lines))
        line, other = lines[at], lines[dice.randrange(len(lines))]
        place = dice.randrange(len(line) + 1)
        end = place + dice.choice([0, 1, dice.randrange(20)])
        evil = dice.choice([*EVIL_TEXTS, dice.randbytes(3), other.strip()])
        lines[at] = dice.choice([line[:place] + evil + line[end:], line[:place], b"", line * 2, other])
    return b"".join(lines)


def damage_json(whole: bytes, dice: random.Random) -> bytes:
    """Replace or drop a value at any depth; now and then damage the text instead."""
    kind = dice.random()
    if kind < 0.15:
        return damage_text(whole, dice)
    if kind < 0.17:
        return b"[" * dice.choice([100, 10_000, 200_000])
    value = json.loads(whole)
    for _ in range(dice.randint(1, 3)):
        value = _changed(value, dice)
    return json.dumps(value).encode()


def _flipped(whole: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(whole))
    return whole[:at] + bytes([whole[at] ^ 1 << dice.randrange(8)]) + whole[at + 1 :]


def _changed(value: Any, dice: random.Random) -> Any:
    if not isinstance(value, dict | list) or not value or dice.random() < 0.1:
        return dice.choice(EVIL_VALUES)
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = dice.choice(keys)
    if dice.random() < 0.15:
        items = [(name, value[name]) for name in keys if name != key]
        return dict(items) if isinstance(value, dict) else [item for _, item in items]
    copy = value.copy()
    copy[key] = _changed(value[key], dice)
    return copy
