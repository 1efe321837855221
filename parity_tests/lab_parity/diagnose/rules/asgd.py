"""ASGD: `p = p · (1 - lambd · eta) - eta · g`, then `eta = lr / (1 + lambd · lr · t)^alpha` and `mu = 1 / (t - t0)`.

The averaging is that of Polyak, Juditsky, SIAM J. Control Optim. 30 (1992); the numbers are torch.optim.ASGD's.
"""

from __future__ import annotations

import math

from lab_parity.diagnose.seen import Seen, Told, solve


def tell(seen: Seen) -> Told | None:
    """lambd and the step's rate from the update; alpha and t0 from the numbers that it leaves."""
    if not {"eta", "mu"} <= set(seen.single) or not seen.shaped("ax"):
        return None
    names = list(seen.names)
    columns = [[-seen.gradient[n] for n in names], [-seen.before[n] for n in names]]
    noise = [seen.noise[n] for n in names]
    changes = [seen.change[n] for n in names]
    (rate, pull), (rate_error, pull_error), left = solve(changes, columns, noise)
    if left > 3 or rate <= 0:
        return None
    count = int(seen.single.get("step", (None, seen.count))[1])
    lambd = "lambd, or a weight decay,"
    settings = {lambd: (pull / rate, pull_error / rate), "eta, the rate": (rate, rate_error)}
    eta, mu = seen.single["eta"][1], seen.single["mu"][1]
    lr = seen.rate or (rate if count == 1 else None)
    base = 1 + pull / rate * lr * count if lr else 1.0
    if lr and base > 1 + 1e-6 and eta < lr:
        # eta is a float, and so is what lambd was fitted on.
        alpha = math.log(lr / eta) / math.log(base)
        settings["alpha"] = alpha, alpha * (2e-7 / math.log(lr / eta) + pull_error / max(pull, 1e-30))
    # A weight of 1 says that t0 is still to come.
    settings["t0"] = (count - 1 / mu, 1e-6 * count) if 0 < mu < 1 else (math.inf, 0.0)
    predicted = [rate * a + pull * b for a, b in zip(*columns, strict=True)]
    return Told(
        "ASGD", "the update and what it leaves in eta and mu", settings, changes, predicted, noise, {"alpha": lambd}
    )
