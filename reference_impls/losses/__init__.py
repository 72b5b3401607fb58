"""The losses and penalties: one card per file, one line per card here."""

from harness.spec import Operation
from reference_impls.losses.binary_cross_entropy import binary_cross_entropy as binary_cross_entropy
from reference_impls.losses.binary_cross_entropy_with_logits import (
    binary_cross_entropy_with_logits as binary_cross_entropy_with_logits,
)
from reference_impls.losses.l1_penalty import l1_penalty as l1_penalty
from reference_impls.losses.l2_penalty import l2_penalty as l2_penalty
from reference_impls.losses.squared_error import squared_error as squared_error
from reference_impls.losses.value import value as value

LOSSES = tuple(card for card in list(globals().values()) if isinstance(card, Operation))
"""Every card imported above."""
