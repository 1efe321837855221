"""RMSprop with momentum: `buffer = momentum · buffer + g / (sqrt(v) + eps)`.

So buffer · sqrt(v) - g = momentum · old · sqrt(v) - eps · buffer + momentum · eps · old, which is linear in three
numbers, the third one told by the first two. The form is torch.optim.RMSprop's.
"""

from __future__ import annotations

from lab_parity.diagnose.seen import Seen, Told, solve


def tell(seen: Seen) -> Told | None:
    """The momentum, and epsilon; nothing at a first step, to which a momentum adds nothing."""
    if not seen.shaped("square_avg", "momentum_buffer") or len(seen.new) != 2:
        return None
    new, old = seen.new["momentum_buffer"], seen.was("momentum_buffer")
    names = [n for n in seen.names if bool((old[n] != 0).any())]
    if not names or any((seen.new["square_avg"][n] < 0).any() for n in names):
        return None
    roots = {n: seen.new["square_avg"][n].sqrt() for n in names}
    targets = [new[n] * roots[n] - seen.gradient[n] for n in names]
    columns = [[old[n] * roots[n] for n in names], [-new[n] for n in names], [old[n] for n in names]]
    noise = [4e-7 * ((new[n].abs() + old[n].abs()) * roots[n] + seen.gradient[n].abs()) + 1e-30 for n in names]
    (momentum, eps, _), (error, eps_error, _), left = solve(targets, columns, noise)
    if left > 3 or momentum < -error or eps < -eps_error:
        return None
    predicted = [momentum * a + eps * b + momentum * eps * c for a, b, c in zip(*columns, strict=True)]
    settings = {"momentum": (max(momentum, 0.0), error), "eps": (max(eps, 0.0), eps_error)}
    return Told("RMSprop", "momentum_buffer", settings, targets, predicted, noise)
