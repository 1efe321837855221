"""A curve is fitted by LBFGS with its whole batch, evaluated as often as the optimizer likes; doubles."""

import torch
import torch.nn as nn

STEPS = 4


class Curve(nn.Module):
    def __init__(self, width=12):
        super().__init__()
        self.hidden = nn.Linear(1, width)
        self.out = nn.Linear(width, 1)

    def forward(self, x):
        return self.out(torch.tanh(self.hidden(x)))


def run():
    torch.manual_seed(4)
    torch.set_default_dtype(torch.float64)
    x = torch.linspace(-3, 3, 40)[:, None]
    y = torch.sin(2 * x) + 0.1 * torch.randn(40, 1)
    model = Curve()
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=4, history_size=3)

    def closure():
        optimizer.zero_grad()
        loss = (model(x) - y).square().mean()
        for p in model.parameters():
            loss = loss + 1e-4 * p.square().sum()
        loss.backward()
        return loss

    for _ in range(STEPS):
        optimizer.step(closure)
    torch.set_default_dtype(torch.float32)


run()
