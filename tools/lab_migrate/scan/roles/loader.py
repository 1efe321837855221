"""What yields the batches: DataLoaders, their subclasses, and other frameworks' iterators"""

CLASSES = ("torch.utils.data.DataLoader", "torch.utils.data.dataloader.DataLoader", "torch_geometric.loader.DataLoader")
BUILDERS = (
    "torch.utils.data.DataLoader", "torch.utils.data.dataloader.DataLoader", "torch_geometric.loader.*",
    "torch_geometric.data.DataLoader", "torchtext.*Iterator", "torchtext.*Iterator.splits",
    "webdataset.WebLoader", "webdataset.WebDataset", "nvidia.dali.*Iterator", "ffcv.loader.Loader",
    "torchdata.*DataLoader*", "monai.data.DataLoader", "dgl.dataloading.*",
)  # fmt: skip
