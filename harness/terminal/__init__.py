"""Shows live progress, and results as tables, in a terminal."""
