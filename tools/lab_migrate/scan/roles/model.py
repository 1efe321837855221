"""What is trained: classes that derive from `torch.nn.Module`, and where they are built"""

CLASSES = (
    "torch.nn.Module", "torch.nn.Sequential", "torch.nn.ModuleList", "torch.nn.modules.module.Module",
    "torch.nn.modules.Module", "torch.jit.ScriptModule", "transformers.PreTrainedModel", "diffusers.ModelMixin",
    "timm.models.VisionTransformer", "mmengine.model.BaseModule", "mmengine.model.BaseModel",
    "mmcv.runner.BaseModule",
)  # fmt: skip
BUILDERS = (
    "torchvision.models.*", "timm.create_model", "timm.models.create_model",
    "transformers.Auto*.from_pretrained", "transformers.*Model*.from_pretrained",
    "transformers.*For*.from_pretrained", "torch.hub.load", "segmentation_models_pytorch.*",
)  # fmt: skip
