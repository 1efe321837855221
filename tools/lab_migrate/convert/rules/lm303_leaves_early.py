"""A batch or an epoch ends early

`break` at the end of a batch becomes `limit_train_batches` where its condition is the same in every epoch, or counts
batches, and `should_stop` where what follows the batches breaks again on the same condition; so does a `return` that
passes over nothing. A `continue` leaves `training_step`. Any other `break` depends on what training finds, and
Lightning has no hook that ends an epoch after a batch.
"""

from __future__ import annotations

CODE = "LM303"
LEVELS = {"L1", "L2"}
