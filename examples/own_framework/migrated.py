"""The same training under Lightning, role by role: `framework.py` stays, its Trainer goes."""

import argparse
import contextlib

import lightning
from torch.nn import functional as F
from train import build

from lab_adapters import BlockModule, Evaluation, LoaderAdapter, OptimizerAdapter, TokenLoader, faithful, quiet


class Batches:
    """`Feed` as a loader: it is asked for a batch, and says where it stands."""

    def __init__(self, feed):
        self.feed = feed

    def next_batch(self):
        return self.feed.pull()

    def state(self):
        return {"random": self.feed.random.get_state(), "order": list(self.feed.order)}

    def load_state(self, state):
        self.feed.random.set_state(state["random"])
        self.feed.order = list(state["order"])


class Whole:
    """All test data as one batch, which ends an epoch."""

    epoch_ended = True

    def __init__(self, inputs, targets):
        self.batch = inputs, targets

    def next_batch(self):
        return self.batch

    def state(self):
        return {}

    def load_state(self, state):
        pass


class Updates:
    """`Momentum` as an optimizer: `step(loss)` owns all from backward to update."""

    def __init__(self, momentum):
        self.momentum = momentum
        self.groups = [{"params": momentum.params, "lr": momentum.lr}]

    def step(self, loss):
        return self.momentum.minimize(loss)

    def state(self):
        held = self.momentum
        return {"velocity": [v.clone() for v in held.velocity], "calls": held.calls, "updates": held.updates}

    def load_state(self, state):
        for v, saved in zip(self.momentum.velocity, state["velocity"], strict=True):
            v.copy_(saved)
        self.momentum.calls, self.momentum.updates = state["calls"], state["updates"]


class Average:
    """The trainer's average of the weights."""

    def __init__(self, trainer):
        self.trainer = trainer

    def update(self, model):
        self.trainer.take_average()

    @contextlib.contextmanager
    def swapped(self, model):
        kept = [p.detach().clone() for p in model.parameters()]
        self.trainer.put(self.trainer.average)
        yield
        self.trainer.put(kept)

    def state(self):
        return {"average": [mean.clone() for mean in self.trainer.average]}

    def load_state(self, state):
        for mean, saved in zip(self.trainer.average, state["average"], strict=True):
            mean.copy_(saved)


def objective(model, batch):
    """The loss, and what is reported of it."""
    inputs, targets = batch
    outputs = model(inputs)
    loss = F.cross_entropy(outputs, targets)
    return loss, {"loss": loss.detach(), "accuracy": (outputs.argmax(1) == targets).float().mean()}


def module_of(trainer, test):
    """The roles of the lab's trainer as a LightningModule."""
    said = {}

    def report(step, metrics):
        said[step] = metrics["eval/accuracy"]
        print(f"update {step} accuracy {metrics['eval/accuracy']:.3f}")

    return BlockModule(
        model=trainer.model,
        objective=objective,
        loader=LoaderAdapter(Batches(trainer.feed)),
        optimizer=OptimizerAdapter(Updates(trainer.optimizer)),
        ema=Average(trainer),
        between_steps=[Evaluation(LoaderAdapter(Whole(*test)), every=trainer.test_every, batches=1, report=report)],
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--resume", default=None)
    arguments = parser.parse_args()
    trainer, test = build(arguments.steps)
    with quiet():
        lightning.Trainer(max_steps=arguments.steps, **faithful()).fit(
            module_of(trainer, test), TokenLoader(arguments.steps), ckpt_path=arguments.resume
        )
