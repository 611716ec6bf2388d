"""A copy of a page that also runs a script of a test."""

from __future__ import annotations

import re
from pathlib import Path

DARK = "--blink-settings=preferredColorScheme=0"  # of Chromium


def with_script(page: Path, script: str) -> Path:
    """Write a copy of a page beside it that also runs `script`, which its policy would forbid."""
    bare = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text("utf-8"))
    head, body, rest = bare.rpartition("</body>")
    copy = page.with_name(f"with_script_{page.name}")
    copy.write_text(f"{head}<script>{script}</script>{body}{rest}", "utf-8")
    return copy
