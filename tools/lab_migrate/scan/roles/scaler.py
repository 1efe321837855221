"""What makes half precision work: autocast, loss scalers, apex"""

CLASSES = ("torch.cuda.amp.GradScaler", "torch.amp.GradScaler", "torch.cuda.amp.grad_scaler.GradScaler")
BUILDERS = (
    "torch.cuda.amp.GradScaler", "torch.cuda.amp.grad_scaler.GradScaler", "torch.amp.GradScaler",
    "torch.cuda.amp.autocast", "torch.amp.autocast", "torch.autocast", "torch.cpu.amp.autocast",
    "apex.amp.initialize", "apex.amp.scale_loss", "apex.fp16_utils.*",
    "torch.distributed.fsdp.sharded_grad_scaler.ShardedGradScaler", "timm.utils.NativeScaler",
)  # fmt: skip
