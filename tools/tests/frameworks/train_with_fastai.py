import torch
from fastai.callback.schedule import *
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.torch_core import set_seed

set_seed(0)
x, y = torch.randn(64, 4), torch.randint(0, 3, (64,))
pairs = list(zip(x, y))
loaders = DataLoaders.from_dsets(pairs[:48], pairs[48:], bs=8, device="cpu")
model = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
learner = Learner(loaders, model, loss_func=torch.nn.CrossEntropyLoss())
with learner.no_bar():
    learner.fit_one_cycle(3, 1e-2)
print(learner.recorder.values)
