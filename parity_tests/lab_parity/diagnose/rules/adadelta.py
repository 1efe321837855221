"""Adadelta: `delta² = (d + eps) / (v + eps) · g²`, of which the average d takes in a part 1 - rho.

So delta² · v - d · g² = eps · (g² - delta²), with delta² from what d has taken in.
Zeiler, arXiv 1212.5701, algorithm 1.
"""

from __future__ import annotations

from lab_parity.diagnose.seen import Seen, Told, solve


def tell(seen: Seen) -> Told | None:
    """Epsilon."""
    if not seen.shaped("square_avg", "acc_delta") or len(seen.new) != 2:
        return None
    v, was, d, was_d = seen.new["square_avg"], seen.was("square_avg"), seen.new["acc_delta"], seen.was("acc_delta")
    squares = {n: seen.gradient[n].square() for n in seen.names}
    names = [n for n in seen.names if bool((squares[n] > 0).any())]
    # v = rho · old + (1 - rho) · g²
    parts, _, left = solve(
        [v[n] - was[n] for n in names], [[squares[n] - was[n] for n in names]], [1.2e-7 * v[n] + 1e-38 for n in names]
    )
    rho = 1 - parts[0]
    if left > 3 or not 0 <= rho < 1:
        return None
    deltas = [(d[n] - rho * was_d[n]) / (1 - rho) for n in names]
    noise = [5e-7 / (1 - rho) * (d[n] * v[n]) + 5e-7 * was_d[n] * squares[n] + 1e-38 for n in names]
    targets = [delta * v[n] - was_d[n] * squares[n] for delta, n in zip(deltas, names, strict=True)]
    column = [squares[n] - delta for delta, n in zip(deltas, names, strict=True)]
    (eps,), (error,), left = solve(targets, [column], noise)
    if left > 3 or eps <= 0:
        return None
    return Told("Adadelta", "acc_delta", {"eps": (eps, error)}, targets, [eps * c for c in column], noise)
