"""Settings of the project that several tests share: lines of a gin file."""

from __future__ import annotations

ACCUMULATE = "Adam.accumulate = 3"
COSINE = ("Adam.schedule = @WarmupCosine()", "WarmupCosine.lr = 0.02", "WarmupCosine.total = 9")
LBFGS = (
    "Trainer.optimizer = @Torch", "Torch.name = 'LBFGS'", "Torch.lr = 0.1", "Torch.settings = {'max_iter': 3}",
    "Trainer.stepper = @Closure()",
)  # fmt: skip
SAM = ("Trainer.optimizer = @SAM", "SAM.inner = @SGD")
LOOKAHEAD = ("Trainer.optimizer = @Lookahead", "Lookahead.inner = @Adam", "Lookahead.every = 3")
GRADIENTS = ("Adam.gradients = @Gradients()",)

FP16 = (
    *GRADIENTS, "Trainer.precision = @Autocast()", "Autocast.dtype = 'float16'", "Gradients.scaler = @TorchScaler()",
)  # fmt: skip
#: A scale that overflows at first, and grows again.
LABS_SCALE = (
    *GRADIENTS, "Trainer.precision = @Autocast()", "Autocast.dtype = 'float16'", "Gradients.scaler = @DynamicScaler()",
    "DynamicScaler.scale_by = 4194304.0", "DynamicScaler.factor = 4.0", "DynamicScaler.interval = 2",
)  # fmt: skip
GAN = (
    "Trainer.model = @Adversaries", "Trainer.objective = @Realness()", "Trainer.stepper = @Adversarial()",
    "Trainer.optimizer = @Several", "Several.optimizers = {'critic': @critic/Adam, 'generator': @generator/SGD}",
    "Adversaries.generator = @generator/Model", "Adversaries.critic = @critic/Model",
    "generator/Model.input_shape = (3,)",
    "generator/Model.blocks = [@hidden/Linear(), @Norm(), @Activation(), @image/Linear()]",
    "critic/Model.input_shape = (6,)", "critic/Model.blocks = [@hidden/Linear(), @Activation(), @logit/Linear()]",
    "hidden/Linear.features = 8", "image/Linear.features = 6", "logit/Linear.features = 1",
)  # fmt: skip
