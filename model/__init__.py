"""Predicts what the scheduler does next from the tables of a recording. Imports nothing of harness."""
