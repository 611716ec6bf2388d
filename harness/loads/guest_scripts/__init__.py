"""Small programs that loads send into the guest and run there with its own Python, 3.6 or newer."""

from pathlib import Path


def script(name: str) -> str:
    """Return the text of a program of this folder."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
