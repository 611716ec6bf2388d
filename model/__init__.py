"""Prediction of what the scheduler does next, from the tables of a recording. Knows nothing of how they were made."""
