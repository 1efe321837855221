"""Datasets that any machine has, and the loader that deals them out."""
