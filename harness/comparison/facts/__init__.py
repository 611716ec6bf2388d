"""Host, machine, guest, packages and experiment: the facts of trials and runs, and those that two sides differ in."""
