"""What a person sees: live progress, and results as tables for the terminal."""
