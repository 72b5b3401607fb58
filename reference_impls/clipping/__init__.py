"""Gradient clipping: one card per file, one line per card here."""

from harness.schedule_spec import Clipping
from reference_impls.clipping.by_global_norm import by_global_norm as by_global_norm
from reference_impls.clipping.by_value import by_value as by_value

CLIPPINGS = tuple(card for card in list(globals().values()) if isinstance(card, Clipping))
"""Every card imported above."""
