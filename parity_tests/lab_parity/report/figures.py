"""The figures of the HTML report, as Plotly's own figure objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from lab_parity.survey import Curve, MapRow, Survey
from lab_parity.verdict import Divergence

__all__ = ["distance_figure", "loss_figure", "marked_cell"]

_COLOURS = ("#0b5cad", "#c2410c")
_DASHES = ("solid", "dot")
_FONT = {"family": "system-ui, sans-serif", "size": 12, "color": "#1c2430"}
_SMALLEST = -16
_ROW_PIXELS, _LABEL_PIXELS = 9, 12


def loss_figure(survey: Survey, names: tuple[str, str], first: Divergence | None) -> Any | None:
    """Both runs' losses over the steps, with their range within each bin; None where no loss was recorded."""
    figure = go.Figure()
    steps = survey.starts
    for side, (curves, name) in enumerate(zip(survey.curves, names, strict=True)):
        for curve in curves:
            label = name if len(curves) == 1 else f"{name}, {curve.optimizer}"
            # The migrated run lies over the legacy one: dotted, so that both are seen where they are equal.
            line = {"color": _COLOURS[side], "dash": _DASHES[side], "width": 2.4 - side}
            if _has_range(curve):
                figure.add_scatter(
                    x=np.concatenate([steps, steps[::-1]]), y=np.concatenate([curve.high, curve.low[::-1]]),
                    fill="toself", fillcolor=_COLOURS[side], opacity=0.15, mode="none", showlegend=False,
                    hoverinfo="skip",
                )  # fmt: skip
            figure.add_scatter(x=steps, y=curve.mean, name=label, mode="lines", line=line)
    if not figure.data:
        return None
    if first is not None:
        figure.add_vline(x=first.step, line={"color": "#b3261e", "width": 1.5, "dash": "dash"})
        figure.add_annotation(
            x=first.step, y=1, yref="paper", text="first difference", showarrow=False, xanchor="left", yanchor="bottom",
            font={"color": "#b3261e", "size": 11},
        )  # fmt: skip
    figure.update_layout(
        template="none", font=_FONT, height=340, margin={"l": 70, "r": 20, "t": 30, "b": 45},
        xaxis={"title": {"text": "step"}, "gridcolor": "#e3e7ee", "zeroline": False},
        yaxis={"title": {"text": "loss"}, "gridcolor": "#e3e7ee", "zeroline": False, "exponentformat": "e"},
        legend={"orientation": "h", "x": 0, "y": 1.12}, hovermode="x unified",
    )  # fmt: skip
    return figure


def distance_figure(survey: Survey) -> Any:
    """Step × tensor, in causal order from the top: equal pale, apart by the logarithm of the relative distance."""
    far = survey.far
    count = len(survey.rows)
    with np.errstate(divide="ignore"):
        sized = np.where(np.isfinite(far) & (far > 0), np.log10(np.clip(far, 10.0**_SMALLEST, 10)), np.nan)
    figure = go.Figure()
    x, y = list(range(far.shape[1])), list(range(count))
    for mask, colour, name in ((far == 0, "#dcefe2", "equal"), (np.isinf(far), "#6b6f86", "differs, size unknown")):
        figure.add_heatmap(
            z=np.where(mask, 1.0, np.nan).astype(np.float32), x=x, y=y, colorscale=[[0, colour], [1, colour]],
            showscale=False, hoverinfo="none", name=name, zmin=0, zmax=1,
        )  # fmt: skip
    figure.add_heatmap(
        z=sized.astype(np.float32), x=x, y=y, zmin=_SMALLEST, zmax=0, colorscale="Plasma_r", hoverinfo="none",
        showscale=bool(np.isfinite(sized).any()), name="distance",
        colorbar={
            "title": {"text": "relative<br>distance"}, "tickvals": [0, -4, -8, -12, -16], "thickness": 12, "len": 240,
            "lenmode": "pixels", "y": 1, "yanchor": "top", "ticktext": ["1", "1e-4", "1e-8", "1e-12", "1e-16"],
        },
    )  # fmt: skip
    every = -(-_LABEL_PIXELS // _row_pixels(count))
    shown = list(range(0, count, every))
    columns = sorted({int(place) for place in np.linspace(0, far.shape[1] - 1, min(12, far.shape[1]))})
    figure.update_layout(
        template="none", font={**_FONT, "size": 11}, height=_row_pixels(count) * count + 60,
        margin={"l": 260, "r": 90, "t": 10, "b": 45}, dragmode="zoom",
        xaxis={
            "title": {"text": "step"}, "tickvals": columns, "ticktext": [str(survey.starts[c]) for c in columns],
            "showgrid": False, "zeroline": False,
        },
        yaxis={
            "autorange": "reversed", "tickvals": shown, "ticktext": [_short(survey.rows[row]) for row in shown],
            "showgrid": False, "zeroline": False,
        },
    )  # fmt: skip
    for edge in _edges(survey.rows):
        figure.add_hline(y=edge - 0.5, line={"color": "#8a94a6", "width": 1})
    return figure


def marked_cell(survey: Survey, first: Divergence | None) -> tuple[int, int] | None:
    """(row, bin) of the first difference: its step's first row, in causal order, that differs there."""
    if first is None:
        return None
    bins = np.nonzero((survey.starts <= first.step) & (survey.ends >= first.step))[0]
    if not bins.size:
        return None
    place = int(bins[0])
    rows = [int(row) for row in np.nonzero(survey.far[:, place] > 0)[0]]
    same = [row for row in rows if survey.rows[row].phase.split(" ")[0] == first.phase]
    return ((same or rows)[0], place) if rows else None


def _has_range(curve: Curve) -> bool:
    return bool(np.nanmax(curve.high - curve.low, initial=0) > 0)


def _row_pixels(rows: int) -> int:
    return max(_ROW_PIXELS, min(22, 480 // max(rows, 1)))


def _edges(rows: Sequence[MapRow]) -> list[int]:
    return [place for place in range(1, len(rows)) if rows[place].phase != rows[place - 1].phase]


def _short(row: MapRow) -> str:
    text = f"{row.phase}  {row.name}" + (f" ({row.members})" if row.members > 1 else "")
    return text if len(text) <= 42 else f"{text[:20]}…{text[-21:]}"
