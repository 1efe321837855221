"""Adapters of single roles, on objects that no framework of ours made."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn

from lab_adapters import (
    BlockModule,
    Evaluation,
    HookCallback,
    LoaderAdapter,
    LoaderAssumptions,
    Logging,
    OptimizerAdapter,
    OptimizerAssumptions,
    ScheduleAdapter,
    StepModule,
    TokenLoader,
    TrackerLogger,
    faithful,
    quiet,
)


class Stream:
    """A loader of a lab we never met: draws its batches from a generator of its own."""

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(3)

    def next_batch(self) -> Tensor:
        """`(4, 3)`."""
        return torch.randn(4, 3, generator=self.generator)

    def state(self) -> dict[str, Any]:
        """The generator's."""
        return {"generator": self.generator.get_state()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on."""
        self.generator.set_state(state["generator"])


class Descent:
    """An optimizer that owns backward and updates at every second loss."""

    def __init__(self, model: nn.Module) -> None:
        self.groups: list[dict[str, Any]] = [{"params": list(model.parameters()), "lr": 0.1}]
        self.losses = 0

    def step(self, loss: Tensor) -> bool:
        """Plain descent."""
        loss.backward()
        self.losses += 1
        if self.losses % 2:
            return False
        with torch.no_grad():
            for parameter in self.groups[0]["params"]:
                parameter -= self.groups[0]["lr"] * parameter.grad
                parameter.grad.zero_()
        return True

    def state(self) -> dict[str, Any]:
        """The count."""
        return {"losses": self.losses}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on."""
        self.losses = state["losses"]


def objective(model: nn.Module, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Draws from the global generator, as noise does."""
    loss = (model(batch) + torch.randn(())).square().mean()
    return loss, {"loss": loss.detach()}


def linear() -> nn.Linear:
    """The same each time."""
    torch.manual_seed(0)
    return nn.Linear(3, 1)


def by_hand(steps: int) -> nn.Linear:
    """The loop that this lab would have written."""
    model = linear()
    loader, optimizer = Stream(), Descent(model)
    for _ in range(steps):
        updated = False
        while not updated:
            updated = optimizer.step(objective(model, loader.next_batch())[0])
    return model


def module(**extra: Any) -> BlockModule:
    """The same parts, wrapped."""
    model = linear()
    return BlockModule(model, objective, LoaderAdapter(Stream()), OptimizerAdapter(Descent(model)), **extra)


def fit(of: BlockModule, steps: int, ckpt_path: str | None = None, **arguments: Any) -> lightning.Trainer:
    """Under Lightning."""
    with quiet():
        trainer = lightning.Trainer(max_steps=steps, **faithful(**arguments))
        trainer.fit(of, TokenLoader(steps), ckpt_path=ckpt_path)
    return trainer


def test_wrapped_roles_train_as_the_loop_by_hand() -> None:
    """Bitwise, and Lightning counts the updates, not the losses."""
    wrapped = module()
    trainer = fit(wrapped, 6)
    expected = by_hand(6)
    assert torch.equal(wrapped.model.weight, expected.weight)
    assert torch.equal(wrapped.model.bias, expected.bias)
    assert trainer.global_step == wrapped.step == 6


def test_tokens_that_run_out_before_the_steps_are_refused() -> None:
    """Lightning would end the training there, and say nothing; passes over them count."""
    for epochs, tokens in ((1, 2), (2, 1)):
        with quiet(), pytest.raises(ValueError, match=r"max_steps: expected at most 2, .* found 3"):
            lightning.Trainer(**faithful(max_steps=3, max_epochs=epochs)).fit(module(), TokenLoader(tokens))


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* is not empty")
@pytest.mark.parametrize("at", [1, 3])
def test_wrapped_roles_resume_bitwise(tmp_path: Path, at: int) -> None:
    """The checkpoint holds loader, counters and generators."""
    saver = ModelCheckpoint(tmp_path, every_n_train_steps=at, save_top_k=-1)
    fit(module(), at, callbacks=[saver])
    torch.rand(9)
    resumed = module()
    fit(
        resumed,
        6,
        ckpt_path=saver.best_model_path,
        callbacks=[ModelCheckpoint(tmp_path, every_n_train_steps=at, save_top_k=-1)],
    )
    assert torch.equal(resumed.model.weight, by_hand(6).weight)


class Counting(nn.Module):
    """An objective that is a module, with a buffer and a state."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, model: nn.Module, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, weighed by the count."""
        self.calls += 1
        loss, metrics = objective(model, batch)
        return loss * self.calls, metrics

    def state(self) -> dict[str, Any]:
        """The count."""
        return {"calls": self.calls.clone()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on."""
        self.calls.copy_(state["calls"])


def test_a_role_that_is_a_module_resumes_from_a_file_that_has_its_state_alone(tmp_path: Path) -> None:
    """As a legacy trainer wrote it, which knows nothing of buffers under a name of Lightning's."""

    def counting() -> BlockModule:
        model = linear()
        return BlockModule(model, Counting(), LoaderAdapter(Stream()), OptimizerAdapter(Descent(model)))

    whole = counting()
    fit(whole, 6)
    trainer = fit(counting(), 3)
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    found = torch.load(tmp_path / "x.ckpt", weights_only=True)
    del found["state_dict"]["objective.calls"]
    torch.save(found, tmp_path / "x.ckpt")
    resumed = counting()
    fit(resumed, 6, ckpt_path=str(tmp_path / "x.ckpt"))
    assert torch.equal(resumed.model.weight, whole.model.weight)
    assert int(resumed.objective.calls) == int(whole.objective.calls) == 12


def test_evaluation_and_logging_happen_between_steps() -> None:
    """Every n steps, in eval mode, with their own loader."""
    seen: list[tuple[int, list[str]]] = []

    def report(step: int, metrics: dict[str, float]) -> None:
        seen.append((step, sorted(metrics)))

    between = [Logging(every=2, report=report), Evaluation(LoaderAdapter(Stream()), every=3, batches=2, report=report)]
    wrapped = module(between_steps=between)
    fit(wrapped, 6)
    assert seen == [(2, ["loss"]), (3, ["eval/loss"]), (4, ["loss"]), (6, ["loss"]), (6, ["eval/loss"])]
    assert wrapped.model.training


def test_an_object_that_cannot_play_a_role_is_refused_with_all_that_it_lacks() -> None:
    """Before any training."""
    with pytest.raises(
        TypeError, match=r"loader: expected a LegacyLoader, found list without load_state, next_batch, state"
    ):
        LoaderAdapter([])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"optimizer: expected a LegacyOptimizer, found object without groups"):
        OptimizerAdapter(object())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"training: expected a LegacyTraining"):
        StepModule(object())  # type: ignore[arg-type]


def test_roles_that_are_given_as_something_else_are_refused() -> None:
    """Where they are handed over, with the role's name."""
    model = linear()
    parts: dict[str, Any] = {
        "model": model, "objective": objective, "loader": LoaderAdapter(Stream()),
        "optimizer": OptimizerAdapter(Descent(model)),
    }  # fmt: skip
    for role, wrong, said in (
        ("loader", Stream(), r"loader: expected LoaderAdapter, found Stream; wrap it: loader=LoaderAdapter"),
        ("optimizer", Descent(model), r"optimizer: expected OptimizerAdapter, found Descent; wrap it"),
        ("model", len, r"model: expected a torch\.nn\.Module"),
        ("hooks", [object()], r"hooks\[0\]: expected a LegacyHook, found object without after_eval"),
        ("ema", object(), r"ema: expected a LegacyEMA, found object without load_state"),
    ):
        with pytest.raises(TypeError, match=said):
            BlockModule(**{**parts, role: wrong})
    descent = Descent(model)
    descent.groups = model.parameters()  # type: ignore[assignment]
    with pytest.raises(TypeError, match=r"optimizer\.groups: expected a list of dicts with params"):
        OptimizerAdapter(descent)


@pytest.mark.parametrize("said", [None, torch.tensor(0.0), 1.0])
def test_an_optimizer_that_does_not_say_whether_it_updated_is_refused(said: Any) -> None:
    """None would be asked for ever, a loss of zero taken for no update."""
    wrapped = module()
    wrapped.optimizer.step = lambda loss: said
    with pytest.raises(TypeError, match=r"optimizer\.step: expected True or False, whether parameters changed, found"):
        fit(wrapped, 2)


@pytest.mark.parametrize("said", [torch.zeros(()), (torch.zeros(()), None), [1, 2]])
def test_an_objective_that_says_no_loss_and_metrics_is_refused(said: Any) -> None:
    """A loss alone was unpacked as if it were several."""
    wrapped = module()
    wrapped.objective = lambda model, batch: said
    with pytest.raises(TypeError, match=r"objective: expected a loss and metrics by name, found"):
        fit(wrapped, 2)


class Ending(Stream):
    """Ends behind three batches."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 3

    def next_batch(self) -> Tensor:
        """One of three."""
        self.left -= 1
        return super().next_batch() if self.left >= 0 else next(iter(()))


def test_what_ends_early_is_an_error(tmp_path: Path) -> None:
    """Lightning takes a StopIteration in a step for the end of the training, and the run for a whole one."""
    model = linear()
    ending = BlockModule(model, objective, LoaderAdapter(Ending()), OptimizerAdapter(Descent(model)))
    with pytest.raises(RuntimeError, match=r"loader: expected an endless loader, found that Ending\.next_batch raised"):
        fit(ending, 6)
    wrapped = module()
    wrapped.optimizer.step = lambda loss: next(iter(()))
    with pytest.raises(RuntimeError, match=r"the legacy code raised StopIteration in step 0"):
        fit(wrapped, 6)


def test_a_state_that_no_run_could_be_resumed_from_is_refused_where_it_is_saved(tmp_path: Path) -> None:
    """With its place: a checkpoint is read without unpickling code."""
    wrapped = module()
    wrapped.loader.legacy.state = lambda: {"seen": [1, random.Random()]}  # type: ignore[method-assign]
    trainer = fit(wrapped, 2)
    with pytest.raises(TypeError, match=r"state of\['loader'\]\['seen'\]\[1\]: expected plain numbers"):
        trainer.save_checkpoint(tmp_path / "x.ckpt")


def test_an_assumption_that_no_adapter_serves_is_refused() -> None:
    """Rather than served wrongly."""
    with pytest.raises(ValueError, match="expected an endless loader"):
        LoaderAdapter(Stream(), LoaderAssumptions(endless=False))
    with pytest.raises(ValueError, match="expected step\\(loss\\) to own backward"):
        OptimizerAdapter(Descent(linear()), OptimizerAssumptions(owns_backward=False))


def test_the_optimizer_adapter_never_steps() -> None:
    """A second update would be a silent difference."""
    adapter = OptimizerAdapter(Descent(linear()))
    with pytest.raises(RuntimeError, match="inside the legacy step"):
        adapter.step()
    with pytest.raises(KeyError, match="written without the adapter"):
        adapter.load_state_dict({"state": {}, "param_groups": []})


def test_a_loader_that_does_not_move_its_batches_has_them_moved() -> None:
    """Driven by the assumption."""
    adapter = LoaderAdapter(Stream(), LoaderAssumptions(moves_batches=False))
    assert adapter.next_batch("meta").device.type == "meta"
    assert LoaderAdapter(Stream()).next_batch("meta").device.type == "cpu"


def test_a_schedule_is_applied_before_the_update_it_is_asked_for() -> None:
    """Step 0 at construction, step n after update n-1; multipliers scale the rate only."""
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([{"params": [parameter], "multiplier": 0.5}], lr=9.0, momentum=0.1)
    schedule = ScheduleAdapter(optimizer, lambda step: {"lr": 1.0 + step, "momentum": 0.25 * step})
    seen = []
    for _ in range(3):
        seen.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]))
        parameter.grad = torch.zeros(1)
        optimizer.step()
        schedule.step()
    assert seen == [(0.5, 0.0), (1.0, 0.25), (1.5, 0.5)]
    with pytest.raises(KeyError, match="expected one of"):
        ScheduleAdapter(optimizer, lambda step: {"learning_rate": 1.0})


class Tracker:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def start(self, config: str) -> None:
        """Open."""
        self.calls.append(("start", config))

    def log(self, step: int, metrics: dict[str, float]) -> None:
        """Metrics."""
        self.calls.append((step, metrics))

    def close(self) -> None:
        """Close."""
        self.calls.append("close")


def test_a_tracker_serves_as_a_lightning_logger() -> None:
    """It is started once, gets the metrics without Lightning's epoch, and is closed."""
    tracker = Tracker()
    fit(module(), 4, logger=TrackerLogger(tracker, "the config"), log_every_n_steps=2)
    assert tracker.calls[0] == ("start", "the config")
    assert [sorted(call[1]) for call in tracker.calls[1:-1]] == [["loss"], ["loss"]]
    assert tracker.calls[-1] == "close"


def test_hooks_serve_as_a_callback_of_a_native_module() -> None:
    """With an owner where the legacy trainer stood."""
    calls: list[tuple[str, str]] = []

    class Hook:
        def __getattr__(self, name: str) -> Any:
            return lambda owner, *rest: calls.append((name, owner))

    fit(module(), 2, callbacks=[HookCallback([Hook()], "owner")])
    names = [name for name, owner in calls if owner == "owner"]
    assert names == ["before_train", "before_step", "after_step", "before_step", "after_step", "after_train"]


def test_a_module_logs_a_mapping_where_the_legacy_trainer_did() -> None:
    """Under its own step, through `report`; without it, and without an evaluation, it says what to pass."""
    told: list[Any] = []
    module(report=lambda step, metrics: told.append((step, metrics))).log({"loss": 1.5})
    assert told == [(0, {"loss": 1.5})]
    with pytest.raises(ValueError, match="expected report=… to log a mapping"):
        module().log({"loss": 1.5})
    with pytest.raises(ValueError, match="expected an Evaluation in between_steps"):
        module().evaluate()
