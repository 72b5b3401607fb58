"""Where a run took place: versions, threads, and the flags that change numbers."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from harness.protocol import Implementation

FLAGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "XLA_FLAGS", "JAX_ENABLE_X64", "JAX_PLATFORMS", "NVIDIA_TF32_OVERRIDE")
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
    found["BLAS of numpy"] = _blas()
    found["CPU count"] = str(os.cpu_count())
    found |= {flag: os.environ.get(flag, "not set") for flag in FLAGS}
    return found


def _blas() -> str:
    config = np.show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {}) if isinstance(config, dict) else {}
    return f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()
