"""Every built-in card: what the entry point `reference` offers."""

from reference_impls.clipping import CLIPPINGS
from reference_impls.layers import LAYERS
from reference_impls.losses import LOSSES
from reference_impls.optimizers import OPTIMIZERS
from reference_impls.schedules import SCHEDULES

CARDS = (*LAYERS, *LOSSES, *OPTIMIZERS, *SCHEDULES, *CLIPPINGS)
