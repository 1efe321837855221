"""What decides on the order: samplers of torch and of the project"""

CLASSES = (
    "torch.utils.data.Sampler", "torch.utils.data.sampler.Sampler", "torch.utils.data.BatchSampler",
    "torch.utils.data.sampler.BatchSampler", "torch.utils.data.DistributedSampler",
    "torch.utils.data.distributed.DistributedSampler", "torch.utils.data.SubsetRandomSampler",
    "torch.utils.data.RandomSampler",
)  # fmt: skip
BUILDERS = ("torch.utils.data.*Sampler", "torch.utils.data.sampler.*Sampler", "torch.utils.data.distributed.*Sampler")
