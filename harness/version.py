"""The version of this program, in a module of its own: the package `harness` imports all others when they are used."""

__version__ = "0.3.0.dev0"
