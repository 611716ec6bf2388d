"""Records to columns: runs the compiled decoder over the records of a recording."""
