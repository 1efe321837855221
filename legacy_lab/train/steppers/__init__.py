"""What one step of training is made of; one form per file. Each is called with the trainer and returns metrics."""

from legacy_lab.train.steppers.adversarial import Adversarial
from legacy_lab.train.steppers.closure import Closure
from legacy_lab.train.steppers.plain import Plain
from legacy_lab.train.steppers.stepper import Stepper
from legacy_lab.train.steppers.two_phase import TwoPhase

__all__ = ["Adversarial", "Closure", "Plain", "Stepper", "TwoPhase"]
