"""The tasks that could run: rebuilds each CPU's set of runnable tasks and cuts the switches into slices."""
