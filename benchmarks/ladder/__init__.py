"""How often `within-noise` and `equivalent` are wrong; see ../ladder_rates.py."""
