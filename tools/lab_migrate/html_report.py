"""The HTML report on two traces, with the cause where one can be named."""

from __future__ import annotations

from pathlib import Path

from lab_migrate.explaining import explained
from lab_parity import Verdict, read
from lab_parity.diagnose import Cause


def write_html(out: Path, legacy: Path, migrated: Path, verdict: Verdict, cause: Cause | None = None) -> None:
    """Compare in full and write the report; raises `UsageError` for files that are no traces.

    `cause` is one that is known already, as from reruns.
    """
    # Bokeh takes a second to import; only this command needs it.
    from lab_parity.report.html import write_report

    if cause is None:
        _, cause = explained(legacy, migrated, verdict=verdict)
    write_report(out, verdict, read(legacy), read(migrated), cause)
