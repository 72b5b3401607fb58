"""The optimizers: one card per file, one line per card here."""

from harness.spec import Optimizer
from reference_impls.optimizers.adam import adam as adam
from reference_impls.optimizers.sgd import sgd as sgd

OPTIMIZERS = tuple(card for card in list(globals().values()) if isinstance(card, Optimizer))
"""Every card imported above."""
