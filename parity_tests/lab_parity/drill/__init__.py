"""Drill-down: the first operation that differs, inside the first step that does."""

from __future__ import annotations

from lab_parity.drill.first import Drill, drill_down

__all__ = ["Drill", "drill_down"]
