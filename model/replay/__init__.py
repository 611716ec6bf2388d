"""Replays the fair scheduling class from a recording: rebuilds what the kernel knew at each switch."""
