"""The second and the third set of planted bugs: scripts with one line changed; see ../planted_bugs.py."""
