"""A checkpoint of Lab's as one that the native training resumes from."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import attrs
import torch

from lab_bridge.checkpoint.atomic import new_file
from lab_migrate.errors import UsageError
from lab_migrate.native.optimizers import counts_updates, kept_fields
from lab_migrate.native.project import Training, read_training, stem_of
from lab_migrate.native.write import class_name
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
    made = _Native(training, state).checkpoint()
    with new_file(target, force) as file:
        torch.save(made, file)
    return int(state["step"])


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
    if state["mid_step"] or state["optimizer"].get("pending"):
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

    def checkpoint(self) -> dict[str, Any]:
        """All of it."""
        import lightning

        from lab_adapters.faithful import faithful, quiet
        from lab_adapters.progress import resume_at

        step, batches, trainer = self.state["step"], self.state["optimizer"]["micro_steps"], self.training.trainer
        made: dict[str, Any] = {
            "pytorch-lightning_version": lightning.__version__,
            "state_dict": {f"model.{name}": value for name, value in self.state["model"].items()},
            "optimizer_states": [self._optimizer()],
            "lr_schedulers": [{"last_epoch": self.state["optimizer"]["steps"]}] if trainer.optimizer.schedule else [],
            "callbacks": self._callbacks(),
        }
        epoch, within, train = self._train()
        with quiet():
            fresh = lightning.pytorch.Trainer(**faithful(accumulate_grad_batches=self._every, barebones=False))
        resume_at(made, fresh, step, batches, epoch, within)
        loops = made["loops"]["fit_loop"]
        loops["state_dict"]["combined_loader"] = [train]
        loops["epoch_loop.state_dict"]["_batches_that_stepped"] = step - self._evaluated
        if trainer.eval_every:
            name = f"{class_name(stem_of(self.training.config))}Data"
            made[name] = {"evaluation": self._loader("eval_loader", 0)}
        if self.state["objective"] is not None:
            made["objective"] = self.state["objective"]
        return made

    @property
    def _every(self) -> int:
        accumulate = getattr(self.training.trainer.optimizer, "accumulate", 1)
        return int(getattr(accumulate, "every", accumulate))

    @property
    def _evaluated(self) -> bool:
        """Whether an evaluation follows this step, which Lab has done: Lightning passes over it and counts then."""
        every = self.training.trainer.eval_every
        return bool(every) and self.state["step"] % every == 0

    def _train(self) -> tuple[int, int, dict[str, Any]]:
        """The epoch, how many of its batches are done, and the loader's state."""
        batches = self.state["optimizer"]["micro_steps"]
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
        loader = getattr(self.training.trainer, role)
        assert self.training.document is not None
        builder = self.training.document.schema.builder_of(loader)
        if builder is None or builder.target != "legacy_lab.data.loader.Loader":
            return None
        size, batch_size = len(self.state[role]["order"]), int(loader.batch_size)
        return size // batch_size if loader.drop_last else -(-size // batch_size)

    def _loader(self, role: str, dealt: int) -> dict[str, Any]:
        state = self.state[role]
        if self._pass_of(role) is None:
            return {"dealt": dealt, "loader": state}
        return {name: state[name] for name in ("order", "position", "generator")} | {"dealt": dealt}

    def _callbacks(self) -> dict[str, Any]:
        found = {"Generators": self.state["rng"]}
        if self.state["ema"] is not None:
            found["Average"] = self.state["ema"]
        return found

    def _optimizer(self) -> dict[str, Any]:
        """torch's state dict of the native optimizer: the same order of parameters as in Lab's groups."""
        optimizer, lab_state = self.training.trainer.optimizer, self.state["optimizer"]
        multipliers = dict(optimizer.multipliers or {})
        found = ((name, factor_of(name, multipliers)) for name in lab_state["grads"])
        factors = {name: factor for name, factor in found if factor is not None}
        made: dict[str, Any] = lab_state.get("torch") or self._own(factors)
        for group, factor in zip(made["param_groups"], dict.fromkeys(factors.values()), strict=True):
            if multipliers:
                group |= {"lr": lab_state["hyper"]["lr"] * factor, "multiplier": factor}
            if optimizer.schedule is not None:  # torch's schedulers note it
                group["initial_lr"] = optimizer.lr * factor
        return made

    def _own(self, factors: dict[str, float]) -> dict[str, Any]:
        """That of one of Lab's own optimizers."""
        optimizer, lab_state = self.training.trainer.optimizer, self.state["optimizer"]
        assert self.training.document is not None
        fields = [field["name"] for field in kept_fields(optimizer, self.training.document.schema)]
        hyper = {name: lab_state["hyper"][name] for name in fields}
        if counts_updates(optimizer):
            hyper["updates"] = lab_state["steps"]
        groups: dict[float, dict[str, Any]] = {}
        for index, factor in enumerate(factors.values()):
            groups.setdefault(factor, {**hyper, "params": []})["params"].append(index)
        numbers = {name: index for index, name in enumerate(factors)}
        slots = {numbers[name]: dict(slots) for name, slots in lab_state["slots"].items()}
        return {"state": slots, "param_groups": list(groups.values())}
