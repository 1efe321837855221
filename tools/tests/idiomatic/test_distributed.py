"""Several processes: DistributedDataParallel becomes Lightning's strategy, bitwise on two processes, or is refused."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

import pytest
from distributed_programs import HEAD, run_distributed
from idiomatic_programs import rewritten

BODY = """\
torch.manual_seed(3)
data = TensorDataset(torch.randn(22, 4), torch.randint(0, 2, (22,)))
sampler = DistributedSampler(data)
loader = DataLoader(data, batch_size=4, sampler=sampler)
val_loader = DataLoader(data, batch_size=4, sampler=DistributedSampler(data, shuffle=False))
model = DDP(Net(), find_unused_parameters=False)
torch.manual_seed(dist.get_rank())
optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
for epoch in range(3):
    sampler.set_epoch(epoch)
    model.train()
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
    model.eval()
    right = torch.zeros(1)
    with torch.no_grad():
        for x, y in val_loader:
            right += (model(x).argmax(1) == y).sum()
    dist.all_reduce(right)
    if dist.get_rank() == 0:
        print("epoch", epoch, loss.item(), right.item(), model.module.norm.running_mean.sum().item())
    scheduler.step()
if dist.get_rank() == 0:
    print("epochs", sum(value.sum().item() for value in model.module.state_dict().values()))
dist.destroy_process_group()
leave()
"""
JOIN = 'dist.init_process_group("gloo")\n'
TORCHRUN = f"def main():\n{indent(JOIN + BODY, '    ')}\n\nif __name__ == '__main__':\n    main()\n"
SPAWN = f"""\
def setup(rank, size):
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = "localhost", os.environ["FREE_PORT"]
    dist.init_process_group("gloo", rank=rank, world_size=size)


def worker(rank, world_size):
    setup(rank, world_size)
{indent(BODY, "    ")}

if __name__ == "__main__":
    torch.multiprocessing.spawn(worker, args=(2,), nprocs=2)
"""


@pytest.mark.sampled
@pytest.mark.parametrize("torchrun", [True, False], ids=["torchrun", "spawn"])
def test_lightnings_strategy_equals_the_wrapper(torchrun: bool, tmp_path: Path) -> None:
    """Parameters and generators of both processes after every step, and what the first one prints."""
    text = HEAD + (TORCHRUN if torchrun else SPAWN)
    after = rewritten(text)
    assert "LM301" in after.codes, after.messages
    assert "DDP(" not in after.text
    assert "strategy=DDPStrategy(find_unused_parameters=False)," in after.text
    assert "set_epoch" not in after.text
    before = run_distributed(text, tmp_path / "before", torchrun=torchrun)
    assert set(before) == {"steps.0", "steps.1", "printed"}
    assert before["steps.0"] != before["steps.1"]
    assert run_distributed(after.text, tmp_path / "after", torchrun=torchrun) == before


def test_the_launcher_tells_which_environment() -> None:
    """torchrun has told all in the environment; a spawned process is told its number by an argument."""
    torchrun, spawn = rewritten(HEAD + TORCHRUN).text, rewritten(HEAD + SPAWN).text
    assert 'devices=int(os.environ["LOCAL_WORLD_SIZE"]),' in torchrun
    assert "plugins=TorchElasticEnvironment()," in torchrun
    assert 'os.environ["LOCAL_RANK"] = str(rank)' in spawn
    assert "devices=world_size," in spawn
    assert "plugins=LightningEnvironment()," in spawn
    assert 'strategy="ddp",' in rewritten(HEAD + TORCHRUN.replace(", find_unused_parameters=False", "")).text


REFUSED = {
    "a sampler that nobody tells of the epoch": (
        BODY.replace("    sampler.set_epoch(epoch)\n", ""), "and Lightning would"),
    "a sampler that is told another number": (
        BODY.replace("set_epoch(epoch)", "set_epoch(epoch + 1)"), "another number"),
    "epochs that are counted from one": (BODY.replace("range(3)", "range(1, 4)"), "another number"),
    "a validation that shuffles": (BODY.replace(", shuffle=False", ""), "and Lightning would"),
    "the wrapped model is saved": (
        BODY.replace("model.module.state_dict()", "model.state_dict()"), "in another way than to run a batch"),
    "the wrapped model is handed on": (
        BODY.replace("    scheduler.step()\n", "    print(model)\n    scheduler.step()\n"), "in another way"),
    "the model inside runs in the validation": (
        BODY.replace("right += (model(x)", "right += (model.module(x)"), "in another way"),
    "an argument that Lightning does not pass on": (
        BODY.replace("find_unused_parameters=False", "process_group=None"), "process_group"),
    "wrapped under a condition": (
        BODY.replace("model = DDP(Net(), find_unused_parameters=False)",
                     "model = Net()\nif dist.get_world_size() > 1:\n    model = DDP(model)"), "under a condition"),
    "gradients that are accumulated": (
        BODY.replace("for x, y in loader", "for i, (x, y) in enumerate(loader)")
        .replace("loss.backward()", "(loss / 2).backward()").replace("        optimizer.zero_grad()\n", "", 1)
        .replace("        optimizer.step()", "        if (i + 1) % 2 == 0 or i + 1 == len(loader):\n"
                 "            optimizer.step()\n            optimizer.zero_grad()"), "it trains in several processes"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "reason"), REFUSED.values(), ids=REFUSED)
def test_refused_and_unchanged(body: str, reason: str) -> None:
    """The faithful way leaves processes and wrapper as they are, and says so."""
    text = HEAD + f"def main():\n{indent(JOIN + body, '    ')}\n\nmain()\n"
    after = rewritten(text)
    assert after.text == text
    assert any(reason in message for message in after.messages), after.messages
    faithful = rewritten(text, tier="auto")
    assert any("stays the program's own" in message for message in faithful.messages), faithful.messages


def test_a_group_that_may_not_be_joined_is_refused() -> None:
    """Under a condition, by nobody, or by a process whose number cannot be told."""
    for join in (
        "",
        f"if os.environ.get('RANK'):\n    {JOIN}",
        JOIN.replace(")", ", rank=int(os.environ['SLURM']), world_size=2)"),
    ):
        text = HEAD + f"def main():\n{indent(join + BODY, '    ')}\n\nmain()\n"
        after = rewritten(text)
        assert after.text == text
        assert any("where its process group is joined" in message for message in after.messages), after.messages


def test_a_group_joined_elsewhere_is_refused() -> None:
    """A trainer's class may get a wrapped model, and each process has a device of its own."""
    text = (
        HEAD
        + f"""\
def wrapped():
    {JOIN.strip()}
    return DDP(Net())


def main():
    model = wrapped()
    data = TensorDataset(torch.randn(22, 4), torch.randint(0, 2, (22,)))
    loader = DataLoader(data, batch_size=4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(2):
        for x, y in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()


main()
"""
    )
    after = rewritten(text)
    assert after.text == text
    assert any("it may train in several processes" in message for message in after.messages), after.messages


def test_a_thread_is_no_process() -> None:
    """Lightning wants the main thread of a process."""
    text = HEAD + TORCHRUN.replace("    main()", "    import threading\n    threading.Thread(target=main).start()")
    after = rewritten(text)
    assert after.text == text
    assert any("is handed to threading.Thread" in message for message in after.messages), after.messages
