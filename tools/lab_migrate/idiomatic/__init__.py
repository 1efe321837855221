"""Rewriting a training loop as a Lightning maintainer would write it: the idiomatic way.

    rewriting = rewrite(project, graph, loops)

A nest (epochs, batches, validation) is read across the functions that it stands in, its statements are sorted into a
LightningModule's hooks, and the epoch loop becomes `Trainer(…).fit(…)`. Automatic optimization where a batch's code
does what Lightning would do; else manual optimization, with the step as it was written. What cannot be kept is refused,
with its line.
"""

from lab_migrate.idiomatic.project import Rewriting, rewrite
from lab_migrate.idiomatic.refused import NotIdiomaticError

__all__ = ["NotIdiomaticError", "Rewriting", "rewrite"]
