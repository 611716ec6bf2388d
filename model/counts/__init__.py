"""Conditional distributions learned by counting."""
