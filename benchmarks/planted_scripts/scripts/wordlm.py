"""A word-level GRU after an old tutorial: the hidden state is carried, the update is written out, the rate annealed."""

import torch
import torch.nn as nn
from torch.nn import functional as F

NTOKENS, BPTT = 24, 7


class RNNModel(nn.Module):
    def __init__(self, ntoken, nhid, nlayers, dropout=0.2):
        super().__init__()
        self.nhid, self.nlayers = nhid, nlayers
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(ntoken, nhid)
        self.rnn = nn.GRU(nhid, nhid, nlayers)
        self.decoder = nn.Linear(nhid, ntoken)
        self.decoder.weight = self.encoder.weight
        self.init_weights()

    def init_weights(self):
        initrange = 0.1
        nn.init.uniform_(self.encoder.weight, -initrange, initrange)
        nn.init.zeros_(self.decoder.bias)

    def init_hidden(self, bsz):
        return torch.zeros(self.nlayers, bsz, self.nhid)

    def forward(self, inputs, hidden):
        emb = self.drop(self.encoder(inputs))
        output, hidden = self.rnn(emb, hidden)
        decoded = self.decoder(self.drop(output))
        return F.log_softmax(decoded.view(-1, NTOKENS), dim=1), hidden


def batchify(data, bsz):
    nbatch = data.size(0) // bsz
    data = data.narrow(0, 0, nbatch * bsz)
    return data.view(bsz, -1).t().contiguous()


def get_batch(source, i):
    seq_len = min(BPTT, len(source) - 1 - i)
    return source[i : i + seq_len], source[i + 1 : i + 1 + seq_len].view(-1)


def repackage_hidden(h):
    return h.detach()


def evaluate(model, criterion, source):
    model.eval()
    total, hidden = 0.0, model.init_hidden(4)
    with torch.no_grad():
        for i in range(0, source.size(0) - 1, BPTT):
            data, targets = get_batch(source, i)
            output, hidden = model(data, hidden)
            total += len(data) * criterion(output, targets).item()
    return total / (len(source) - 1)


def train_epoch(model, criterion, source, lr):
    model.train()
    hidden = model.init_hidden(4)
    for i in range(0, source.size(0) - 1, BPTT):
        data, targets = get_batch(source, i)
        model.zero_grad()
        hidden = repackage_hidden(hidden)
        output, hidden = model(data, hidden)
        loss = criterion(output, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        for p in model.parameters():
            p.data.add_(p.grad, alpha=-lr)


def main():
    torch.manual_seed(1111)
    words = torch.randint(0, NTOKENS, (100,), generator=torch.Generator().manual_seed(6))
    train_data = batchify(words, 4)
    val_data = batchify(torch.randint(0, NTOKENS, (40,), generator=torch.Generator().manual_seed(7)), 4)
    model = RNNModel(NTOKENS, 10, 2)
    criterion = nn.NLLLoss()
    lr, best = 5.0, 0.0
    for _ in range(2):
        train_epoch(model, criterion, train_data, lr)
        val_loss = evaluate(model, criterion, val_data)
        if val_loss < best:
            best = val_loss
        else:
            lr /= 4.0


main()
