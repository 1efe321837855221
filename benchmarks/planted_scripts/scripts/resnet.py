"""A residual network on noise images: SGD with Nesterov momentum, one-cycle schedule, random flips, label smoothing."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

STEPS = 7
torch.manual_seed(3)


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width, momentum=0.1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x):
        h = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(x + self.bn2(self.conv2(h)))


net = nn.Sequential()
net.add_module("stem", nn.Conv2d(3, 8, 3, padding=1))
net.add_module("blocks", nn.Sequential(Block(8), Block(8)))
net.add_module("pool", nn.AdaptiveAvgPool2d(1))
net.add_module("flat", nn.Flatten())
net.add_module("dropout", nn.Dropout(0.1))
net.add_module("fc", nn.Linear(8, 5))
for module in net.modules():
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")

g = torch.Generator().manual_seed(0)
dataset = TensorDataset(torch.randn(40, 3, 8, 8, generator=g), torch.randint(0, 5, (40,), generator=g))
order = torch.Generator().manual_seed(17)
loader = DataLoader(dataset, batch_size=16, shuffle=True, drop_last=True, generator=order)

decay, no_decay = [], []
for name, p in net.named_parameters():
    (no_decay if p.ndim == 1 else decay).append(p)
optimizer = torch.optim.SGD(
    [{"params": decay, "weight_decay": 5e-4}, {"params": no_decay, "weight_decay": 0.0}],
    lr=0.1, momentum=0.9, nesterov=True,
)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=20)
criterion = nn.CrossEntropyLoss(label_smoothing=0.1)


def augment(x):
    flip = torch.rand(len(x)) < 0.5
    x = torch.where(flip[:, None, None, None], x.flip(-1), x)
    return x


step = 0
while step < STEPS:
    for x, y in loader:
        if step == STEPS:
            break
        net.train()
        x = augment(x)
        logits = net(x)
        loss = criterion(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        step += 1
