"""What is minimised: loss modules of torch and of the project"""

CLASSES = (
    "torch.nn.modules.loss._Loss", "torch.nn.modules.loss._WeightedLoss", "torch.nn.CrossEntropyLoss",
    "torch.nn.MSELoss", "torch.nn.BCEWithLogitsLoss", "torch.nn.NLLLoss",
)  # fmt: skip
BUILDERS = ("torch.nn.*Loss", "timm.loss.*", "monai.losses.*", "torch.nn.modules.loss.*Loss")
