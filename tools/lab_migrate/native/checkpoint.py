"""A checkpoint of Lab's as one that the native training resumes from."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import attrs
import torch

from lab_bridge.checkpoint.atomic import new_file
from lab_bridge.config.sources.modules import Sources
from lab_migrate.errors import UsageError
from lab_migrate.native.adversarial import is_adversarial, optimizers_of
from lab_migrate.native.hook_classes import looks_ahead_of_step
from lab_migrate.native.labs import is_labs
from lab_migrate.native.package import stem_of
from lab_migrate.native.parts.callbacks import HOOKS
from lab_migrate.native.parts.precision import scaler_of
from lab_migrate.native.project import Training, config_of, read_training
from lab_migrate.native.schedules import timed_schedules
from lab_migrate.native.sheet import class_name
from lab_migrate.native.tuned import Tuned, tuned
from lab_migrate.native.windows import windows_of
from legacy_lab.optim.groups import factor_of
from legacy_lab.train import checkpoint as lab

__all__ = ["convert_to_native"]


def convert_to_native(
    source: Path,
    target: Path,
    project: Path,
    entry: str | None = None,
    config: Path | None = None,
    force: bool = False,
) -> int:
    """Write what the native conversion of `project` resumes from, and return at which step.

    The settings are those that the checkpoint says its run had; nothing of the project is imported. `config` is the
    gin file after which the native training was named, where the project has several. Raises `UsageError` for a
    checkpoint in the middle of a step, and for a training that has no native form.
    """
    try:
        state = lab.read(source)
    except lab.CheckpointError as error:
        raise UsageError(str(error)) from error
    training = _training(source, state, project, entry, config)
    outer = state["optimizer"]
    if training.ahead is not None or training.sharpness is not None:
        state = {**state, "optimizer": outer["inner"], "slow": outer.get("slow")}
    made = _Native(training, state, project, _keeps_rates(training, project)).checkpoint()
    with new_file(target, force) as file:
        torch.save(made, file)
    return int(state["step"])


def _keeps_rates(training: Training, project: Path) -> bool:
    """Whether a callback has the learning rates of the last update, for a hook that looks at them before a step."""
    assert training.document is not None
    schema = training.document.schema
    sources = Sources()
    sources.add(project)
    builders = [schema.builder_of(hook) for hook in training.trainer.hooks]
    asked = any(looks_ahead_of_step(one, sources) for one in builders if one is not None and not is_labs(one))
    timed = [
        one
        for optimizer in optimizers_of(training.trainer)
        for one in timed_schedules(getattr(optimizer, "schedule", None))
    ]
    return asked and (is_adversarial(training.trainer) or any(not late for *_, late in timed))


def _training(source: Path, state: dict[str, Any], project: Path, entry: str | None, config: Path | None) -> Training:
    """As the run was configured, says the checkpoint."""
    with tempfile.TemporaryDirectory(prefix="lab-migrate-native-") as folder:
        as_it_ran = Path(folder) / f"{source.stem}.gin"
        as_it_ran.write_text(state["config"], encoding="utf-8")
        named = config
        training = read_training(project, entry, as_it_ran, named=named)
    if training.config == as_it_ran:
        raise UsageError(f"{project}: expected one gin config, found none or several; name it with --config")
    if training.findings:
        first = training.findings[0]
        raise UsageError(f"{source}: {first.code} {first.message}; {first.next_step}")
    around = training.ahead is not None or training.sharpness is not None
    optimizer = state["optimizer"]["inner"] if around else state["optimizer"]
    parts = optimizer.values() if is_adversarial(training.trainer) else [optimizer]
    if state["mid_step"] or any(part.get("pending") for part in parts):
        raise UsageError(
            f"{source}: expected a checkpoint between two steps, found one in the middle of a window of accumulation, "
            "whose gradients Lightning's checkpoints do not hold; take one that Trainer.checkpoint_every wrote"
        )
    return training


@attrs.frozen
class _Native:
    """The parts of a Lightning checkpoint, from those of Lab's."""

    training: Training
    state: dict[str, Any]
    project: Path
    keeps_rates: bool = False

    def checkpoint(self) -> dict[str, Any]:
        """All of it."""
        import lightning

        from lab_adapters.faithful_settings import faithful, quiet
        from lab_adapters.progress import resume_at

        trainer, step = self.training.trainer, self.state["step"]
        optimizers = [native_optimizer(read, config, state) for read, config, state in self._optimizers]
        made: dict[str, Any] = {
            "pytorch-lightning_version": lightning.__version__,
            "state_dict": {f"model.{name}": value for name, value in self.state["model"].items()},
            "optimizer_states": optimizers,
            "lr_schedulers": [{"last_epoch": state["steps"]} for read, _, state in self._optimizers if read.schedules],
            "callbacks": self._callbacks(),
        }
        epoch, within, train = self._train()
        several = is_adversarial(trainer)
        with quiet():
            fresh = lightning.pytorch.Trainer(**faithful(accumulate_grad_batches=1 if several else self._every))
        resume_at(made, fresh, step, step * self._every, epoch, within)
        loops = made["loops"]["fit_loop"]
        loops["state_dict"]["combined_loader"] = [train]
        loops["epoch_loop.state_dict"]["_batches_that_stepped"] -= self._evaluated
        if trainer.eval_every:
            # A conversion with --config is named after what the script names; Lightning takes what it knows.
            named = config_of(self.project, self.training.script)
            for config in {self.training.config, named or self.training.config}:
                made[f"{class_name(stem_of(config))}Data"] = {"evaluation": self._loader("eval_loader", 0)}
        if self.state["objective"] is not None:
            made["objective"] = self.state["objective"]
        if several:
            made["critic_updates"] = self.state["optimizer"]["critic"]["steps"]
            scalers = {role: part.get("scaler") for role, part in self.state["optimizer"].items()}
            made |= {f"{role}_scaler": state for role, state in scalers.items() if state is not None}
        elif self.state["optimizer"].get("scaler") is not None:
            assert self.training.document is not None
            scaler = scaler_of(trainer, self.training.document.schema)
            assert scaler is not None
            own = windows_of(trainer) is not None
            made["scaler" if own else "MixedPrecision" if scaler["casts"] else "ScaledLosses"] = self.state[
                "optimizer"
            ]["scaler"]
        return made

    @property
    def _optimizers(self) -> list[tuple[Tuned, Any, dict[str, Any]]]:
        """Each as the native files have it, its config, and its state in Lab."""
        trainer = self.training.trainer
        assert self.training.document is not None
        schema = self.training.document.schema
        if not is_adversarial(trainer):
            return [(tuned(trainer.optimizer, schema), trainer.optimizer, self.state["optimizer"])]
        parts = zip(trainer.optimizer.optimizers, optimizers_of(trainer), strict=True)
        return [(tuned(config, schema, role), config, self.state["optimizer"][role]) for role, config in parts]

    @property
    def _every(self) -> int:
        """How many batches a step takes."""
        trainer = self.training.trainer
        if is_adversarial(trainer):
            return int(trainer.stepper.critic_steps)
        if windows_of(trainer) is not None:
            return 1
        accumulate = getattr(trainer.optimizer, "accumulate", 1)
        return int(getattr(accumulate, "every", accumulate))

    @property
    def _evaluated(self) -> bool:
        """Whether an evaluation follows this step, which Lab has done: Lightning passes over it and counts then."""
        every = self.training.trainer.eval_every
        return bool(every) and self.state["step"] % every == 0

    def _train(self) -> tuple[int, int, dict[str, Any]]:
        """The epoch, how many of its batches are done, and the loader's state."""
        batches = self.state["step"] * self._every
        if not is_adversarial(self.training.trainer) and windows_of(self.training.trainer) is not None:
            if self._pass_of("loader") is None:
                return 0, batches, self._loader("loader", batches)
            inner = self._loader("loader", self.state["loader"]["position"])
            return 0, batches, {"dealt": batches, "loader": inner}
        size = self._pass_of("loader") if self._every == 1 else None
        epoch, within = divmod(batches, size) if size is not None else (0, batches)
        if size is not None and self.state["loader"]["position"] % size != within:
            raise UsageError(
                f"checkpoint: expected {within} batches of this epoch to be dealt out, found "
                f"{self.state['loader']['position']}; something else than the training took batches of the loader"
            )
        return epoch, within, self._loader("loader", within)

    def _pass_of(self, role: str) -> int | None:
        """How many batches one pass over Lab's own loader has; None for any other."""
        made = getattr(self.training.trainer, role)
        loader = getattr(made, "config", made)
        assert self.training.document is not None
        builder = self.training.document.schema.builder_of(loader)
        if builder is None or builder.target != "legacy_lab.data.loader.Loader":
            return None
        size, batch_size = len(self.state[role]["order"]) // int(loader.world_size), int(loader.batch_size)
        return size // batch_size if loader.drop_last else -(-size // batch_size)

    def _loader(self, role: str, dealt: int) -> dict[str, Any]:
        state = self.state[role]
        if self._pass_of(role) is None:
            return {"dealt": dealt, "loader": state}
        return {name: state[name] for name in ("order", "position", "generator")} | {"dealt": dealt}

    def _callbacks(self) -> dict[str, Any]:
        found = {"Generators": self.state["rng"]}
        if self.keeps_rates:
            groups = {
                read.role: [{"lr": state["hyper"]["lr"] * factor} for factor, _ in _factors(config, state)]
                for read, config, state in self._optimizers
            }
            found["Rates"] = {"groups": groups if is_adversarial(self.training.trainer) else groups[""]}
        if self.state["ema"] is not None:
            found["Average"] = self.state["ema"]
        if self.training.ahead is not None:
            found["Lookahead"] = {"slow": self.state["slow"]}
            if self.state["optimizer"].get("scaler") is not None:
                found["Lookahead"]["updates"] = self.state["optimizer"]["steps"]
        assert self.training.document is not None
        for hook, state in zip(self.training.trainer.hooks, self.state["hooks"], strict=True):
            builder = self.training.document.schema.builder_of(hook)
            if state is not None and builder is not None and type(hook).__name__ not in HOOKS:
                found[builder.target.rpartition(".")[2]] = state  # the class's own name
        return found


