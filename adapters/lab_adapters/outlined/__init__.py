"""Training loops under Lightning with their bodies verbatim: what `lab-migrate convert` writes, and what it calls.

A loop becomes a function of one item, and `fit` runs it as a LightningModule's `training_step`:

    for batch in loader:                        def training_step(batch):
        loss = model(batch).mean()                  loss = model(batch).mean()
        loss.backward()               becomes       loss.backward()
        optimizer.step()                            optimizer.step()
                                                outlined.fit(training_step, loader)

`continue` becomes `return`, `break` becomes `return outlined.BREAK`. In an epoch loop around it the body becomes a
generator function that hands its inner loop over with `yield from outlined.steps(training_step, loader)`, so that the
whole nest is one `fit`. Nothing draws from a generator, moves a batch or takes one early: each item is taken from the
legacy iterator when Lightning asks for it, and the code between two steps runs in between.
"""

from lab_adapters.outlined.copies import use_copies
from lab_adapters.outlined.epoch_beginnings import reads_models
from lab_adapters.outlined.fits import fit, loop, plain, trainer_settings
from lab_adapters.outlined.flow import BREAK, Return, call, endless, result, steps, while_

__all__ = [
    "BREAK",
    "Return",
    "call",
    "endless",
    "fit",
    "loop",
    "plain",
    "reads_models",
    "result",
    "steps",
    "trainer_settings",
    "use_copies",
    "while_",
]
