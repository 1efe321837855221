"""The folder that goes first on PYTHONPATH of a program that is to record itself; see sitecustomize.py."""
