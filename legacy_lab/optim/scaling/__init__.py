"""Loss scaling for half precision: gradients that would vanish are kept, overflowing updates are skipped."""

from legacy_lab.optim.scaling.dynamic import DynamicScaler
from legacy_lab.optim.scaling.scaler import Scaler
from legacy_lab.optim.scaling.static import StaticScaler
from legacy_lab.optim.scaling.torch_scaler import TorchScaler

__all__ = ["DynamicScaler", "Scaler", "StaticScaler", "TorchScaler"]
