"""What spreads the training over processes and devices"""

BUILDERS = (
    "torch.distributed.init_process_group", "torch.nn.parallel.DistributedDataParallel",
    "torch.nn.DataParallel", "torch.nn.parallel.DataParallel",
    "torch.nn.parallel.distributed.DistributedDataParallel", "torch.distributed.fsdp.FullyShardedDataParallel",
    "torch.distributed.fsdp.fully_shard", "torch.distributed._composable.fsdp.fully_shard",
    "apex.parallel.DistributedDataParallel", "horovod.torch.init", "horovod.torch.DistributedOptimizer",
    "deepspeed.initialize", "deepspeed.init_distributed", "accelerate.Accelerator",
    "torch.multiprocessing.spawn", "torch.multiprocessing.Process", "fairscale.*", "torch_xla.*",
)  # fmt: skip
