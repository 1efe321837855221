"""Whole gin configs of Lab trainings, generated: every one is valid, and says what it says in gin's many ways.

Values are drawn freely among those that fit anywhere, and bound freely: with and without scopes, nested scopes, macros
for values, references and lists, singletons, blocks of bindings, qualified names, includes, earlier bindings that later
ones replace, bindings that nothing reaches. What a config means is for gin to say.
"""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import strategies as st

__all__ = ["GinConfig", "gin_configs"]

SCOPES = ("a", "b", "a/b", "b/a", "c")
VALUES: dict[str, dict[str, tuple[Any, ...]]] = {
    "Conv": {"channels": (4, 8), "kernel": (1, 3)},
    "Norm": {"kind": ("batch", "group", "layer"), "groups": (1, 2, 4), "momentum": (0.1, 0.25, 1)},
    "Activation": {"kind": ("relu", "gelu", "silu", "tanh"), "dropout": (0, 0.0, 0.1, 1e-3)},
    "SelfAttention": {"heads": (1, 2, 4)},
    "Residual": {"scale": (1.0, 0.5, 2, 1e-05)},
    "Linear": {"features": (3, 5), "bias": (True, False)},
    "Adam": {"lr": (1e-3, 0.5), "betas": ((0.9, 0.99), (0.5, 0.9)), "decay": (0.0, 0.1), "clip_norm": (None, 1.0)},
    "SGD": {"lr": (0.1, 1), "momentum": (0.0, 0.9), "accumulate": (1, 2), "decay": (0.0, 5e-4)},
    "VAE": {"latent": ("z", "w"), "beta": (0.5, 1)},
    "Classifier": {"smoothing": (0.0, 0.1)},
    "Loader": {"batch_size": (8, 32), "seed": (0, 7), "shuffle": (True, False), "drop_last": (True, False)},
    "EMA": {"decay": (0.9, 0.999)},
    "NormalInit": {"std": (0.02, 1.0), "cut": (None, 2.0)},
}
KEEPING = ("Norm", "Activation", "SelfAttention")
MODULES = {
    "Conv": "blocks.conv", "Norm": "legacy_lab.blocks.norm", "Activation": "activation",
    "Adam": "legacy_lab.optim.adam", "Loader": "data.loader", "Residual": "residual",
}  # fmt: skip


@attrs.frozen
class GinConfig:
    """The files of a config, by name; `main.gin` is the one to load."""

    files: dict[str, str]

    def __str__(self) -> str:
        return "\n".join(f"# --- {name}\n{text}" for name, text in self.files.items())


class _Drawn:
    """Draws the statements of one config."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.statements: list[str] = []
        self.macros = 0
        self.used: set[str] = set()

    def one_of(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def chance(self, times: int = 3) -> bool:
        """True once in `times`."""
        return bool(self.draw(st.integers(1, times)) == times)

    def selector(self, builder: str) -> str:
        return f"{MODULES[builder]}.{builder}" if builder in MODULES and self.chance(6) else builder

    def reference(self, builder: str, called: bool = True) -> str:
        self.used.add(builder)
        scope = self.one_of("", "", *SCOPES)
        return f"@{scope + '/' if scope else ''}{self.selector(builder)}{'()' if called else ''}"

    def literal(self, value: Any) -> str:
        if isinstance(value, str) and self.chance():
            return f'"{value}"'
        return repr(value)

    def value(self, text: str) -> str:
        """The text itself, or a macro that stands for it."""
        if not self.chance(5):
            return text
        self.macros += 1
        scope = self.one_of("", "", "m/")
        name = f"{scope}M{self.macros}"
        # a macro's value holds in the scopes that its own name opens
        self.statements.append(f"{name} = {text}")
        return f"%{name}"

    def bind(self, scope: str, builder: str, parameter: str, text: str) -> None:
        left = f"{scope + '/' if scope else ''}{self.selector(builder)}"
        if self.chance(8):
            self.statements.append(f"{left}:\n  {parameter} = {text}")
        else:
            self.statements.append(f"{left}.{parameter} = {text}{'  # why' if self.chance(9) else ''}")

    def listed(self, items: list[str]) -> str:
        opening, closing = self.one_of("[]", "()") if len(items) > 1 else "[]"
        between = self.one_of(", ", ",\n    ", ",  # …\n  ")
        return f"{opening}{between.join(items)}{self.one_of('', ',') if items else ''}{closing}"

    def settings(self, builder: str, required: tuple[str, ...] = ()) -> None:
        """Bind a builder's parameters here and there; the required ones without a scope, too."""
        for parameter, choices in VALUES[builder].items():
            if parameter in required or self.chance():
                self.bind("", builder, parameter, self.value(self.literal(self.one_of(*choices))))
            for scope in SCOPES:
                if self.chance(7):
                    self.bind(scope, builder, parameter, self.value(self.literal(self.one_of(*choices))))


@st.composite
def gin_configs(draw: st.DrawFn) -> GinConfig:
    """A config of a `Trainer` with everything that one needs."""
    drawn = _Drawn(draw)
    _trainer(drawn)
    _model(drawn)
    required = {"Conv": ("channels",), "Linear": ("features",), "Loader": ("batch_size",)}
    for builder in sorted(drawn.used & set(VALUES)):
        drawn.settings(builder, required.get(builder, ()))
    if drawn.chance():
        drawn.bind("nowhere", "Conv", "kernel", "5")
    return GinConfig(_files(drawn))


