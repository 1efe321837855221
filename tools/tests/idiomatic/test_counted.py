"""Loops that only count, and make their batches themselves: the range is what Lightning iterates over."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from idiomatic_programs import program, rewritten

Same = Callable[..., str]
Resumes = Callable[..., None]

#: A language model that draws its batches, and evaluates itself every few steps.
DRAWN = """
    max_iters, eval_interval, eval_iters = 13, 5, 2
    X, Y = data.tensors


    def get_batch(split):
        ix = torch.randint(len(X) - 8 if split == 'train' else 8, (4,))
        return X[ix], Y[ix]


    @torch.no_grad()
    def estimate_loss():
        out = {}
        model.eval()
        for split in ['train', 'val']:
            losses = torch.zeros(eval_iters)
            for k in range(eval_iters):
                x, y = get_batch(split)
                losses[k] = F.cross_entropy(model(x), y).item()
            out[split] = losses.mean()
        model.train()
        return out


    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)

    for iter in range(max_iters):

        # every once in a while evaluate the loss on train and val sets
        if iter % eval_interval == 0 or iter == max_iters - 1:
            losses = estimate_loss()
            print(f"step {iter}: train loss {losses['train']:.4f}, val loss {losses['val']:.4f}")

        # sample a batch of data
        xb, yb = get_batch('train')

        # evaluate the loss
        loss = F.cross_entropy(model(xb), yb)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    print(loss.item(), torch.rand(1).item())
"""

FULL = """
    def main():
        X, y = data.tensors
        model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.1), nn.Linear(8, 2))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 3)
        losses, best = [], 9.0
        for epoch in range(1, 12):
            loss = F.cross_entropy(model(X), y)
            losses.append(loss.item())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            best = min(best, loss.item())
            if epoch % 5 == 0:
                print(f"epoch {epoch}: loss {loss.item():.4f} {scheduler.get_last_lr()}")
            if loss.item() < 0.1:
                print("enough")
                break
        print(losses, best)

    main()
"""

MICRO = """
    def train(model, steps, micro_steps=2):
        X, Y = data.tensors
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = 0.1 / (1 + step)
            for micro_step in range(micro_steps):
                ix = torch.randint(len(X), (4,))
                loss = F.cross_entropy(model(X[ix]), Y[ix]) / micro_steps
                loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            print(step, loss.item())

    train(Net(), 7)
"""

SHUFFLED = """
    def train(model, X, y, epochs=3, batch_size=5):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        n = X.size(0)
        for epoch in range(epochs):
            model.train()
            permutation = torch.randperm(n)
            total = 0.0
            for i in range(0, n, batch_size):
                indices = permutation[i:i + batch_size]
                optimizer.zero_grad()
                loss = F.cross_entropy(model(X[indices]), y[indices])
                loss.backward()
                optimizer.step()
                total += loss.item() * len(indices)
            print(f"epoch {epoch} loss {total / n:.4f}")

    train(Net(), *data.tensors)
"""


@pytest.mark.filterwarnings("ignore:Using ModelCheckpoint with manual optimization")
@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended")
@pytest.mark.parametrize(
    ("body", "manual", "within"),
    [(DRAWN, False, True), (FULL, False, True), (MICRO, True, True), (SHUFFLED, False, False)],
    ids=["drawn", "full", "micro", "shuffled"],
)
def test_a_range_is_iterated_over(body: str, manual: bool, within: bool, same: Same, resumes: Resumes) -> None:
    """The same bits, also from a checkpoint; that of a training without epochs lies within its one epoch."""
    after = same(body, manual)
    assert ".fit(lit, range(" in after
    resumes(after, within)


def test_it_reads_as_before() -> None:
    """The number of the batch is Lightning's, and what was evaluated every few steps still is."""
    assert (
        """
    def training_step(self, batch, batch_idx):

        # every once in a while evaluate the loss on train and val sets
        if batch_idx % eval_interval == 0 or batch_idx == max_iters - 1:
            losses = estimate_loss()
            print(f"step {batch_idx}: train loss {losses['train']:.4f}, val loss {losses['val']:.4f}")

        # sample a batch of data
        xb, yb = get_batch('train')

        # evaluate the loss
        logits""".rstrip(" logits").replace("\n\n        # every", "\n        # every", 1)
        in rewritten(program(DRAWN)).text
    )


def test_a_range_whose_first_number_is_no_constant_says_that_it_begins_anew() -> None:
    """Lightning does not move what it iterates over to where a checkpoint was."""
    body = FULL.replace("def main():", "def main(first=1):").replace("range(1, 12)", "range(first, 12)")
    messages = rewritten(program(body)).messages
    assert any("do not hold the place in range(first, 12)" in message for message in messages), messages


REFUSED = {
    "depends on n, which changes": (
        "            model.train()\n",
        "            model.train()\n            n = n - 1\n",
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_a_range_that_changes_is_refused(reason: str) -> None:
    """Lightning has one length for all epochs."""
    before, after = REFUSED[reason]
    found = rewritten(program(SHUFFLED.replace(before, after)))
    assert any(reason in message for message in found.messages), found.messages


def test_a_function_that_a_loop_calls_is_no_training() -> None:
    """An attack on each batch, a search of many points: each would be a training of its own."""
    body = FULL.replace("    main()\n", "    for _ in range(2):\n        main()\n")
    found = rewritten(program(body))
    assert "LM301" not in found.codes
