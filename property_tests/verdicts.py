"""What may be said of a correct implementation: shared by the tests that judge many cases."""

from __future__ import annotations

import numpy as np

from harness import Case, Implementation, implementation
from harness.errors import GradparityError

FINE = {"exact", "rounding", "undetermined branch", "convention", "ill-conditioned", "not implemented"}
BY_HAND = implementation("numpy")


def overflows(case: Case, one: Implementation) -> bool:
    """Whether it, or the cards as they are written, has NaN or infinities, as 0 / 0: nothing is known then.

    Torch refuses some of these numbers by an exception of its own.
    """
    for program in (one, BY_HAND):
        try:
            arrays = program.run(case).quantities.values()
        except (GradparityError, RuntimeError):
            continue
        if not all(np.isfinite(array).all() for array in arrays):
            return True
    return False
