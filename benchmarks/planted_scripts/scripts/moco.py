"""Contrastive learning with a momentum encoder and a queue of negatives; SGD whose rate follows a cosine by epochs."""

import copy
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

DIM, QUEUE, EPOCHS, BATCH = 6, 24, 3, 8


def encoder():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
        nn.Conv2d(8, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, DIM),
    )


class MoCo:
    def __init__(self, m=0.9, temperature=0.2):
        self.m, self.temperature = m, temperature
        self.query = encoder()
        self.key = copy.deepcopy(self.query)
        for p in self.key.parameters():
            p.requires_grad_(False)
        self.queue = F.normalize(torch.randn(DIM, QUEUE), dim=0)
        self.at = 0

    @torch.no_grad()
    def momentum_update(self):
        for q, k in zip(self.query.parameters(), self.key.parameters()):
            k.lerp_(q, 1 - self.m)

    @torch.no_grad()
    def enqueue(self, keys):
        self.queue[:, self.at : self.at + len(keys)] = keys.T
        self.at = (self.at + len(keys)) % QUEUE

    def loss(self, first, second):
        q = F.normalize(self.query(first), dim=1)
        with torch.no_grad():
            self.momentum_update()
            k = F.normalize(self.key(second), dim=1)
        positive = (q * k).sum(dim=1, keepdim=True)
        negative = q @ self.queue.clone()
        logits = torch.cat([positive, negative], dim=1) / self.temperature
        labels = torch.zeros(len(logits), dtype=torch.long)
        self.enqueue(k)
        return F.cross_entropy(logits, labels)


def augment(x):
    x = x + 0.1 * torch.randn_like(x)
    brightness = torch.from_numpy(np.random.uniform(0.8, 1.2, (len(x), 1, 1, 1))).float()
    return x * brightness


def adjust_learning_rate(optimizer, epoch):
    for group in optimizer.param_groups:
        group["lr"] = 0.03 * 0.5 * (1.0 + math.cos(math.pi * epoch / EPOCHS))


def run():
    torch.manual_seed(5)
    np.random.seed(5)
    images = torch.rand(26, 3, 8, 8, generator=torch.Generator().manual_seed(9))
    moco = MoCo()
    optimizer = torch.optim.SGD(moco.query.parameters(), 0.03, momentum=0.9, weight_decay=1e-4)
    for epoch in range(EPOCHS):
        adjust_learning_rate(optimizer, epoch)
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(100 + epoch))
        for start in range(0, len(images) - BATCH + 1, BATCH):
            x = images[order[start : start + BATCH]]
            loss = moco.loss(augment(x), augment(x))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


run()
