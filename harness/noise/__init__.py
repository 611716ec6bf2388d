"""How busy the host is, and how much of it a guest did not get while it was recorded."""
