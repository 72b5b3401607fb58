"""The budgets of the property tests: ci draws the same numbers in every run, and keeps its database."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

CONFTEST = Path(__file__).parents[1] / "conftest.py"
INNER = '''
from pathlib import Path

from hypothesis import given, settings, strategies as st

def test_made_inside():
    drawn = []

    @given(st.integers(0, 2**60))
    def property_inside(number):
        drawn.append(number)

    property_inside()
    Path("drawn").write_text(f"{drawn} {settings().database is not None}")
'''


def drawn(folder: Path, profile: str, *options: str) -> str:
    """What a property draws that is made inside a test, in a process of its own."""
    shutil.copy(CONFTEST, folder)
    (folder / "test_inner.py").write_text(INNER)
    environment = {**os.environ, "GRADPARITY_PROFILE": profile}
    for name in [name for name in environment if name.startswith(("PYTEST", "GRADPARITY_LEDGER"))]:
        del environment[name]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", *options]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return (folder / "drawn").read_text()


def test_ci_draws_the_same_and_keeps_its_database(tmp_path: Path) -> None:
    first = drawn(tmp_path, "ci")
    assert first.endswith("True")
    assert drawn(tmp_path, "ci") == first
    assert drawn(tmp_path, "ci", "--hypothesis-seed=7") != first


def test_dev_draws_afresh(tmp_path: Path) -> None:
    assert drawn(tmp_path, "dev") != drawn(tmp_path, "dev")
