"""Clipping becomes the Trainer's where it is the same, and stays where a condition or an epoch changes it."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import indent

import pytest

Same = Callable[..., str]

CLIPS = {
    "if args.clip > 0:\n    nn.utils.clip_grad_norm_(net.parameters(), args.clip)": "gradient_clip_val=args.clip,",
    "if args.clip > 0:\n    nn.utils.clip_grad_value_(net.parameters(), args.clip)": "gradient_clip_val=args.clip,",
    "if args.clip:\n    nn.utils.clip_grad_norm_(net.parameters(), args.clip)": "def configure_gradient_clipping(",
    "if args.clip > 0:\n    nn.utils.clip_grad_norm_(net.parameters(), 0.2)": "def configure_gradient_clipping(",
    "if epoch > 0:\n    norm = nn.utils.clip_grad_norm_(net.parameters(), 0.2)": "def configure_gradient_clipping(",
    "nn.utils.clip_grad_norm_(net.parameters(), args.clip)": "def configure_gradient_clipping(",
}  # fmt: skip


@pytest.mark.parametrize(("clip", "place"), CLIPS.items(), ids=CLIPS)
@pytest.mark.parametrize("bound", [0.3, 0, -1])
def test_a_clip_under_a_condition(clip: str, place: str, bound: float, same: Same) -> None:
    """Lightning does not clip by 0 or less, so the Trainer has the bound only where the legacy code says the same."""
    train = f"""
def train(net, optimizer, loader, epoch, args):
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
{indent(clip, " " * 8)}
        optimizer.step()


def main(args):
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(data, batch_size=4, shuffle=True)
    for epoch in range(2):
        train(model, optimizer, loader, epoch, args)
    print(sum(p.sum().item() for p in model.parameters()))


import argparse
main(argparse.Namespace(clip={bound}))
"""
    assert place in same(train)


def test_a_bound_that_the_epochs_change_stays_in_a_hook(same: Same) -> None:
    """The Trainer would keep the first one."""
    after = same("""
        import argparse

        def tighten(options):
            options.clip /= 2

        def main(args):
            model = Net()
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            loader = DataLoader(data, batch_size=4, shuffle=True)
            for epoch in range(2):
                for x, y in loader:
                    optimizer.zero_grad()
                    loss = F.cross_entropy(model(x), y)
                    loss.backward()
                    if args.clip > 0:
                        nn.utils.clip_grad_norm_(model.parameters(), args.clip)
                    optimizer.step()
                tighten(args)

        main(argparse.Namespace(clip=0.1))
    """)
    assert "gradient_clip_val=" not in after.partition("class Lit")[2].partition("def configure_gradient_clipping")[0]
    assert "        if self.args.clip > 0:\n            nn.utils.clip_grad_norm_(" in after


def test_a_norm_that_is_read_after_the_step_is_the_batchs(same: Same) -> None:
    """The clipping finds it after `training_step`: what reads it must not come earlier."""
    after = same("""
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        loader = DataLoader(data, batch_size=4, shuffle=True)
        norm = torch.zeros(())
        for epoch in range(2):
            for x, y in loader:
                optimizer.zero_grad()
                loss = F.cross_entropy(model(x), y)
                loss.backward()
                norm = nn.utils.clip_grad_norm_(model.parameters(), 0.5)
                optimizer.step()
                print(norm.item())
    """)
    assert "print" not in after.partition("def training_step")[2].partition("return")[0]
