"""What a recorded run adds to a scan: which optimizers step, when, after how many backward passes; who draws."""

from __future__ import annotations

import json
import shlex
import tempfile
from pathlib import Path

import attrs

from lab_migrate.scan.inventory import Generator, Run, Stepper
from lab_parity import Trace, read
from lab_parity.trace import End, Step

__all__ = ["run_and_look", "what_it_shows"]


def run_and_look(command: str, project: Path, last_step: int) -> Run:
    """Run a shell-quoted command under the recorder, in the current folder, and end it after `last_step`.

    The command's own output is kept back. Raises `UsageError` where it cannot be run, or never imports torch.
    """
    from lab_migrate.recording import record_command

    with tempfile.TemporaryDirectory(prefix="lab-migrate-scan-") as folder:
        done = record_command(
            shlex.split(command), Path(folder) / "run.trace", project=project, capture=True, until=last_step
        )
        return what_it_shows(read(done.trace), command, done.exit_code)


def what_it_shows(trace: Trace, command: str = "", exit_code: int = 0) -> Run:
    """Optimizers, micro-steps and generators of a trace."""
    steppers: dict[str, Stepper] = {}
    generators: dict[str, Generator] = {}
    states: dict[str, bytes] = {}
    texts: dict[str, str] = {}
    notes: list[str] = []
    steps, ended = 0, End("cut short")
    for item in trace.steps():
        if isinstance(item, End):
            ended = item
            break
        steps += 1
        texts |= item.texts
        notes += [note for note in item.notes if note not in notes]
        steppers[item.optimizer] = _seen(steppers.get(item.optimizer), item, texts)
        _draws(item, states, generators)
    end = f"{ended.status}: {ended.detail}" if ended.detail else ended.status
    return Run(
        command, exit_code, steps, end, tuple(steppers.values()), tuple(generators.values()), (*notes, *ended.notes)
    )


def _seen(known: Stepper | None, step: Step, texts: dict[str, str]) -> Stepper:
    rates = [
        float(value)
        for key, value in zip(step.keys, step.values, strict=True)
        if key.field == "hyper" and value == value  # NaN: there is no single rate
    ]
    rate = rates[0] if rates else None
    if known is None:
        parameters = sum(key.phase == "param" for key in step.keys)
        micro, settings = step.micro_steps, _settings(step, texts)
        return Stepper(step.optimizer, 1, step.step, micro, micro, parameters, settings, rate, rate)
    return attrs.evolve(
        known,
        steps=known.steps + 1,
        fewest_backwards=min(known.fewest_backwards, step.micro_steps),
        most_backwards=max(known.most_backwards, step.micro_steps),
        last_rate=rate,
    )


def _settings(step: Step, texts: dict[str, str]) -> str:
    """The hyperparameters of its first group, as `lr 0.1, momentum 0.9`; what is off is left out."""
    for number, key in enumerate(step.keys):
        text = texts.get(bytes(step.digests[number]).hex()) if key.field == "hyper" else None
        if text is not None:
            return ", ".join(f"{name} {value}" for name, value in json.loads(text).items() if value)
    return ""


def _draws(step: Step, states: dict[str, bytes], generators: dict[str, Generator]) -> None:
    """Count the steps in which a generator's state became another."""
    moved: dict[str, bool] = {}
    for key, digest in zip(step.keys, step.digests, strict=True):
        if key.phase == "rng" and key.field == "state":
            state = bytes(digest)
            moved[key.name] = moved.get(key.name, False) or states.get(key.name, state) != state
            states[key.name] = state
    for name, has_moved in moved.items():
        known = generators.get(name, Generator(name, 0, 0))
        generators[name] = Generator(name, known.steps + 1, known.moved + has_moved)
