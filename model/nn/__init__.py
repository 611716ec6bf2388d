"""Neural networks: cells, heads, likelihoods, and the loop that trains them."""
