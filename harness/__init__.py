"""Record the Linux scheduler under load in a described machine, predict it, and report how well that went."""

__version__ = "0.3.0.dev0"
