"""A classifier under Ignite."""

import torch
from ignite.engine import Engine, Events, create_supervised_evaluator
from ignite.metrics import Accuracy

torch.manual_seed(0)
data = torch.utils.data.TensorDataset(torch.randn(50, 4), torch.randint(0, 3, (50,)))
loader = torch.utils.data.DataLoader(data, batch_size=8, shuffle=True)
model = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.Dropout(0.1), torch.nn.Linear(16, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)


def step(engine, batch):
    model.train()
    optimizer.zero_grad()
    x, y = batch
    loss = torch.nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    return loss.item()


trainer = Engine(step)
evaluator = create_supervised_evaluator(model, metrics={"accuracy": Accuracy()})


@trainer.on(Events.ITERATION_COMPLETED(every=3))
def log(engine):
    print(engine.state.epoch, engine.state.iteration, engine.state.output)


@trainer.on(Events.EPOCH_COMPLETED)
def evaluate(engine):
    schedule.step()
    evaluator.run(loader)
    print("accuracy", evaluator.state.metrics)


trainer.run(loader, max_epochs=3)
print(sum(p.sum().item() for p in model.parameters()), torch.rand(1))
