"""Adagrad and RMSprop: an update by the gradient over the root of a sum, or average, of its squares.

    change = -lr · g / (sqrt(v) + eps)

so that change · sqrt(v) = -lr · g - eps · change, which is linear in both settings.

Adagrad: Duchi, Hazan, Singer, JMLR 12 (2011); RMSprop: Hinton, Neural Networks for Machine Learning, lecture 6e (2012).
"""

from __future__ import annotations

from lab_parity.diagnose.seen import Seen, Told, solve


def tell(seen: Seen) -> Told | None:
    """Epsilon, and the learning rate."""
    fields = [field for field in seen.new if seen.shaped(field)]
    if len(fields) != 1 or any((value < 0).any() for value in seen.new[fields[0]].values()):
        return None
    names = [n for n in seen.names if bool((seen.gradient[n] != 0).any())]
    roots = [seen.new[fields[0]][n].sqrt() for n in names]
    changes = [seen.change[n] for n in names]
    if not names:
        return None
    # Where the root is nothing the update is 0 / 0 or all epsilon: no rounding error is less than a float's.
    noise = [
        root * seen.noise[n] + 1e-7 * (root * seen.change[n]).abs() + 1e-30
        for root, n in zip(roots, names, strict=True)
    ]
    targets = [change * root for change, root in zip(changes, roots, strict=True)]
    columns = [[-seen.gradient[n] for n in names], [-change for change in changes]]
    (rate, eps), (rate_error, eps_error), left = solve(targets, columns, noise)
    if left > 3 or rate <= 0 or eps < -eps_error:
        return None
    predicted = [rate * a + eps * b for a, b in zip(*columns, strict=True)]
    settings = {"eps": (max(eps, 0.0), eps_error), "lr": (rate, rate_error)}
    return Told(
        "an update by the gradient over the root of its squares", "the update", settings, targets, predicted, noise
    )
