"""How far after a switch events may show whether the task that left waits."""

LOOKAHEAD = 30_000  # switches, wakeups and migrations of the recording, all CPUs together
