"""Loaders, for training and for evaluation."""

from __future__ import annotations

from whole_projects.drawn import Drawn

KINDS = (None, "Loader", "torch_loader", "SizedExhausted", "Exhausted", "Prefetch", "Mixture")


def training(d: Drawn) -> None:
    """Endless, sized or not, with a thread, mixed, zipped, in buckets; sharded; of any form."""
    kinds = KINDS
    if d.dataset == "Phrases":
        kinds = (*kinds, "Buckets")
    if d.forms:
        kinds = (*(kind for kind in kinds if kind != "Prefetch"), "Zipped")
    kind = d.one_of(*kinds)
    if kind is None:
        return
    if d.forms and kind != "Exhausted":
        d.setting("Formed.form", "list", *(() if kind == "Zipped" else ("named tuple", "attrs")))
    {
        "Loader": _loader,
        "torch_loader": _torch_loader,
        "SizedExhausted": _exhausted,
        "Exhausted": _exhausted,
        "Prefetch": _prefetch,
        "Mixture": _mixture,
        "Zipped": _zipped,
        "Buckets": _buckets,
    }[kind](d, kind)


def in_workers(d: Drawn) -> None:
    """torch's, with two worker processes, which draw noise where the dataset has any."""
    _torch_loader(d, "torch_loader")
    d.say("torch_loader.workers = 2")


def evaluation(d: Drawn) -> None:
    """Lab's own in order, or one that draws from the training's generators, or whose dataset does when it is made."""
    kind = d.one_of("Loader", "torch_loader", "drawing")
    if kind == "drawing" and d.dataset in ("Blobs", "Formed"):
        d.say("test/Loader.dataset = @Drawing()")
    elif kind != "Loader":
        dataset = d.dataset if d.dataset != "Formed" else "Blobs"
        d.say(
            "Trainer.eval_loader = @held/Epochs",
            "held/Epochs.batches = @held/torch_loader()",
            f"held/torch_loader.dataset = @test/{dataset}()",
            "held/torch_loader.batch_size = 5",
        )


def _loader(d: Drawn, kind: str) -> None:
    if d.setting("train/Loader.world_size", 2):
        d.setting("train/Loader.rank", 1)
    else:
        d.setting("train/Loader.batch_size", 3, 10)
    d.setting("train/Loader.shuffle", False)
    d.setting("train/Loader.drop_last", False)


def _torch_loader(d: Drawn, kind: str) -> None:
    d.say("Trainer.loader = @Epochs", "Epochs.batches = @torch_loader()", f"torch_loader.dataset = @{d.dataset}()")
    d.say("torch_loader.batch_size = 4")
    d.setting("torch_loader.seed", 3)
    d.setting("torch_loader.shuffle", False)
    d.setting("torch_loader.drop_last", True)


def _exhausted(d: Drawn, kind: str) -> None:
    d.say("Trainer.loader = @Epochs", f"Epochs.batches = @{kind}()", f"{kind}.dataset = @{d.dataset}()")
    d.setting(f"{kind}.batch_size", 7)


def _prefetch(d: Drawn, kind: str) -> None:
    d.say("Trainer.loader = @Prefetch", "Prefetch.loader = @train/Loader()")
    d.setting("Prefetch.depth", 1, 5)


def _mixture(d: Drawn, kind: str) -> None:
    d.say(
        "Trainer.loader = @Mixture",
        "Mixture.loaders = [@a/Loader(), @b/Loader()]",
        "Mixture.start = (1.0, 0.0)",
        "Mixture.end = (0.2, 0.8)",
        "Mixture.steps = 6",
        f"Loader.dataset = @{d.dataset}()",
        "Loader.batch_size = 4",
        "b/Loader.seed = 2",
    )
    d.setting("b/Loader.batch_size", 3)


def _zipped(d: Drawn, kind: str) -> None:
    d.say(
        "Trainer.loader = @Epochs",
        "Epochs.batches = @Zipped()",
        "Zipped.streams = [@long/torch_loader(), @short/torch_loader()]",
        "torch_loader.dataset = @Formed()",
        "torch_loader.batch_size = 4",
        "short/torch_loader.drop_last = True",
    )
    # The objective knows pairs of mappings.
    d.say("Formed.form = 'dict'")


def _buckets(d: Drawn, kind: str) -> None:
    d.say("Trainer.loader = @Buckets", "Buckets.dataset = @Phrases()", "Buckets.batch_size = 6")
    d.say("Buckets.bounds = (5, 9)")
    d.setting("Buckets.seed", 2)
