"""Adamax: the infinity norm `u = max(beta2 · u, |g| + eps)`.

Kingma, Ba, arXiv 1412.6980, section 7.1; torch adds eps.
"""

from __future__ import annotations

import torch

from lab_parity.diagnose.seen import Seen, Told


def tell(seen: Seen) -> Told | None:
    """beta2 of the elements that fall, epsilon of those that the gradient sets."""
    if not seen.shaped("exp_avg", "exp_inf") or len(seen.new) != 2:
        return None
    was = seen.was("exp_inf")
    new, old = (torch.cat([side[n] for n in seen.names]) for side in (seen.new["exp_inf"], was))
    size = torch.cat([seen.gradient[n].abs() for n in seen.names])
    noise = 2e-7 * new + 1e-38
    ratios = (new / old)[(old > 0) & (new < old)]
    # Many fall by the same factor; what the gradient sets lies above it.
    beta2 = float(ratios.min()) if len(ratios) else None
    falls = (new - beta2 * old).abs() <= noise if beta2 is not None else torch.zeros_like(new, dtype=torch.bool)
    over = (new - size)[~falls]
    if len(over) < 2 and (beta2 is None or int(falls.sum()) < 2):
        return None
    settings: dict[str, tuple[float, float]] = {}
    predicted = new.clone()
    if len(over):
        # Epsilon is told best where the gradient is smallest.
        place = int(noise[~falls].argmin())
        settings["eps"] = max(float(over[place]), 0.0), float(noise[~falls][place])
        predicted[~falls] = size[~falls] + settings["eps"][0]
    if beta2 is not None and int(falls.sum()) > 1:
        settings["beta2"] = beta2, 3e-7
        predicted[falls] = beta2 * old[falls]
    if bool(((new - predicted).abs() > 2 * noise + 2 * settings.get("eps", (0.0, 0.0))[1]).any()):
        return None
    return Told("Adamax", "exp_inf", settings, [new], [predicted], [noise])
