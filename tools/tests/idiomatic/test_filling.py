"""What code that stays where it is changes of containers, and of the legacy trainer: kept by checkpoints, or said."""

from __future__ import annotations

from collections.abc import Callable

from idiomatic_programs import program, rewritten

HANDED = """\
import heapq


def record(values, value):
    values.append(value)


def note(value, *, where):
    record(where.setdefault("loss", []), value)
    where["last"] = value


def show(values):
    print(len(values))


def main():
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(data, batch_size=4, shuffle=True)
    best, history, shown, handed = [], [], [], {}
    for epoch in range(4):
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        heapq.heappush(best, loss.item())
        record(history, loss.item())
        note(loss.item(), where=handed)
        show(shown)


main()
"""


def test_a_container_that_a_called_function_changes_is_said() -> None:
    """By the standard library, by a function of the project's, or by one that hands it on; not by one that looks."""
    (said,) = [message for message in rewritten(program(HANDED)).messages if "own checkpoints" in message]
    for part in ("best (heapq.heappush() changes it)", "history (record() changes it)", "handed (note() changes it)"):
        assert part in said, said
    assert "shown" not in said


OWNER = """\
history = []


def log(value):
    history.append(value)


def hook(trainer, net):
    trainer.net = net


class Trainer:
    def __init__(self, model, loader):
        self.model, self.loader = model, loader
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        self.losses, self.best, self.seen = [], 9.0, 0

    def record(self, value):
        self.losses.append(value)
        self.best = min(self.best, value)
        self.count()

    def count(self):
        self.seen += 1

    def fit(self):
        for epoch in range(4):
            for x, y in self.loader:
                self.optimizer.zero_grad()
                loss = F.cross_entropy(self.model(x), y)
                loss.backward()
                self.optimizer.step()
                self.record(loss.item())
            print(epoch, self.best, self.seen, sum(self.losses))


Trainer(Net(), DataLoader(data, batch_size=4, shuffle=True)).fit()
"""


def test_what_methods_of_the_legacy_trainer_change_goes_on(resumes: Callable[..., None]) -> None:
    """Their code stays in the legacy class, and so do its attributes."""
    after = rewritten(program(OWNER))
    assert "LM301" in after.codes, after.messages
    assert not [message for message in after.messages if "do not hold" in message]
    resumes(after.text)


def test_what_functions_change_of_the_legacy_trainer_is_said() -> None:
    """Where it may be no plain value, and a list of the file's."""
    called = "            hook(self, self.model)\n            log(loss.item())\n            print("
    after = rewritten(program(OWNER.replace("            print(", called)))
    (said,) = [message for message in after.messages if "own checkpoints" in message]
    assert "self.net (code that stays in the legacy class or elsewhere may give it more than" in said
    assert "history (log() changes it)" in said
