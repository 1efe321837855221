"""NAdam: its product of momenta, `mu(t) = beta1 · (1 - 0.5 · 0.96^(t · momentum_decay))`.

Dozat, Incorporating Nesterov Momentum into Adam (ICLR 2016 workshop), as in torch.optim.NAdam.
"""

from __future__ import annotations

import math

from lab_parity.diagnose.seen import Seen, Told, solve


def tell(seen: Seen) -> Told | None:
    """momentum_decay, from what this step multiplies the product by and the beta1 that its first moment shows."""
    if not seen.shaped("exp_avg", "exp_avg_sq") or "mu_product" not in seen.single:
        return None
    was, new = seen.single["mu_product"]
    count = int(seen.single.get("step", (None, seen.count))[1])
    if not was or count < 1:
        was = 1.0 if count == 1 else 0.0
    old = seen.was("exp_avg")
    names = [n for n in seen.names if bool((seen.gradient[n] != 0).any())]
    parts, _, left = solve(
        [seen.new["exp_avg"][n] - old[n] for n in names], [[seen.gradient[n] - old[n] for n in names]],
        [1.2e-7 * (seen.new["exp_avg"][n].abs() + old[n].abs()) + 1e-38 for n in names],
    )  # fmt: skip
    beta1 = 1 - parts[0]
    if left > 10 or not was or not 0 < beta1 < 1:
        return None  # another first moment, or a decay through the gradient
    power = 2 * (1 - new / was / beta1)
    if not 0 < power <= 1 + 1e-6:
        return None
    decay = math.log(min(power, 1.0)) / math.log(0.96) / count
    # A float's rounding in the product, and in beta1.
    error = 1e-6 / power / abs(math.log(0.96)) / count
    return Told("NAdam", "mu_product", {"momentum_decay": (decay, error)})
