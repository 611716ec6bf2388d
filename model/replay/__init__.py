"""Replays a scheduling class from a recording: what the kernel knew at each switch, rebuilt from what it traced."""
