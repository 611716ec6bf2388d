"""Guest images: described by a recipe, built on this host, kept by digest."""

from harness.boxes import lock_file
from harness.boxes.box import Box
from harness.boxes.builder import build, build_from
from harness.boxes.cache import CachedBox, built_at, damaged, ls, remove, require_unchanged, verify
from harness.boxes.lock_file import Lock
from harness.boxes.recipes import Recipe, kernel_version, names, recipe

__all__ = [
    "Box", "CachedBox", "Lock", "Recipe", "build", "build_from", "built_at", "damaged", "kernel_version", "lock_file",
    "ls", "names", "recipe", "remove", "require_unchanged", "verify",
]  # fmt: skip
