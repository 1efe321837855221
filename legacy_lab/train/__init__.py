"""The step-based trainer and what it owns: hooks, EMA, checkpoints."""
