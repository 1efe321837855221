"""A comparison as one HTML file that needs no network: verdict, curves, distances, first difference, environment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from bokeh.embed import json_item
from bokeh.resources import Resources
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lab_parity.diagnose import Cause
from lab_parity.report.advice import next_step
from lab_parity.report.cause import SURE
from lab_parity.report.figures import distance_figure, loss_figure, marked_cell
from lab_parity.survey import Survey, survey
from lab_parity.trace import Trace
from lab_parity.verdict import Verdict

__all__ = ["html_report", "write_report"]

_HERE = Path(__file__).parent
_MEANING = {
    "identical": "Bitwise equal: every step, every tensor that both sides have.",
    "within-noise": "Not bitwise equal, but no further apart than reruns of the legacy side are from each other.",
    "equivalent": "Not the same runs, but the same outcome within the margin, by an equivalence test over seeds.",
    "diverged": "The two trainings are not the same.",
    "inconclusive": "Something was missing, empty or unmatched: this is no pass.",
}


def html_report(
    verdict: Verdict, legacy: Trace, migrated: Trace, cause: Cause | None = None, names: tuple[str, str] | None = None
) -> str:
    """The report as text; `names` are what the two sides are called. Reads both traces to their ends.

    Raises TraceError when one is damaged.
    """
    names = names or ("legacy", "migrated")
    found = survey(legacy, migrated)
    marked = marked_cell(found, verdict.first)
    figures = {scale: loss_figure(found, names, verdict.first, scale) for scale in ("linear", "log")}
    figures["map"] = distance_figure(found, marked) if found.rows else None
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    data = {name: json_item(figure) for name, figure in figures.items() if figure is not None}
    return environment.get_template("report.html.jinja").render(
        verdict=verdict, cause=cause, sure=SURE, names=names, meaning=_MEANING[verdict.rung], advice=next_step(verdict),
        traces=(legacy, migrated), figures=figures, sized=found.sized, summary=_in_words(found, verdict),
        environment=_environment(verdict, legacy), map_cells=found.far.size,
        data=_script({**data, "cells": _cells(found, marked)}),
        style=Markup((_HERE / "report.css").read_text(encoding="utf-8")),
        script=Markup((_HERE / "report.js").read_text(encoding="utf-8")),
        bokeh=Markup(Resources(mode="inline", minified=True).js_raw[0]),
    )  # fmt: skip


def write_report(path: Path, verdict: Verdict, legacy: Trace, migrated: Trace, cause: Cause | None = None) -> None:
    """The report as a file; one that is there is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html_report(verdict, legacy, migrated, cause), encoding="utf-8")


def _script(data: Any) -> Markup:
    """JSON that may stand inside a script element: no `<` can end it."""
    return Markup(json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"))


def _cells(found: Survey, marked: tuple[int, int] | None) -> dict[str, Any]:
    """What the keyboard cursor reads out; how far apart a cell is, it takes from the map's image."""
    return {
        "rows": [{"phase": row.phase, "name": row.name, "count": row.members} for row in found.rows],
        "starts": found.starts.tolist(), "ends": found.ends.tolist(), "first": marked,
    }  # fmt: skip


def _in_words(found: Survey, verdict: Verdict) -> str:
    """The map for those who do not see it."""
    steps = int(found.ends.max()) + 1
    differ = int((found.far > 0).any(axis=1).sum()) if found.rows else 0
    largest = found.far[np.isfinite(found.far)].max(initial=0.0)
    text = f"{len(found.rows)} rows over {steps} steps; {differ} rows differ somewhere."
    if largest > 0:
        text += f" Largest relative distance: {largest:.2g}."
    if verdict.first is not None and not found.sized:
        text += " Sizes of differences of tensors need traces recorded with --level statistics on both sides."
    return text


def _environment(verdict: Verdict, legacy: Trace) -> list[tuple[str, str, str, bool]]:
    """(name, legacy's value, migrated's value, whether they differ); what differs first."""
    rows = [(name, a, b, True) for name, (a, b) in verdict.environment.items()]
    return rows + [
        (name, value, value, False) for name, value in legacy.environment.items() if name not in verdict.environment
    ]
