"""From (2x + 1)³ to a three-layer net: the networks of a notebook that stores no outputs."""

from __future__ import annotations

from harness.worked_example import WorkedExample
from reference_impls.worked_examples.notebook_expressions import EXPRESSIONS
from reference_impls.worked_examples.notebook_networks import NETWORKS
from reference_impls.worked_examples.notebook_starts import (
    LINEAR_FRESH,
    LINEAR_RUN_ORDER,
    NUMPY_SEED_42,
    TORCH_SEED_42,
)

__all__ = ["LINEAR_FRESH", "LINEAR_RUN_ORDER", "NOTEBOOK", "NUMPY_SEED_42", "TORCH_SEED_42"]

_CASES = {worked.key: worked for worked in (*EXPRESSIONS, *NETWORKS)}
_IN_ORDER = (
    "cube",
    "line-squared",
    "neuron",
    "xor-cross-entropy",
    "saturated-clip",
    "saturated-logit",
    "gradient-check",
    "gradient-check-off-kink",
    "autograd-line",
    "autograd-line-squared",
    "xor-squared-error",
    "xor-squared-error-float64",
    "gradient-flow",
    "gradient-flow-run-order",
    "gradient-flow-float64",
    "exercise-1",
    "exercise-2",
    "exercise-3",
)
"""The keys in the order in which the notebook comes to them."""

NOTEBOOK = WorkedExample(
    key="notebook",
    title="From the chain rule to a three-layer net",
    source='"Backpropagation: The Heart of Deep Learning", a notebook; its author is not stated',
    shows="Single expressions with exact derivatives, XOR under two losses, gradient checking, gradient flow, and the "
    "notebook's three exercises solved. The notebook stores no outputs; digits listed here are worked out by hand.",
    cases=tuple(_CASES[key] for key in _IN_ORDER),
)
