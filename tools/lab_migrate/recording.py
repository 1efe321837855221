"""Running a program under the recorder, in a process of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import attrs

from lab_migrate.errors import UsageError
from lab_migrate.profile import profiles_for
from lab_parity import Scope, read, recording_environment


@attrs.frozen
class Recording:
    """A program that ran under the recorder."""

    trace: Path
    exit_code: int
    #: What it printed, then what it wrote to stderr, where its output was captured.
    output: str
    printed: str = ""


def record_command(
    command: Sequence[str],
    trace: Path,
    *,
    cwd: Path | None = None,
    project: Path | None = None,
    plant: str | None = None,
    extra: Mapping[str, str] | None = None,
    capture: bool = False,
    steps: Collection[int] = (),
    states: Collection[int] = (),
    until: int | None = None,
    scope: Scope | None = None,
    operations: int | None = None,
    transplant: tuple[Path, bool] | None = None,
    seconds: float | None = None,
) -> Recording:
    """Run `command` and record what it trains to `trace`. Raises `UsageError` where there is nothing to read.

    `project` is where a `lab-migrate.toml` may name further update sites. With `capture` the output is kept instead
    of printed. `steps` are captured in full beside the trace, `states` are those after which the state is kept there;
    after step `until` the program is ended. `scope` says how much is recorded; `operations` is a step of which every
    operation is written beside the trace. `transplant` is a trace whose states, and perhaps gradients, the program is
    given. A program that has not ended after so many `seconds` is killed, which is an error.
    """
    sites = [site.update_site() for profile in profiles_for(project) for site in profile.sites]
    environment = {**os.environ, **(extra or {})}
    trace.parent.mkdir(parents=True, exist_ok=True)
    try:
        environment.update(
            recording_environment(
                trace,
                sites,
                plant=plant,
                capture=steps,
                states=states,
                until=until,
                scope=scope,
                operations=operations,
                transplant=transplant,
                environment=environment,
                command=command,
                folder=cwd or Path.cwd(),
            )
        )
        done = subprocess.run(
            list(command),
            cwd=cwd,
            env=environment,
            check=False,
            stdout=subprocess.PIPE if capture else None,
            stderr=subprocess.PIPE if capture else None,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise UsageError(f"the run had not ended after {error.timeout:.0f} s: {' '.join(command)}") from error
    except FileExistsError as error:
        raise UsageError(str(error)) from error
    except (FileNotFoundError, PermissionError) as error:
        raise UsageError(
            f"{command[0]}: expected a program, found none: {error.strerror}; no shell runs the command: for what only "
            "a shell knows (cd, &&, a pipe), give bash -c '…'"
        ) from error
    printed, errors = ((stream or b"").decode(errors="replace") for stream in (done.stdout, done.stderr))
    output = printed + errors
    if not trace.exists():
        why = (
            f"the command failed with exit code {done.returncode} before there was anything to record"
            if done.returncode
            else "the command never imported torch, or its Python has no lab-migrate"
        )
        raise UsageError(f"{trace}: expected a trace, found none; {why}\n{output[-2000:]}".rstrip())
    return Recording(trace, done.returncode, output, printed)


def steps_in(trace: Path) -> int:
    """How many whole steps a trace holds."""
    return sum(1 for item in read(trace).steps() if hasattr(item, "step"))
