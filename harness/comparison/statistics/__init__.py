"""What blocks say: how trials are paired and counted, the effect of each metric, and how sure one may be of it."""
