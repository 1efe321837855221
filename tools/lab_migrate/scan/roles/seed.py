"""What seeds the generators"""

BUILDERS = (
    "torch.manual_seed", "torch.cuda.manual_seed*", "torch.random.manual_seed", "numpy.random.seed",
    "random.seed", "accelerate.utils.set_seed", "transformers.set_seed", "torch.Generator",
    "numpy.random.default_rng", "numpy.random.RandomState",
)  # fmt: skip
