"""Guest images: described by a recipe, built on this host, kept by digest."""

from harness.boxes.builder import build
from harness.boxes.cache import Box, CachedBox, ls, rm, verify
from harness.boxes.recipes import Recipe, names, recipe

__all__ = ["Box", "CachedBox", "Recipe", "build", "ls", "names", "recipe", "rm", "verify"]
