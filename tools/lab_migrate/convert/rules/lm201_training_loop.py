"""A training loop runs under Lightning, its body verbatim

    -    for batch in loader:
    +    def training_step(batch):
             loss = model(batch).mean()
             loss.backward()
             optimizer.step()
    -        if done():
    -            break
    +        if done():
    +            return outlined.BREAK
    +    outlined.fit(training_step, loader)

The loop's header becomes a function's, so the body stays where it is, byte for byte; `continue`, `break` and `return`
become returns; names that outlive an iteration are declared `global` or `nonlocal`. Loops around it go with it, in the
same function and through calls. `outlined.fit` runs the body as a LightningModule's `training_step` under manual
optimization and takes each item from the legacy iterator when Lightning asks for it, so no number changes. Refused,
before anything is written, for what the rules LM221 to LM226 say.
"""

from __future__ import annotations

CODE = "LM201"
LEVELS = {"L1", "L2"}
