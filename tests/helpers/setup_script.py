"""Parts of setup.sh, which tests run without the rest of it."""

from __future__ import annotations

import re

from locations import ROOT


def functions(*names: str) -> str:
    """Return the text of these functions."""
    return "\n".join(_part(rf"^{name}\(\) {{[^\n]*(?: }}$|\n.*?^}}$)", name) for name in names)


def array(name: str) -> str:
    """Return the text that sets this array."""
    return _part(rf"^{name}=\(.*?\)$", name)


def _part(pattern: str, name: str) -> str:
    found = re.search(pattern, (ROOT / "setup.sh").read_text("utf-8"), re.M | re.S)
    assert found, f"setup.sh has no {name}"
    return found.group()
