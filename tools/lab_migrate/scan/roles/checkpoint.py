"""What is saved and loaded: torch.save, torch.load, safetensors"""

BUILDERS = (
    "torch.save", "torch.load", "safetensors.torch.save_file", "safetensors.torch.load_file",
    "safetensors.torch.save_model", "safetensors.torch.load_model", "torch.distributed.checkpoint.save*",
    "torch.distributed.checkpoint.load*", "fvcore.common.checkpoint.*",
)  # fmt: skip
