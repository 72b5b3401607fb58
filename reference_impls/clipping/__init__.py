"""Gradient clipping: one card per file, one line per card here."""

from harness.schedule_spec import Clipping
from reference_impls.clipping.global_norm import global_norm as global_norm
from reference_impls.clipping.value import value as value

CLIPPINGS = tuple(card for card in list(globals().values()) if isinstance(card, Clipping))
"""Every card imported above."""
