"""The losses and penalties: one card per file, one line per card here."""

from harness.spec import Operation
from reference_impls.losses.absolute_error import absolute_error as absolute_error
from reference_impls.losses.binary_cross_entropy import binary_cross_entropy as binary_cross_entropy
from reference_impls.losses.binary_cross_entropy_with_logits import (
    binary_cross_entropy_with_logits as binary_cross_entropy_with_logits,
)
from reference_impls.losses.cosine_embedding import cosine_embedding as cosine_embedding
from reference_impls.losses.cross_entropy import cross_entropy as cross_entropy
from reference_impls.losses.cross_entropy_soft import cross_entropy_soft as cross_entropy_soft
from reference_impls.losses.hinge import hinge as hinge
from reference_impls.losses.huber import huber as huber
from reference_impls.losses.kl_divergence import kl_divergence as kl_divergence
from reference_impls.losses.l1_penalty import l1_penalty as l1_penalty
from reference_impls.losses.l2_penalty import l2_penalty as l2_penalty
from reference_impls.losses.log_cosh import log_cosh as log_cosh
from reference_impls.losses.nll import nll as nll
from reference_impls.losses.poisson_nll import poisson_nll as poisson_nll
from reference_impls.losses.smooth_l1 import smooth_l1 as smooth_l1
from reference_impls.losses.squared_error import squared_error as squared_error
from reference_impls.losses.triplet_margin import triplet_margin as triplet_margin
from reference_impls.losses.value import value as value

LOSSES = tuple(card for card in list(globals().values()) if isinstance(card, Operation))
"""Every card imported above."""
