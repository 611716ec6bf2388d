"""The events in a recording: their formats, their print formats, task names and task states."""
