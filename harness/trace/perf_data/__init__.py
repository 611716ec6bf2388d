"""The perf.data file: its header, its sections, its records, compressed or not."""
