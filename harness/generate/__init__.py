"""Hypothesis strategies that make whole cases, valid by construction; usable in anybody's tests.

    architectures  networks of whatever cards there are
    values_for     numbers for a network: regime, seed, special values
    cases          both, with a dtype, an optimizer and steps; `cases_on` for one given network
    optimizers     optimizers with hyperparameters up to the edge
    sample         a list of draws, outside of any test
    count          what was drawn how often, with the zeros shown

A new card needs no edit here: what it accepts is asked of the card (`harness.spec.Operation`).
"""

from harness.generate.architectures import Architecture as Architecture
from harness.generate.architectures import architectures as architectures
from harness.generate.cases import GeneratedCase as GeneratedCase
from harness.generate.cases import cases as cases
from harness.generate.cases import cases_on as cases_on
from harness.generate.cases import expression as expression
from harness.generate.cases import optimizers as optimizers
from harness.generate.cases import sample as sample
from harness.generate.counts import Counts as Counts
from harness.generate.counts import count as count
from harness.generate.values import Numbers as Numbers
from harness.generate.values import values_for as values_for
