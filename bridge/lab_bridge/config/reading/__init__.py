"""Readers: each gives the same tree of values and builder calls, with the place of every part."""