def native_optimizer(read: Tuned, config: Any, state: dict[str, Any]) -> dict[str, Any]:
    """torch's state dict of a native optimizer: the same order of parameters as in Lab's groups."""
    factors = _named_factors(config, state)
    made: dict[str, Any] = state.get("torch") or _own(read, config, state, factors)
    if read.masters:
        made["masters"] = state["masters"]
    for group, (factor, decay_factor) in zip(made["param_groups"], dict.fromkeys(factors.values()), strict=True):
        assert factor is not None
        assert decay_factor is not None
        if read.multipliers is not None:
            group |= {"lr": state["hyper"]["lr"] * factor, "multiplier": factor}
        if read.decay_multipliers is not None:
            group |= {"decay": state["hyper"]["decay"] * decay_factor, "decay_multiplier": decay_factor}
        if read.schedules:  # torch's schedulers note it
            group["initial_lr"] = config.lr * factor
    return made


def _named_factors(config: Any, state: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The factors of learning rate and decay, by parameter."""
    multipliers, decays = (dict(getattr(config, name, None) or {}) for name in ("multipliers", "decay_multipliers"))
    return {name: (factor_of(name, multipliers), factor_of(name, decays)) for name in state["grads"]}


def _factors(config: Any, state: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Of each group."""
    return list(dict.fromkeys(_named_factors(config, state).values()))


def _own(read: Tuned, config: Any, state: dict[str, Any], factors: dict[str, Any]) -> dict[str, Any]:
    """That of one that torch does not have."""
    assert read.code is not None
    # What the optimizer keeps to itself instead of handing it on to Lab's base is as the config has it.
    hyper = {one["name"]: state["hyper"].get(one["name"], getattr(config, one["name"])) for one in read.fields}
    hyper |= read.code.fixed
    if read.code.counts:
        hyper["updates"] = state["steps"]
    groups: dict[Any, dict[str, Any]] = {}
    for index, factor in enumerate(factors.values()):
        groups.setdefault(factor, {**hyper, "params": []})["params"].append(index)
    numbers = {name: index for index, name in enumerate(factors)}
    slots = {numbers[name]: dict(slots) for name, slots in state["slots"].items()}
    return {"state": slots, "param_groups": list(groups.values())}
