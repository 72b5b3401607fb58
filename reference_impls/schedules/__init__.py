"""Learning-rate schedules: one card per file, one line per card here."""

from harness.schedule_spec import Schedule
from reference_impls.schedules.step_decay import step_decay as step_decay
from reference_impls.schedules.warmup_cosine import warmup_cosine as warmup_cosine

SCHEDULES = tuple(card for card in list(globals().values()) if isinstance(card, Schedule))
"""Every card imported above."""
