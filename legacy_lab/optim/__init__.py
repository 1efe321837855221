"""Lab's optimizers, which own everything from the loss to the update, and their schedules."""
