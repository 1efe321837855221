"""NAdam's update: by the gradient and the first moment, over the root of the second one.

    change = -(a · g + b · m) / (sqrt(v / c2) + eps),   c2 = 1 - beta2^t

so that change · sqrt(v) = -a' · g - b' · m - eps · sqrt(c2) · change. Dozat (2016): see nadam.py.
"""

from __future__ import annotations

import math

from lab_parity.diagnose.seen import Seen, Told, solve


def tell(seen: Seen) -> Told | None:
    """Epsilon, where gradient and moment both have a part (else it is Adam's: see adam.py)."""
    if not seen.shaped("exp_avg", "exp_avg_sq") or len(seen.new) != 2 or seen.count < 2:
        return None
    m, v, was = seen.new["exp_avg"], seen.new["exp_avg_sq"], seen.was("exp_avg_sq")
    squares = {n: seen.gradient[n].square() for n in seen.names}
    names = [n for n in seen.names if bool((squares[n] > 0).any())]
    if not names:
        return None
    # v = beta2 · old + (1 - beta2) · g²
    parts, _, left = solve(
        [v[n] - was[n] for n in names], [[squares[n] - was[n] for n in names]],
        [1.2e-7 * (v[n] + was[n]) + 1e-38 for n in names],
    )  # fmt: skip
    if left > 3 or not 0 < parts[0] < 1:
        return None
    count = int(seen.single.get("step", (None, seen.count))[1])
    correction = math.sqrt(1 - (1 - parts[0]) ** count)
    roots = {n: v[n].sqrt() for n in names}
    changes = [seen.change[n] for n in names]
    noise = [roots[n] * seen.noise[n] + 2e-7 * (roots[n] * seen.change[n]).abs() + 1e-30 for n in names]
    columns = [[-seen.gradient[n] for n in names], [-m[n] for n in names], [-change for change in changes]]
    targets = [change * roots[n] for change, n in zip(changes, names, strict=True)]
    (of_g, of_m, eps), errors, left = solve(targets, columns, noise)
    if left > 3 or min(of_g - errors[0], of_m - errors[1]) <= 0 or eps < -errors[2]:
        return None
    predicted = [of_g * g + of_m * moment + eps * change for g, moment, change in zip(*columns, strict=True)]
    told = {"eps": (max(eps, 0.0) / correction, errors[2] / correction)}
    return Told("NAdam", "the update", told, targets, predicted, noise)
