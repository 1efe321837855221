"""Config files that are Python: read by working out what they assign, without running them."""
