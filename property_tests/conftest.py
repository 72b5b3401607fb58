"""Hypothesis's budgets for all tests here: `GRADPARITY_PROFILE` is ci, dev or nightly.

Without it, ci where CI is set, else dev. A test that sets its own `max_examples` keeps it, in every profile.

    ci       the same examples in every run, a modest number
    dev      fresh examples, the same number
    nightly  fresh examples, many

Where CI is set, Hypothesis would load a profile of its own that has no example database and silences a health check.
Both is overridden here: what a nightly run found must fail in the next ci run as well, and a slow strategy is to be
mended. Its `derandomize` allows no database, so ci gives each test a fixed seed instead, made of the test's name.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence

import pytest
from hypothesis import is_hypothesis_test, seed, settings
from hypothesis.database import DirectoryBasedExampleDatabase

DATABASE = DirectoryBasedExampleDatabase(".hypothesis/examples")
BUDGETS = {"ci": 30, "dev": 30, "nightly": 2_000}

for _name, _budget in BUDGETS.items():
    settings.register_profile(
        _name,
        max_examples=_budget,
        database=DATABASE,
        derandomize=False,
        deadline=None,
        print_blob=True,
        suppress_health_check=[],
    )


def profile() -> str:
    """The profile that the environment asks for."""
    return os.environ.get("GRADPARITY_PROFILE") or ("ci" if os.environ.get("CI") else "dev")


settings.load_profile(profile())


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """In ci every test has its own fixed seed."""
    if profile() != "ci":
        return
    for item in items:
        test = getattr(item, "obj", None)
        if test is not None and is_hypothesis_test(test):
            with_seed = seed(zlib.crc32(item.nodeid.partition("[")[0].encode()))(test)
            # `seed` takes the database away as well; there is no public way to have both.
            mine = settings(with_seed._hypothesis_internal_use_settings, database=DATABASE)
            with_seed._hypothesis_internal_use_settings = mine


def pytest_report_header() -> str:
    """Which profile this run has."""
    return f"gradparity profile: {profile()}, {settings().max_examples} examples"
