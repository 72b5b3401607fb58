"""The sessions: `nox -s report` is the main job, `nox -s tests` what CI runs; `nox -l` lists the rest."""

from __future__ import annotations

import os
import shutil

import nox

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["tests"]
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_existing_virtualenvs = True

CONSTRAINTS = ("--constraint", "constraints.txt")
# One thread each: faster at these sizes, and sums come out in the same order every time.
QUIET = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def _install(session: nox.Session, *groups: str) -> None:
    """Install the project with both frameworks, exactly as pinned."""
    project = nox.project.load_toml("pyproject.toml")
    wanted = list(project["project"]["dependencies"])
    wanted += [name for key in ("torch", "jax") for name in project["project"]["optional-dependencies"][key]]
    wanted += nox.project.dependency_groups(project, *groups)
    # torch first and alone, by its exact pin: a resolver that sees a range may choose a build with CUDA.
    session.install("torch==2.13.0")
    session.install(*CONSTRAINTS, *wanted)
    session.install("--no-deps", "-e", ".")


@nox.session
def report(session: nox.Session) -> None:
    """Set-up and main job: worked examples and generated cases in three implementations, and the HTML report.

    Two to three minutes. What stands behind `--` goes to `gradparity run`, such as `-- --cases 1000 --seed 7`.
    """
    _install(session)
    session.run("gradparity", "run", *session.posargs, env=QUIET)


@nox.session
def tests(session: nox.Session) -> None:
    """Set-up and tests: lint, types, doctests, property tests, the report in a real browser.

    Every property draws the same in every run, unless `GRADPARITY_PROFILE` says otherwise. Without arguments the ledger
    of checks is drawn up as well: a condition that no test has seen to hold and to fail is an error then.
    """
    _install(session, "test", "lint")
    session.run("ruff", "check", ".")
    session.run("mypy")
    env = {**QUIET, "GRADPARITY_PROFILE": os.environ.get("GRADPARITY_PROFILE", "ci")}
    ledger = session.cache_dir / "ledger"
    shutil.rmtree(ledger, ignore_errors=True)
    if not session.posargs:
        env["GRADPARITY_LEDGER"] = str(ledger.absolute())
    session.run("pytest", "-n", "auto", "--dist", "worksteal", *session.posargs, env=env)
    if not session.posargs:
        session.run("python", "-m", "property_tests.ledger", str(ledger))


@nox.session(default=False)
def browser(session: nox.Session) -> None:
    """The report in Chromium and Firefox alone; keeps a screenshot of every view in build/screenshots."""
    _install(session, "test")
    env = {**QUIET, "GRADPARITY_SCREENSHOTS": "build/screenshots"}
    session.run("pytest", "-m", "browser", "-n", "auto", "--dist", "worksteal", *session.posargs, env=env)


@nox.session
def lint(session: nox.Session) -> None:
    """Style and types only."""
    _install(session, "test", "lint")
    session.run("ruff", "check", ".")
    session.run("mypy")


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure the cost of a judgement against the three bare frameworks, side by side; bounded to minutes."""
    _install(session, "test")
    session.run("python", "-m", "benchmarks.judgement", *session.posargs, env={**QUIET, "PYTHONPATH": os.curdir})
    session.run("python", "-m", "benchmarks.report", env={**QUIET, "PYTHONPATH": os.curdir})


@nox.session(default=False)
def calibrate(session: nox.Session) -> None:
    """Measure what a verdict is worth: false alarms, misses, place, kinks, cost; writes docs/calibration.md.

    About five minutes. Fails on a false alarm.
    """
    _install(session)
    session.run("python", "-m", "benchmarks.calibrate", *session.posargs, env={**QUIET, "PYTHONPATH": os.curdir})


@nox.session(default=False)
def sweep(session: nox.Session) -> None:
    """Look for false alarms in 20,000 random nets, three programs, two dtypes; writes docs/false_alarms.md.

    About half an hour, an hour at most. Fails on a false alarm.
    """
    _install(session)
    session.run("python", "-m", "benchmarks.sweep", *session.posargs, env={**QUIET, "PYTHONPATH": os.curdir})


@nox.session(default=False)
def mutation(session: nox.Session) -> None:
    """Plant every known mistake, look for it in generated cases, shrink what is found; writes docs/mutation.md.

    About half an hour, six minutes with `-- --no-shrink`. Fails when a mistake is not found.
    """
    _install(session)
    session.run("python", "-m", "benchmarks.mutation", *session.posargs, env={**QUIET, "PYTHONPATH": os.curdir})


@nox.session(default=False)
def matrix(session: nox.Session) -> None:
    """Every card, every implementation, every property, as measured; writes docs/cards.md. Fails on a disagreement."""
    _install(session)
    session.run("python", "-m", "benchmarks.matrix", *session.posargs, env={**QUIET, "PYTHONPATH": os.curdir})
