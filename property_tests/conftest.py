"""Hypothesis's budgets for all tests here: `GRADPARITY_PROFILE` is ci, dev or nightly.

Without it, ci where CI is set, else dev. A test that sets its own `max_examples` keeps it, in every profile.

    ci       the same examples in every run, a modest number
    dev      fresh examples, the same number
    nightly  fresh examples, many

Where CI is set, Hypothesis would load a profile of its own that has no example database and silences a health check.
Both is overridden here: what a nightly run found must fail in the next ci run as well, and a slow strategy is to be
mended. Its `derandomize` allows no database, so ci has a fixed `--hypothesis-seed` instead, unless one is given.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.database import DirectoryBasedExampleDatabase

if ledger := os.environ.get("GRADPARITY_LEDGER"):
    from property_tests.ledger import take_notes

    write_notes = take_notes(Path(ledger).absolute())

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


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """In ci every property has the same seed in every run, those made inside a test as well."""
    if profile() == "ci" and config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = "0"


def pytest_sessionfinish() -> None:
    """Leave the ledger's notes, in every process: a worker ends without Python's own way to end."""
    if ledger:
        write_notes()


def pytest_report_header() -> str:
    """Which profile this run has."""
    return f"gradparity profile: {profile()}, {settings().max_examples} examples"
