"""A batch or an epoch ends early

`break` at the end of a batch becomes `limit_train_batches` where its condition is the same in every epoch, or counts
batches. Any other `break` or `continue` depends on what training finds, and Lightning has no hook that ends an epoch
after a batch.
"""

from __future__ import annotations

CODE = "LM303"
LEVELS = {"L1", "L2"}
