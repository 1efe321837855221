"""An epoch's beginning may read what the training changes

     for epoch in range(epochs):            becomes     @outlined.reads_models
         labels = pseudo_labels(model, data)            def epoch_loop(epoch):
         for x, y in loader_of(data, labels):               labels = pseudo_labels(model, data)

A training that resumes in the middle of an epoch runs the code at that epoch's beginning once more. Where it may read
weights, the state of an optimizer, or what the batches leave behind (pseudo-labels, centers of features, weights of
samples by their losses, a teacher), each checkpoint holds a copy of the whole state as it was there, in the host's
memory until it is written: about twice the size. Where convert sees no such code, nothing more is kept, and a read that
it did not see is a warning when it happens in a resumed run.
"""

from __future__ import annotations

CODE = "LM231"
LEVELS = {"L1", "L2"}
