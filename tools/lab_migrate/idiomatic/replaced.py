"""What the LightningModule holds, and code that stays elsewhere puts another one in place of.

    def renew(self):                                      def renew():
        self.optimizer = SGD(self.model.parameters())         global optimizer
                                                              optimizer = SGD(model.parameters())

Called in the loop, it would change the legacy object or the file's name, and Lightning go on with the first one.
"""

from __future__ import annotations

import ast

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import Function
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.places import Places
from lab_migrate.idiomatic.reach import reached_in
from lab_migrate.idiomatic.refused import NotIdiomaticError


def refuse_replaced(nest: Nest, places: Places, graph: CallGraph) -> None:
    """Raises `NotIdiomaticError`."""
    held = {*places.fixed, *places.names.captured}
    cls = nest.base.function.cls
    lineage = graph.lineage(cls) if cls is not None and not nest.base.function.is_static else []
    moved = [frame.function for frame in nest.frames]

    def does(node: ast.AST, within: Function) -> bool:
        if not isinstance(node, ast.Name | ast.Attribute) or not isinstance(node.ctx, ast.Store):
            return False
        if any(within is one for one in moved):
            return False
        if isinstance(node, ast.Name):
            is_global = any(isinstance(one, ast.Global) and node.id in one.names for one in within.own)
            return is_global and node.id in held and within.module is nest.base.module and nest.base.is_script
        return f"self.{node.attr}" in held and any(of in lineage for of in graph.types(within, node.value))

    if (found := reached_in(nest, graph, does)) is not None:
        frame, node = found
        raise NotIdiomaticError(
            "LM305", frame.module.path, node,
            f"{ast.unparse(node)} puts another object in place of one that the LightningModule would hold",
            "make it in the loop itself, or keep the faithful way",
        )  # fmt: skip
