"""What one step of training is made of; one form per file. Each is called with the trainer and returns metrics."""

from legacy_lab.train.steppers.plain import Plain
from legacy_lab.train.steppers.stepper import Stepper

__all__ = ["Plain", "Stepper"]