def _trainer(drawn: _Drawn) -> None:
    bind = drawn.bind
    bind("", "Trainer", "model", drawn.value(drawn.one_of("@Model", "@a/Model", "@b/a/Model")))
    bind("", "Trainer", "objective", drawn.value(drawn.reference(drawn.one_of("VAE", "Classifier"))))
    bind("", "Trainer", "optimizer", drawn.value(drawn.reference(drawn.one_of("Adam", "SGD"), called=False)))
    bind("", "Trainer", "loader", drawn.reference("Loader", called=False))
    if drawn.chance():
        bind("", "Trainer", "eval_loader", drawn.reference("Loader", called=False))
    bind("", "Loader", "dataset", drawn.one_of("@Digits()", "@a/Digits()"))
    bind("", "Trainer", "steps", drawn.value(drawn.one_of("3", "0x10", "1_0")))
    bind("", "Trainer", "seed", drawn.one_of("0", "12"))
    if drawn.chance():
        bind("", "Trainer", "ema", drawn.reference("EMA"))
    if drawn.chance():
        bind("", "Trainer", "hooks", drawn.listed(["@StopOnNaN()"] * drawn.one_of(0, 1, 2)))
    if drawn.chance():
        optimizer = drawn.one_of("Adam", "SGD")
        several = '{"*.bias": 2, "*": None, "blocks.*0.*": 1.0}'
        bind("", optimizer, "multipliers", drawn.one_of("{'blocks.*0.*': 0.5}", several))
        bind("", optimizer, "schedule", drawn.one_of("@WarmupCosine()", "@combined()", "[@a/WarmupCosine(), @Ramp()]"))
        drawn.statements += [
            "WarmupCosine.lr = 0.1", "WarmupCosine.total = 9", "a/WarmupCosine.warmup = 2", "Ramp.of = 'decay'",
            "Ramp.start = 0.0", "Ramp.end = 1e-1", "Ramp.steps = 4",
            "combined.schedules = [@Ramp(), @b/WarmupCosine()]",
        ]  # fmt: skip


def _model(drawn: _Drawn) -> None:
    drawn.bind("", "Model", "input_shape", drawn.one_of("(1, 8, 8)", "[3, 4, 4]"))
    items = [drawn.reference("Conv"), *(_block(drawn) for _ in range(drawn.draw(st.integers(0, 5))))]
    if drawn.chance():
        items = ["@tapped/Conv()", *items, "@Merge()"]
        drawn.statements += ["tapped/Conv.tap = 'skip'", "Merge.skip = 'skip'", "Merge.kind = 'concat'"]
        drawn.used.add("Conv")
    if drawn.chance():
        items += ["@Pool()", drawn.reference("Linear"), "@Gaussian()", drawn.reference("Linear"), "@FiLM()"]
        drawn.statements += ["Gaussian.latent = 4"]
    if drawn.chance(4):
        names = [f'"at_{index}": {item}' for index, item in enumerate(items)]
        drawn.bind("", "Model", "blocks", f"{{{drawn.one_of(', ', ',' + chr(10) + '  ').join(names)}}}")
    else:
        drawn.bind("", "Model", "blocks", drawn.value(drawn.listed(items)))
        if drawn.chance():
            init = drawn.reference("NormalInit")
            patterns = drawn.one_of(("blocks.*0.*",), ("*", "*.bias"))
            drawn.bind("", "Model", "inits", f"{{{', '.join(f'{pattern!r}: {init}' for pattern in patterns)}}}")


def _block(drawn: _Drawn) -> str:
    kind = drawn.one_of("Conv", *KEEPING, "Residual", "macro", "singleton")
    if kind == "Residual":
        if "Residual" not in drawn.used:
            layers = [drawn.reference(drawn.one_of(*KEEPING)) for _ in range(drawn.draw(st.integers(0, 3)))]
            if drawn.chance():
                layers.append("@deep/Residual()")
                inner = [drawn.reference(drawn.one_of(*KEEPING)) for _ in range(2)]
                drawn.bind("deep", "Residual", "layers", drawn.listed(inner))
            drawn.bind("", "Residual", "layers", drawn.value(drawn.listed(layers)))
        return drawn.reference("Residual")
    if kind == "macro":
        drawn.macros += 1
        drawn.statements.append(f"B{drawn.macros} = {drawn.reference(drawn.one_of(*KEEPING))}")
        return f"%B{drawn.macros}"
    if kind == "singleton":
        if "gin.singleton" not in drawn.used:
            drawn.used.add("gin.singleton")
            drawn.statements.append(f"one/gin.singleton.constructor = {drawn.reference('Activation', called=False)}")
        return "@one/gin.singleton()"
    return drawn.reference(kind)


def _files(drawn: _Drawn) -> dict[str, str]:
    """The statements in any order, some of them in a file that another includes, some said twice."""
    statements = drawn.draw(st.permutations(drawn.statements))
    main: list[str] = []
    other: list[str] = []
    split = drawn.chance()
    for statement in statements:
        (other if split and drawn.chance(2) else main).append(statement)
        if drawn.chance(12):
            main.append("")
    files = {"main.gin": main}
    if split:
        main.insert(drawn.draw(st.integers(0, len(main))), "include 'other.gin'")
        files["other.gin"] = other
    return {name: "\n".join(lines) + "\n" for name, lines in files.items()}
