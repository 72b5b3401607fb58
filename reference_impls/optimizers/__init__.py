"""The optimizers: one card per file, one line per card here."""

from harness.spec import Optimizer
from reference_impls.optimizers.adadelta import adadelta as adadelta
from reference_impls.optimizers.adagrad import adagrad as adagrad
from reference_impls.optimizers.adam import adam as adam
from reference_impls.optimizers.adamax import adamax as adamax
from reference_impls.optimizers.adamw import adamw as adamw
from reference_impls.optimizers.amsgrad import amsgrad as amsgrad
from reference_impls.optimizers.lion import lion as lion
from reference_impls.optimizers.nadam import nadam as nadam
from reference_impls.optimizers.radam import radam as radam
from reference_impls.optimizers.rmsprop import rmsprop as rmsprop
from reference_impls.optimizers.rprop import rprop as rprop
from reference_impls.optimizers.sgd import sgd as sgd

OPTIMIZERS = tuple(card for card in list(globals().values()) if isinstance(card, Optimizer))
"""Every card imported above."""
