"""The HTML report on two traces, with the cause where one can be named."""

from __future__ import annotations

from pathlib import Path

from lab_migrate.explaining import explained
from lab_parity import Verdict, read


def write_html(out: Path, legacy: Path, migrated: Path, verdict: Verdict) -> None:
    """Compare in full and write the report; raises `UsageError` for files that are no traces."""
    # Bokeh takes a second to import; only this command needs it.
    from lab_parity.report.html import write_report

    _, cause = explained(legacy, migrated, verdict=verdict)
    write_report(out, verdict, read(legacy), read(migrated), cause)
