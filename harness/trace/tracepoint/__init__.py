"""The events: tracepoint formats, the columns made of their fields, task names (comm) and task states (prev_state)."""
