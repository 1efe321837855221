"""One cause per file; see lab_parity.diagnose."""
