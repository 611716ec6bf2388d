"""What `import harness` offers: recordings, runs and their trials as objects, with tables and data frames."""
