"""The layers: one card per file, one line per card here."""

from harness.spec import Operation
from reference_impls.layers.add import add as add
from reference_impls.layers.dense import dense as dense
from reference_impls.layers.identity import identity as identity
from reference_impls.layers.multiply import multiply as multiply
from reference_impls.layers.power import power as power
from reference_impls.layers.relu import relu as relu
from reference_impls.layers.sigmoid import sigmoid as sigmoid
from reference_impls.layers.square import square as square
from reference_impls.layers.subtract import subtract as subtract
from reference_impls.layers.tanh import tanh as tanh

LAYERS = tuple(card for card in list(globals().values()) if isinstance(card, Operation))
"""Every card imported above."""
