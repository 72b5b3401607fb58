"""A trace: what one implementation computed for one case, as named quantities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from harness.spec import Array

QuantityKind = Literal["value", "grad", "param", "state"]

LOSS = "loss"
"""The name of the total loss: the sum of the case's loss terms."""


class Quantity(NamedTuple):
    """The name of one array in a trace.

    Step k means: computed from the parameters after k updates. So step 0 holds the values and gradients at
    the case's own parameters, and the parameters and the optimizer's state *after* the first update are
    those of step 1.

    - ``value``: of a node, of a loss term, or of the total loss (name ``loss``);
    - ``grad``: of the total loss with respect to a node, a parameter or an input;
    - ``param``: a parameter's value;
    - ``state``: one slot of the optimizer's state of a parameter.

    >>> str(Quantity(0, "grad", "W1")), str(Quantity(3, "state", "W1", "m"))
    ('grad W1 at step 0', 'state m of W1 at step 3')
    """

    step: int
    kind: QuantityKind
    name: str
    slot: str = ""

    def __str__(self) -> str:
        what = f"state {self.slot} of {self.name}" if self.kind == "state" else f"{self.kind} {self.name}"
        return f"{what} at step {self.step}"


@dataclass(frozen=True)
class Trace:
    """Everything that an implementation tells of one case.

    Only the total loss and the parameters' gradients at step 0, and the parameters after each recorded
    update, are required. The rest is optional: what is missing is shown as not recorded, and each
    quantity more makes the place of a fault more exact.

    Watching can change a compiled program. `unwatched` holds what the program computes when nobody watches, where
    that is another run than the one `quantities` comes from; updates follow from it.

    `losses[k]` is the total loss at step k, for every step from 0 to the case's last, not only the recorded.
    """

    quantities: Mapping[Quantity, Array]
    losses: Array | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
    unwatched: Mapping[Quantity, Array] = field(default_factory=dict)
