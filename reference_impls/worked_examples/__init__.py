"""The tutorials' networks, with the numbers printed for them and what is to be said of both; a transformer block."""

from reference_impls.worked_examples.diagonal_flip import DIAGONAL_FLIP
from reference_impls.worked_examples.hand_by_hand import HAND_BY_HAND
from reference_impls.worked_examples.notebook import NOTEBOOK
from reference_impls.worked_examples.numpy_backprop import NUMPY_BACKPROP
from reference_impls.worked_examples.scalar_net import SCALAR_NET
from reference_impls.worked_examples.transformer_block import TRANSFORMER_BLOCK

EXAMPLES = (NUMPY_BACKPROP, HAND_BY_HAND, SCALAR_NET, NOTEBOOK, DIAGONAL_FLIP, TRANSFORMER_BLOCK)

__all__ = ["DIAGONAL_FLIP", "EXAMPLES", "HAND_BY_HAND", "NOTEBOOK", "NUMPY_BACKPROP", "SCALAR_NET", "TRANSFORMER_BLOCK"]
