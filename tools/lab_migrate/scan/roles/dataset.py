"""What is learnt from: datasets of torch and of the project"""

CLASSES = (
    "torch.utils.data.Dataset", "torch.utils.data.IterableDataset", "torch.utils.data.dataset.Dataset",
    "torch.utils.data.TensorDataset", "torch.utils.data.Subset", "torch.utils.data.ConcatDataset",
    "torchvision.datasets.VisionDataset", "torchvision.datasets.ImageFolder",
    "torchvision.datasets.DatasetFolder", "torchvision.datasets.CIFAR10", "torchvision.datasets.CIFAR100",
    "torchvision.datasets.MNIST", "torch_geometric.data.Dataset", "torch_geometric.data.InMemoryDataset",
)  # fmt: skip
BUILDERS = (
    "torchvision.datasets.*", "torchaudio.datasets.*", "torchtext.datasets.*", "datasets.load_dataset",
    "torch.utils.data.TensorDataset", "torch.utils.data.random_split", "torch.utils.data.Subset",
    "torch.utils.data.ConcatDataset",
)  # fmt: skip
