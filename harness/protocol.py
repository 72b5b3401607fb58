"""The contract of an implementation: anything that turns a case into a trace."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from harness.case import Case
from harness.trace import Trace


@runtime_checkable
class Implementation(Protocol):
    """Bring your own by writing these two members; nothing has to be inherited.

    Three more are optional:

    - ``versions: Mapping[str, str]``, of packages by name, is shown in the report's environment;
    - ``numerics() -> Mapping[str, str]`` as well: settings that change numbers, such as threads and precisions;
    - ``elementary() -> Mapping[str, Callable]`` offers the functions that it computes with to `gradparity calibrate`:
      from NumPy arrays of float32 or float64 to one of the same dtype. Any of exp, expm1, log, log1p, sigmoid,
      sqrt, tanh, and of two arrays divide, logaddexp.
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
