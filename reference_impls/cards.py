"""Every built-in card: what the entry point `reference` offers."""

from reference_impls.layers import LAYERS
from reference_impls.losses import LOSSES
from reference_impls.optimizers import OPTIMIZERS

CARDS = (*LAYERS, *LOSSES, *OPTIMIZERS)
