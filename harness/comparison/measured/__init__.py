"""What each trial measured: its observation, and the metrics in it with their units."""
