"""The figures of the HTML report, as Bokeh's own figure objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from bokeh.models import (
    BasicTicker,
    ColorBar,
    ColumnDataSource,
    FixedTicker,
    LinearColorMapper,
    PlainText,
    Plot,
    Range1d,
    Span,
)
from bokeh.palettes import Plasma256
from bokeh.plotting import figure

from lab_parity.survey import Curve, MapRow, Survey
from lab_parity.verdict import Divergence

__all__ = ["distance_figure", "loss_figure", "marked_cell"]

_COLOURS = ("#0b5cad", "#c2410c")
_DASHES = ("solid", "dotted")
_ALARM = "#b3261e"
_SMALLEST = -16.0
_EQUAL, _UNKNOWN = -99.0, 99.0
"""Below and above all logarithms: what has a colour of its own."""
_ROW_PIXELS, _LABEL_PIXELS = 9, 13
_TICKS = 5


def loss_figure(survey: Survey, names: tuple[str, str], first: Divergence | None, scale: str) -> Plot | None:
    """Both runs' losses over the steps, with their range within each bin; None where no loss was recorded.

    `scale` is "linear" or "log".
    """
    if not any(survey.curves):
        return None
    plot = figure(
        height=340, sizing_mode="stretch_width", y_axis_type=scale, x_axis_label="step", y_axis_label="loss",
        tools="box_zoom,reset,save", name=f"loss {scale}",
    )  # fmt: skip
    plot.toolbar.logo = None
    steps = survey.starts.astype(np.float64)
    for side, (curves, name) in enumerate(zip(survey.curves, names, strict=True)):
        for curve in curves:
            label = name if len(curves) == 1 else f"{name}, {curve.optimizer}"
            low, mean, high = (_drawable(values, scale) for values in (curve.low, curve.mean, curve.high))
            if _has_range(curve):
                plot.varea(steps, low, high, fill_color=_COLOURS[side], fill_alpha=0.15)
            # The migrated run lies over the legacy one: dotted, so that both are seen where they are equal.
            plot.line(
                steps, mean, legend_label=label, line_color=_COLOURS[side], line_dash=_DASHES[side],
                line_width=2.5 - side,
            )  # fmt: skip
            alone = _alone(mean)
            if alone.any():  # of a line through one point nothing is drawn: optimizers that take turns
                plot.scatter(
                    steps[alone], mean[alone], legend_label=label, line_color=_COLOURS[side],
                    fill_color=None if side else _COLOURS[side], size=5 + 4 * side,
                )  # fmt: skip
    if first is not None:
        at = Span(location=first.step, dimension="height", line_color=_ALARM, line_dash="dashed", line_width=1.5)
        plot.add_layout(at)
        plot.line([first.step], [np.nan], legend_label="first difference", line_color=_ALARM, line_dash="dashed")
    plot.legend.orientation, plot.legend.ncols = "horizontal", 2
    plot.legend.location = "left"
    plot.legend.border_line_alpha = 0
    plot.add_layout(plot.legend[0], "above")
    _plain(plot)
    return plot


def distance_figure(survey: Survey, first: tuple[int, int] | None) -> Plot:
    """Step × tensor, in causal order from the top: equal pale, apart by the logarithm of the relative distance.

    The image (rows, bins) holds log10 distances, with a number far below for equal, one far above for an unknown
    size, and NaN for nothing to compare. `first` is (row, bin), to be marked.
    """
    far = survey.far
    count, bins = far.shape
    with np.errstate(divide="ignore"):
        image = np.log10(np.clip(far, 10.0**_SMALLEST, 1.0))
    image = np.where(far == 0, _EQUAL, np.where(np.isinf(far), _UNKNOWN, image)).astype(np.float32)
    plot = figure(
        height=_row_pixels(count) * count + 60, sizing_mode="stretch_width", x_axis_label="step",
        x_range=Range1d(-0.5, bins - 0.5, bounds="auto"), y_range=Range1d(count - 0.5, -0.5, bounds="auto"),
        tools="box_zoom,reset,save", name="map",
    )  # fmt: skip
    plot.toolbar.logo = None
    colours = LinearColorMapper(
        Plasma256[::-1], low=_SMALLEST, high=0.0, low_color="#dcefe2", high_color="#6b6f86", nan_color="#ffffff"
    )
    source = ColumnDataSource({"image": [image], "x": [-0.5], "y": [-0.5], "dw": [bins], "dh": [count]}, name="cells")
    plot.image("image", "x", "y", "dw", "dh", source=source, color_mapper=colours, anchor="bottom_left")
    for name, colour, where in (("first", _ALARM, first), ("cursor", "#000000", None)):
        marked = ColumnDataSource({"x": [where[1]] if where else [], "y": [where[0]] if where else []}, name=name)
        plot.rect("x", "y", width=1, height=1, source=marked, fill_alpha=0, line_color=colour, line_width=2)
    for edge in _edges(survey.rows):
        plot.add_layout(Span(location=edge - 0.5, dimension="width", line_color="#8a94a6"))
    if np.isfinite(far[far > 0]).any():
        bar = ColorBar(
            color_mapper=colours, width=140, height=10, ticker=FixedTicker(ticks=[-16, -12, -8, -4, 0]),
            title="relative distance, log10", title_text_font_style="normal", location=(0, 0),
        )  # fmt: skip
        plot.add_layout(bar, "above")
    _label(plot, survey, count, bins)
    _plain(plot)
    return plot


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


def _drawable(values: npt.NDArray[np.float64], scale: str) -> npt.NDArray[np.float64]:
    """A logarithm has no place for what is not above zero."""
    found: npt.NDArray[np.float64] = np.where(values > 0, values, np.nan) if scale == "log" else values
    return found


def _alone(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which values have no neighbour to draw a line to."""
    there = np.isfinite(values)
    beside = np.zeros_like(there)
    beside[1:] |= there[:-1]
    beside[:-1] |= there[1:]
    found: npt.NDArray[np.bool_] = there & ~beside
    return found


def _has_range(curve: Curve) -> bool:
    return bool(np.nanmax(curve.high - curve.low, initial=0) > 0)


def _row_pixels(rows: int) -> int:
    return max(_ROW_PIXELS, min(22, 480 // max(rows, 1)))


def _edges(rows: Sequence[MapRow]) -> list[int]:
    return [place for place in range(1, len(rows)) if rows[place].phase != rows[place - 1].phase]


def _label(plot: Any, survey: Survey, count: int, bins: int) -> None:
    every = -(-_LABEL_PIXELS // _row_pixels(count))
    plot.xaxis.ticker = BasicTicker(desired_num_ticks=_TICKS, min_interval=1)
    plot.xaxis.major_label_overrides = {column: str(survey.starts[column]) for column in range(bins)}
    shown = range(0, count, every)
    plot.yaxis.ticker = FixedTicker(ticks=list(shown))
    # A name comes from a trace: it is text, never mathematics.
    plot.yaxis.major_label_overrides = {row: PlainText(text=_short(survey.rows[row])) for row in shown}


def _plain(plot: Any) -> None:
    for axis in (*plot.xaxis, *plot.yaxis):
        axis.axis_label_text_font_style = "normal"
        axis.major_label_text_font_size = "11px"
        axis.minor_tick_line_alpha = 0
    plot.grid.grid_line_color = "#e3e7ee"
    plot.outline_line_color = "#d7dce4"
    plot.toolbar.autohide = True


def _short(row: MapRow) -> str:
    text = f"{row.phase}  {row.name}" + (f" ({row.members})" if row.members > 1 else "")
    return text if len(text) <= 42 else f"{text[:20]}…{text[-21:]}"
