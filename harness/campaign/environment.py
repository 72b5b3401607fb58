"""Where a run took place: versions, threads, and the flags that change numbers."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from harness.judge.calibration import load_budgets, load_calibration
from harness.protocol import Implementation

FLAGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "XLA_FLAGS", "JAX_ENABLE_X64", "JAX_PLATFORMS", "NVIDIA_TF32_OVERRIDE")
FLOATS = ("float32", "float64")
PACKAGES = ("gradparity", "numpy", "python-flint", "hypothesis")


def describe(implementations: Sequence[Implementation]) -> dict[str, str]:
    """Everything of the environment that can change a result, as it is printed in the report."""
    found = {"python": platform.python_version(), "platform": platform.platform(), "machine": platform.machine()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    for one in implementations:
        for name, text in dict(getattr(one, "versions", {})).items():
            known = found.setdefault(name, str(text))
            if known != str(text):
                found[f"{name} (as {one.name} tells it)"] = str(text)
        found |= {f"{one.name}: {name}": text for name, text in _numerics(one).items()}
    found["rounding budgets, in u"] = ", ".join(f"{name} {budget:g}" for name, budget in load_budgets().items())
    found["rounding budgets from"] = _budgets_from(found["gradparity"])
    found["BLAS of numpy"] = _blas()
    found["CPU count"] = str(os.cpu_count())
    found |= {flag: os.environ.get(flag, "not set") for flag in FLAGS}
    return found


def _numerics(one: Any) -> dict[str, str]:
    """What an implementation tells of its settings, and whether it is seen to flush subnormal numbers to zero."""
    try:
        told = {str(name): str(text) for name, text in one.numerics().items()} if hasattr(one, "numerics") else {}
        divide = one.elementary().get("divide") if hasattr(one, "elementary") else None
        if divide is not None:
            told["flushes subnormals"] = ", ".join(dtype for dtype in FLOATS if _flushes(divide, dtype)) or "no"
    except Exception as error:  # noqa: BLE001 - a stranger's code, and a report's footnote
        return {"numerics": f"not told: {type(error).__name__}: {error}"}
    return told


def _budgets_from(gradparity: str) -> str:
    """Where the rounding budgets come from: when they were measured, and with which versions."""
    calibration = load_calibration()
    if calibration is None:
        return f"gradparity {gradparity}, as shipped"
    versions = ", ".join(f"{name} {number}" for name, number in calibration.versions.items())
    return f"the calibration of {calibration.date} on this machine, with {versions}"


def _flushes(divide: Callable[[Any, Any], Any], dtype: str) -> bool:
    """Whether half the smallest normal number, divided by 1, becomes 0."""
    half = np.array([np.finfo(dtype).smallest_subnormal * 2.0 ** (np.finfo(dtype).nmant - 1)], dtype)
    return bool(divide(half, np.ones_like(half))[0] == 0)


def _blas() -> str:
    config = np.show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {}) if isinstance(config, dict) else {}
    return f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()
