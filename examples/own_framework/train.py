"""Trains a small classifier of scikit-learn's digits by the lab's own framework."""

import argparse

import torch
from framework import Feed, Momentum, Trainer
from sklearn.datasets import load_digits
from torch import nn


def build(steps):
    torch.manual_seed(0)
    digits = load_digits()
    inputs = torch.tensor(digits.data / 16, dtype=torch.float32)
    targets = torch.tensor(digits.target)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 10))
    feed = Feed(inputs[:1500], targets[:1500], size=32, seed=1)
    return Trainer(model, feed, Momentum(model, lr=0.1), steps), (inputs[1500:], targets[1500:])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=60)
    trainer, test = build(parser.parse_args().steps)
    trainer.run(test)
