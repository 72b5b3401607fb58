"""The contract of an implementation: anything that turns a case into a trace."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from harness.case import Case
from harness.trace import Trace


@runtime_checkable
class Implementation(Protocol):
    """Bring your own by writing these two members; nothing has to be inherited.

    An optional third, ``versions: Mapping[str, str]``, is shown in the report's environment.
    """

    name: str
    """The column's heading: short, and unique in a run."""

    def run(self, case: Case) -> Trace:
        """Compute the case.

        Record every step in ``case.recorded``, in the case's dtype.

        Raises:
            NotSupportedError: the case needs something that this implementation lacks. Its verdict is then
                `not implemented`. Any other exception gives the verdict `crash`.
        """
        ...
