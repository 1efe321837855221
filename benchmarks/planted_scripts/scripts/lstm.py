"""A character LSTM trained by truncated backpropagation with Lion, written by the lab; every few updates it evaluates."""

import random

import numpy as np
import torch
import torch.nn as nn


class Lion(torch.optim.Optimizer):
    def __init__(self, params, lr, beta1, beta2, wd):
        super().__init__(list(params), dict())
        self.lr, self.beta1, self.beta2, self.wd = lr, beta1, beta2, wd

    def step(self, closure=None):
        with torch.no_grad():
            for p in self.param_groups[0]["params"]:
                if p.grad is None:
                    continue
                if "m" not in self.state[p]:
                    self.state[p]["m"] = torch.zeros_like(p)
                m = self.state[p]["m"]
                update = (self.beta1 * m + (1 - self.beta1) * p.grad).sign()
                p.add_(update + self.wd * p, alpha=-self.lr)
                m.mul_(self.beta2).add_(p.grad, alpha=1 - self.beta2)


class CharRNN(nn.Module):
    def __init__(self, vocab=15, hidden=12):
        super().__init__()
        self.emb = nn.Embedding(vocab, 8)
        self.rnn = nn.LSTM(8, hidden, num_layers=2, dropout=0.2, batch_first=True)
        self.out = nn.Linear(hidden, vocab)

    def forward(self, x, state=None):
        h, state = self.rnn(self.emb(x), state)
        return self.out(h), state


class Trainer:
    def __init__(self):
        random.seed(7)
        np.random.seed(7)
        torch.manual_seed(7)
        self.model = CharRNN()
        self.opt = Lion(self.model.parameters(), lr=0.004, beta1=0.9, beta2=0.97, wd=0.05)
        self.text = torch.from_numpy(np.random.RandomState(9).randint(0, 15, (6, 200)))
        self.state = None

    def evaluate(self):
        self.model.eval()
        with torch.no_grad():
            self.model(self.text[:, -20:])
        self.model.train()

    def fit(self, updates):
        offset = 0
        for n in range(updates):
            if random.random() < 0.2:
                self.state = None
            chunk = self.text[:, offset : offset + 13]
            offset += 12
            logits, state = self.model(chunk[:, :-1], self.state)
            self.state = tuple(s.detach() for s in state)
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), chunk[:, 1:].flatten())
            for p in self.model.parameters():
                p.grad = None
            loss.backward()
            nn.utils.clip_grad_value_(self.model.parameters(), 0.02)
            self.opt.step()
            if n % 2 == 1:
                self.evaluate()


Trainer().fit(6)
