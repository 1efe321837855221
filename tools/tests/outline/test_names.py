"""Names that a loop and the code around it share keep their values: outlined = original, bitwise."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Same = Callable[..., str]

PROGRAMS = {
    "del of names, names used before they are assigned": """
        def main():
            for i, (x, y) in enumerate(loader):
                if i:
                    print(previous)
                logits = model(x)
                loss = nn.functional.cross_entropy(logits, y)
                del logits
                loss.backward(); optimizer.step()
                previous = loss.item()
            return previous
        main()
    """,
    "globals of a function and annotations": """
        best = 0.0
        def main():
            global best
            for x, y in loader:
                loss_of(x, y).backward(); optimizer.step()
                best: float
                count: int = len(x)
                best = best + count
            return count
    """.replace("                best: float\n", "")
    + """
        print(main(), best)
    """,
    "nonlocal state of a closure": """
        def outer():
            done = 0
            def train():
                nonlocal done
                for x, y in loader:
                    loss_of(x, y).backward(); optimizer.step()
                    done += 1
            train(); train()
            return done
        print(outer())
    """,
    "lambdas and functions made in the body": """
        made = []
        def main():
            for i, (x, y) in enumerate(loader):
                loss_of(x, y).backward(); optimizer.step()
                made.append(lambda: i)
                def late():
                    return y.sum().item()
                made.append(late)
        main()
        print([one() for one in made])
    """,
    "two training loops in one function that share names": """
        def main():
            for x, y in loader:
                loss = loss_of(x, y); loss.backward(); optimizer.step()
            for x, y in loader:
                optimizer.zero_grad()
                loss = loss_of(x, y); loss.backward(); optimizer.step()
            return loss.item()
        print(main())
    """,
    "names that are asked for by their text": """
        def main():
            before = sorted(locals())
            for x, y in loader:
                seen = len(x)
                loss = loss_of(x, y)
                loss.backward(); optimizer.step()
            print(eval("seen"), "loss" in locals(), "y" in dir(), before)
        main()
        for x, y in loader:
            width = x.shape[1]
            loss_of(x, y).backward(); optimizer.step()
        print({name: value for name, value in globals().items() if name == "width"})
    """,
    "a global of a function that is asked for by its text": """
        import sys
        def main():
            global width
            for x, y in loader:
                width = x.shape[1]
                loss_of(x, y).backward(); optimizer.step()
            print(globals()["width"], vars(loader)["batch_size"], vars(sys.modules[__name__]).get("width"))
        main()
    """,
    "one line each": """
        for x, y in loader: loss_of(x, y).backward(); optimizer.step(); optimizer.zero_grad()
    """,
    "tuples without parentheses": """
        a, b = data[:4], data[4:8]
        def main():
            for x, y in a, b:
                loss_of(x, y).backward()
                optimizer.step()
                if len(x) > 100: return x, y
        main()
    """,
    "a recursive call and a call from a list comprehension": """
        def epoch():
            for x, y in loader:
                loss_of(x, y).backward(); optimizer.step()
            return 1
        print(sum([epoch() for _ in range(2)]))
    """,
    "a condition that binds a name, at the top level": """
        batches = iter(list(loader))
        while (batch := next(batches, None)) is not None:
            loss = loss_of(*batch); loss.backward(); optimizer.step()
        print(batch, loss.item())
    """,
    "a condition that binds a name, in a function and in an epoch": """
        def train(epochs):
            for epoch in range(epochs):
                batches = iter(list(loader))
                while (batch := next(batches, None)) is not None and (
                    count := len(batch[0])
                ):
                    loss = loss_of(*batch); loss.backward(); optimizer.step(); optimizer.zero_grad()
                    if count < 4:
                        batch = None
                        break
                print(epoch, batch, count)
            else:
                print("all", count)
        train(2)
    """,
    "a condition that binds a name, with an else": """
        def train():
            batches = iter(list(loader))
            while left := next(batches, ()):
                loss_of(*left).backward(); optimizer.step()
            else:
                print("over", left)
            return left
        print(train())
    """,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_outlined_names_are_the_originals(same: Same, name: str) -> None:
    """Whatever kind of scope they live in."""
    same(PROGRAMS[name])


def test_locals_that_are_asked_for_before_the_loop_are_those_of_then(same: Same) -> None:
    """`logger.save_config(locals())` at the head of a training claims no names of its loops."""
    text = """
        def main(rate=0.1, momentum=0.0):
            print(sorted(locals().items()), sorted(vars()), eval("rate"))
            for epoch in range(2):
                for x, y in loader:
                    loss = loss_of(x, y); loss.backward(); optimizer.step()
        main()
    """
    assert "nonlocal" not in same(text)


def test_locals_that_are_asked_for_in_a_loop_around_are_those_of_the_iteration_before(same: Same) -> None:
    """Where that loop is the program's own, since it is not repeated by a training."""
    same(
        """
        def main():
            for lr in (0.1, 0.2):
                print(sorted(set(locals()) & {"x", "y", "loss", "lr"}))
                optimizer = torch.optim.SGD(model.parameters(), lr)
                for x, y in loader:
                    loss = loss_of(x, y); loss.backward(); optimizer.step()
        main()
        """
    )


def test_a_name_of_several_loops_is_claimed_once(same: Same) -> None:
    """By the first of them, in a branch as well."""
    text = """
        def main():
            for epoch in range(2):
                if epoch:
                    for x, y in loader:
                        loss = loss_of(x, y); loss.backward(); optimizer.step()
                for x, y in loader:
                    loss = loss_of(x, y); loss.backward(); optimizer.step()
            for x, y in loader:
                loss = loss_of(x, y); loss.backward(); optimizer.step()
        main()
    """
    assert same(text).count("loss: object") == 1


def test_an_object_that_is_asked_for_its_names_claims_none_of_the_loops(same: Same) -> None:
    """`vars(args)` and `globals()` do not see a function's locals: they stay those of the body."""
    text = """
        def main(args):
            print(vars(args)["lr"], "lr" in dir(args), "main" in globals())
            for x, y in loader:
                loss = loss_of(x, y); loss.backward(); optimizer.step()
        main(type("Args", (), {"__init__": lambda self: setattr(self, "lr", 1)})())
    """
    assert "nonlocal" not in same(text)
