"""Do these implementations of the same network produce the same gradients and the same updates?

The public names, each loaded when it is first used, so that ``import harness`` stays light:

    from harness import Case, Network, Node, compare

    record = compare(case, [implementation("numpy"), implementation("jax")])
    print(record.headline)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.campaign.records import CaseRecord as CaseRecord
    from harness.campaign.run import compare as compare
    from harness.case import Case as Case
    from harness.case import Network as Network
    from harness.case import Node as Node
    from harness.case import OptimizerSpec as OptimizerSpec
    from harness.case import RuleSpec as RuleSpec
    from harness.case import TensorSpec as TensorSpec
    from harness.errors import CaseError as CaseError
    from harness.errors import GradparityError as GradparityError
    from harness.errors import ImplementationError as ImplementationError
    from harness.errors import NotSupportedError as NotSupportedError
    from harness.errors import RegistryError as RegistryError
    from harness.errors import StoreError as StoreError
    from harness.protocol import Implementation as Implementation
    from harness.registry import Cards as Cards
    from harness.registry import implementation as implementation
    from harness.registry import installed_cards as installed_cards
    from harness.schedule_spec import Clipping as Clipping
    from harness.schedule_spec import Schedule as Schedule
    from harness.spec import HyperSpec as HyperSpec
    from harness.spec import Misfit as Misfit
    from harness.spec import Operation as Operation
    from harness.spec import Optimizer as Optimizer
    from harness.trace import Quantity as Quantity
    from harness.trace import Trace as Trace
    from harness.worked_example import WorkedCase as WorkedCase
    from harness.worked_example import WorkedExample as WorkedExample

_HOME = {
    "CaseRecord": "harness.campaign.records",
    "compare": "harness.campaign.run",
    "Case": "harness.case",
    "Network": "harness.case",
    "Node": "harness.case",
    "OptimizerSpec": "harness.case",
    "RuleSpec": "harness.case",
    "TensorSpec": "harness.case",
    "CaseError": "harness.errors",
    "GradparityError": "harness.errors",
    "ImplementationError": "harness.errors",
    "NotSupportedError": "harness.errors",
    "RegistryError": "harness.errors",
    "StoreError": "harness.errors",
    "Implementation": "harness.protocol",
    "Cards": "harness.registry",
    "implementation": "harness.registry",
    "installed_cards": "harness.registry",
    "Clipping": "harness.schedule_spec",
    "Schedule": "harness.schedule_spec",
    "HyperSpec": "harness.spec",
    "Misfit": "harness.spec",
    "Operation": "harness.spec",
    "Optimizer": "harness.spec",
    "Quantity": "harness.trace",
    "Trace": "harness.trace",
    "WorkedCase": "harness.worked_example",
    "WorkedExample": "harness.worked_example",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'harness' has no attribute {name!r}; it has: {', '.join(__all__)}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
