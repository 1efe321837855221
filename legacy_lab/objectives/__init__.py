"""What a model is trained for: from a model and a batch to a loss and metrics; one per file."""
