"""Optimizers with all that they own: accumulation, clipping, schedules, scaling, how gradients are left."""

from __future__ import annotations

from whole_projects.drawn import Drawn

OWN = ("Adam", "SGD", "RAdam", "LAMB")
TORCH = (
    ("AdamW", {"weight_decay": 0.1}),
    ("Adam", {"amsgrad": True}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("RMSprop", {"centered": True}),
    ("NAdam", {}),
)
CLIPS = ("ClipTorchNorm", "ClipValue", "ClipPerBlock", "ClipAdaptive", "ClipNorm")
LIMITS = {"ClipValue": 0.02, "ClipAdaptive": 0.01}
SCALERS = ("StaticScaler", "DynamicScaler", "TorchScaler")


def single(d: Drawn) -> None:
    """One optimizer for the whole model, maybe with another around it, and the stepper that it needs."""
    taken = any(line.startswith("Trainer.stepper") for line in d.lines)
    kind = d.one_of(None, "plain", "plain", "Lookahead", *(() if taken else ("SAM", "LBFGS")))
    if kind is None:
        return
    if kind == "LBFGS":
        d.say("Trainer.optimizer = @Torch", "Trainer.stepper = @Closure()", "Torch.name = 'LBFGS'", "Torch.lr = 0.1")
        search = d.one_of({}, {"line_search_fn": "strong_wolfe"})
        d.say(f"Torch.settings = { ({'max_iter': 3} | search)!r}")
        return
    name = d.one_of(*OWN, "Torch")
    if kind == "plain":
        if name != "Adam":
            d.say(f"Trainer.optimizer = @{name}")
    else:
        d.say(f"Trainer.optimizer = @{kind}", f"{kind}.inner = @{name}")
    if kind == "Lookahead":
        d.setting("Lookahead.every", 2, 3)
    if kind == "SAM":
        d.say(f"Trainer.stepper = @{d.one_of('TwoPhase', 'Closure')}()")
    settings(d, name, name, owns_windows=kind != "SAM")
    precision(d, name)


def pair(d: Drawn) -> None:
    """One for the generator, one for the critic."""
    names = {part: d.one_of(*OWN, "Torch") for part in ("critic", "generator")}
    d.say("Trainer.optimizer = @Several")
    d.say(
        "Several.optimizers = {"
        + ", ".join(f"'{part}': @{part}/{name}" for part, name in names.items())
        + "}"
    )  # fmt: skip
    for part, name in names.items():
        settings(d, f"{part}/{name}", name, owns_windows=False)


def settings(d: Drawn, optimizer: str, name: str, owns_windows: bool) -> None:
    """What every optimizer of Lab's has."""
    if name == "Torch":
        chosen, own = d.one_of(*TORCH)
        d.say(f"{optimizer}.name = {chosen!r}", f"{optimizer}.settings = {own!r}", f"{optimizer}.lr = 0.01")
    else:
        d.setting(f"{optimizer}.decay", 0.1)
        d.setting(f"{optimizer}.lr", 0.03)
    if owns_windows:
        _accumulation(d, optimizer)
    _clipping(d, optimizer)
    d.setting(f"{optimizer}.multipliers", {"*.bias": 2.0}, {d.first: None}, {d.first: 0.5})
    scopes = [_schedule(d) for _ in range(d.one_of(0, 1, 2))]
    if scopes:
        d.say(f"{optimizer}.schedule = [{', '.join(scopes)}]")


def precision(d: Drawn, optimizer: str) -> None:
    """fp32; bf16 or fp16 by autocast, with any scaler; bf16 weights with fp32 masters."""
    kind = d.one_of("fp32", "bf16", "fp16", "halves")
    if kind in ("bf16", "fp16"):
        d.say("Trainer.precision = @Autocast()")
        d.setting("Autocast.loss_inside", False)
        d.setting("Autocast.cache", False)
    if kind == "fp16":
        d.say("Autocast.dtype = 'float16'")
    scaler = d.one_of(None, *SCALERS)
    left_as, zeroes = d.one_of(None, "none"), d.one_of(None, "model")
    if kind != "halves" and scaler is None and left_as is None and zeroes is None:
        return
    gradients = _gradients_of(d, optimizer)
    if kind == "halves":
        d.say("Trainer.precision = @HalfWeights()", f"{gradients}.masters = True")
    if scaler is not None:
        d.say(f"{gradients}.scaler = @{scaler}()", f"{scaler}.scale_by = {d.one_of(1024.0, 2.0**20)}")
        if scaler != "StaticScaler":
            d.setting(f"{scaler}.interval", 3)
        d.setting(f"{gradients}.clip_scaled", True)
    if left_as is not None:
        d.say(f"{gradients}.left_as = {left_as!r}")
    if zeroes is not None:
        d.say(f"{gradients}.zeroes = {zeroes!r}")


def _gradients_of(d: Drawn, optimizer: str) -> str:
    scope = optimizer.rpartition("/")[0]
    gradients = f"{scope}/Gradients" if scope else "Gradients"
    line = f"{optimizer}.gradients = @{gradients}()"
    if line not in d.lines:
        d.say(line)
    return gradients


def _accumulation(d: Drawn, optimizer: str) -> None:
    every = d.one_of(1, 2, 3)
    if every == 1:
        return
    d.say(f"{optimizer}.accumulate = @Accumulation()", f"Accumulation.every = {every}")
    form = d.setting("Accumulation.form", "grads", "sum")
    leftovers = ("step", *(("drop",) if d.may_drop else ()), *(("count",) if form != "sum" else ()))
    d.setting("Accumulation.leftover", *leftovers)


def _clipping(d: Drawn, optimizer: str) -> None:
    kind = d.one_of(None, "norm", *CLIPS)
    if kind == "norm":
        d.say(f"{optimizer}.clip_norm = 0.3")
    elif kind is not None:
        scope = d.scope()
        d.say(f"{_gradients_of(d, optimizer)}.clip = @{scope}/{kind}()")
        d.say(f"{scope}/{kind}.limit = {LIMITS.get(kind, 0.1)}")
        d.setting(f"{scope}/{kind}.reach", "model")


def _schedule(d: Drawn) -> str:
    scope = d.scope()
    if d.one_of("Ramp", "WarmupCosine") == "Ramp":
        kind = f"{scope}/Ramp"
        of, start, end = d.one_of(("lr", 0.02, 0.001), ("decay", 0.0, 0.3), ("beta1", 0.5, 0.95), ("clip", 0.4, 0.1))
        d.say(f"{kind}.of = {of!r}", f"{kind}.start = {start}", f"{kind}.end = {end}", f"{kind}.steps = 6")
    else:
        kind = f"{scope}/WarmupCosine"
        d.say(f"{kind}.lr = 0.02", f"{kind}.warmup = 2", f"{kind}.total = 9")
    if d.one_of(False, True):
        d.say(f"{scope}/Timed.schedule = @{kind}()")
        d.setting(f"{scope}/Timed.per", "loss", "window", "epoch")
        d.setting(f"{scope}/Timed.when", "after")
        d.setting(f"{scope}/Timed.every", 2)
        return f"@{scope}/Timed()"
    return f"@{kind}()"
