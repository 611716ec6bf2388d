"""The text that perf prints of a recording, read back into tables: `perf script` and `perf sched map`."""
