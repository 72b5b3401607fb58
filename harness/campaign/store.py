"""One SQLite file that keeps a run: written case by case, so a run that is killed still has what it finished.

Write-ahead logging, one writer, a checksum on every row: SQLite's own check finds few flipped bits, a checksum
finds them all but those in unused bytes. Nothing in it is ever executed or unpickled: rows are JSON.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import msgspec

from harness.campaign.records import AGAINST, SCHEMA, CaseRecord, RunRecord, Verdict
from harness.errors import StoreError

_TABLES = """
CREATE TABLE IF NOT EXISTS run (only INTEGER PRIMARY KEY CHECK (only = 1), record BLOB, checksum BLOB);
CREATE TABLE IF NOT EXISTS cases (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL, verdict TEXT NOT NULL, title TEXT NOT NULL,
    record BLOB NOT NULL, spec BLOB NOT NULL, checksum BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS cases_by_id ON cases (id);
"""

T = TypeVar("T")

IN_FULL, IN_FULL_WRONG = 5, 50
"""Of every verdict, so many generated cases are shown with all their numbers; the others are in the store."""


class Store:
    """Writes a run. Use as a context manager; each `add` is on disk when it returns."""

    def __init__(self, path: Path) -> None:
        """Create the file; `StoreError` when it exists or cannot be written."""
        if path.exists():
            raise StoreError(f"{path} exists; a run never overwrites another: choose another place or delete it")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_TABLES)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{path} cannot be written: {error}") from error
        self.path = path

    def __enter__(self) -> Store:
        """The store itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Close the file, without a log beside it where nobody else reads it now; what was added stays."""
        with suppress(sqlite3.Error):
            self._db.execute("PRAGMA journal_mode=DELETE")
        self._db.close()

    def describe(self, run: RunRecord) -> None:
        """Write or replace the run's own record."""
        record = msgspec.json.encode(run)
        self._write("INSERT OR REPLACE INTO run VALUES (1, ?, ?)", (record, checksum(record)))

    def add(self, case: CaseRecord, spec: bytes) -> None:
        """Add a judged case and the case file it came from."""
        record = msgspec.json.encode(case)
        self._write(
            "INSERT INTO cases (id, verdict, title, record, spec, checksum) VALUES (?, ?, ?, ?, ?, ?)",
            (case.id, case.verdict, case.title, record, spec, checksum(record + spec)),
        )

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        try:
            self._db.execute(statement, values)
        except sqlite3.Error as error:
            raise StoreError(f"{self.path} cannot be written: {error}") from error


def read_run(path: Path) -> RunRecord:
    """The run's record.

    Raises:
        StoreError: no such file, not a store, damaged, or of another version; with the file and what is wrong.
    """
    rows = list(_rows(path, "SELECT record, checksum FROM run"))
    if not rows:
        raise StoreError(f"{path} holds no run: it was stopped before it began")
    record, expected = rows[0]
    run = _decode(path, "the run's record", record, expected, record, RunRecord)
    if run.schema != SCHEMA:
        raise StoreError(f"{path} was written as {run.schema!r}; this version reads {SCHEMA!r}")
    return run


def read_cases(path: Path) -> Iterator[CaseRecord]:
    """All cases in the order they were added; `StoreError` as for `read_run`."""
    return (case for _, case in read_rows(path, CaseRecord))


def read_rows(path: Path, kind: type[T], numbers: Sequence[int] | None = None) -> Iterator[tuple[int, T]]:
    """The cases of these rows, or all of them, each with its row's number, as a type that may have fewer fields."""
    query = "SELECT number, record, spec, checksum FROM cases"
    if numbers is None:
        chunks: list[tuple[str, tuple[object, ...]]] = [(f"{query} ORDER BY number", ())]
    else:
        chunks = [(f"{query} WHERE number = ?", (number,)) for number in numbers]
    for statement, values in chunks:
        for number, record, spec, expected in _rows(path, statement, values):
            yield number, _decode(path, f"case row {number}", record, expected, record + spec, kind)


def read_case(path: Path, case_id: str) -> CaseRecord:
    """The record of one case, found by its id or the beginning of it; `StoreError` when that is not one case."""
    query = "SELECT id, number FROM cases WHERE substr(id, 1, length(?)) = ? ORDER BY number"
    found = dict(reversed(list(_rows(path, query, (case_id, case_id)))))
    if len(found) != 1:
        raise StoreError(f"{path} has {len(found) or 'no'} cases whose id begins with {case_id!r}")
    return next(case for _, case in read_rows(path, CaseRecord, [next(iter(found.values()))]))


def read_spec(path: Path, case_id: str) -> bytes:
    """The case file of one case, found by its id or the beginning of it; `StoreError` when that is not one case."""
    query = "SELECT id, spec FROM cases WHERE substr(id, 1, length(?)) = ? ORDER BY number"
    # Cases that differ in their titles alone have one id.
    found = dict(reversed(list(_rows(path, query, (case_id, case_id)))))
    if len(found) != 1:
        raise StoreError(f"{path} has {len(found) or 'no'} cases whose id begins with {case_id!r}")
    return bytes(next(iter(found.values())))


def abridge(cases: Iterable[CaseRecord]) -> Iterator[CaseRecord]:
    """The cases as a report wants them: of the many that were generated, all numbers of the first of each verdict."""
    seen: dict[Verdict, int] = {}
    for case in cases:
        number = seen[case.verdict] = seen.get(case.verdict, 0) + bool(case.generated)
        if case.generated and number > (IN_FULL_WRONG if case.verdict in AGAINST else IN_FULL):
            yield msgspec.structs.replace(
                case, abridged=True, quantities=[], kinks=[], curves=[], flow=[], notes={}, seconds={}
            )
        else:
            yield case


def _rows(path: Path, query: str, values: tuple[object, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if not path.is_file():
        raise StoreError(f"{path} does not exist, or is no file; `gradparity run` writes one")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
            yield from db.execute(query, values)
    except sqlite3.Error as error:
        raise StoreError(f"{path} is not a readable result store: {error}") from error


def _decode(path: Path, what: str, record: bytes, expected: bytes, covered: bytes, kind: type[T]) -> T:
    if checksum(covered) != expected:
        raise StoreError(f"{path}: {what} is damaged: its checksum does not fit")
    try:
        return msgspec.json.decode(record, type=kind)
    except msgspec.MsgspecError as error:
        raise StoreError(f"{path}: {what} cannot be read: {error}") from error


def checksum(data: bytes) -> bytes:
    """What is kept of a row beside it, so that a flipped bit is seen."""
    return hashlib.blake2b(data, digest_size=8).digest()
