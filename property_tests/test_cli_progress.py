"""How far a run is: a bar in a terminal, lines where there is none, and nothing on stdout."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.cli_progress import Progress, minutes

ESCAPES = re.compile(r"\x1b\[[?0-9;]*[A-Za-z]")


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal:
    """What is written to a pseudo-terminal of some width."""

    def __init__(self, columns: int) -> None:
        self._main, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.stream = os.fdopen(end, "w", encoding="utf-8")

    def text(self) -> str:
        """Everything so far; the terminal is closed after it."""
        self.stream.close()
        parts = []
        try:
            while part := os.read(self._main, 65536):
                parts.append(part)
        except OSError:
            pass
        os.close(self._main)
        return b"".join(parts).decode()


def shown(text: str) -> list[str]:
    """The lines that a terminal shows in the end: a carriage return goes back to the first column."""
    lines = []
    for line in text.replace("\r\n", "\n").split("\n"):
        cells: list[str] = []
        for stretch in line.split("\r"):
            plain = ESCAPES.sub("", stretch)
            cells = list(plain) + ([] if "\x1b[2K" in stretch else cells[len(plain) :])
        lines.append("".join(cells).rstrip())
    return lines


@contextmanager
def bar(columns: int, total: int = 3) -> Iterator[tuple[Progress, Clock, Terminal]]:
    terminal, clock = Terminal(columns), Clock()
    with Progress(total, stream=terminal.stream, clock=clock) as progress:
        yield progress, clock, terminal


def run_three(progress: Progress, clock: Clock) -> None:
    long = "second, with a title that is long " * 5
    for title, finding in (("first", ""), (long, "mismatch: second"), ("third", "")):
        progress.begin(title)
        clock.now += 20
        progress.done(finding)


def test_a_terminal_has_one_line_that_says_how_far_and_findings_above_it():
    with bar(100) as (progress, clock, terminal):
        run_three(progress, clock)
    text = terminal.text()
    lines = shown(text)
    assert lines[0] == "mismatch: second"
    assert lines[1] == "[####################]  3/3  1:00, 1 finding"
    assert len(lines) == 3, "the cursor is left below the bar"
    states = [ESCAPES.sub("", part) for part in re.split(r"[\r\n]+", text)]
    assert any("2/3  0:40, about 0:20 left, 1 finding  third" in state for state in states)
    assert "\x1b[?25h" in text[text.rindex("\x1b[?25l") :], "the cursor is shown again"


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 200])
def test_no_state_of_the_bar_is_wider_than_the_terminal(columns: int):
    with bar(columns, 1234) as (progress, clock, terminal):
        run_three(progress, clock)
    widest = max(len(ESCAPES.sub("", part)) for part in re.split(r"[\r\n]+", terminal.text()))
    assert widest <= max(columns, 35), "the bar and the counts take 35 columns, and nothing else is shown below that"


def stopped(terminal: Terminal) -> None:
    with Progress(5, stream=terminal.stream, clock=Clock()) as progress:
        progress.begin("first")
        progress.done()
        progress.begin("second\x1b[2J\n")
        raise KeyboardInterrupt


def test_a_run_that_is_stopped_leaves_its_last_state():
    terminal = Terminal(80)
    with pytest.raises(KeyboardInterrupt):
        stopped(terminal)
    lines = shown(terminal.text())
    assert lines[0].startswith("[####----------------]  1/5")
    assert lines[0].endswith("stopped")
    assert lines[1:] == [""]


def test_a_log_has_a_line_now_and_then():
    stream, clock = io.StringIO(), Clock()
    with Progress(4, stream=stream, clock=clock, every=10) as progress:
        for seconds, finding in ((1, ""), (11, ""), (2, "crash: third"), (1, "")):
            progress.begin("a case\nin two lines")
            clock.now += seconds
            progress.done(finding)
    assert stream.getvalue().splitlines() == [
        "[2/4] 0:12, about 0:12 left, no findings; a case in two lines",
        "crash: third",
        "[4/4] 0:15, 1 finding",
    ]


def test_quiet_says_nothing():
    stream = io.StringIO()
    with Progress(1, stream=stream, quiet=True) as progress:
        progress.begin("a case")
        progress.done("mismatch: a case")
    assert stream.getvalue() == ""
    terminal = Terminal(80)
    with Progress(1, stream=terminal.stream, quiet=True) as progress:
        progress.begin("a case")
        progress.done()
    assert terminal.text() == ""


def test_times_are_short():
    assert [minutes(seconds) for seconds in (0, 59.6, 3600)] == ["0:00", "1:00", "1:00:00"]


def test_in_a_terminal_stdout_holds_the_summary_and_nothing_else(tmp_path: Path):
    """The command itself, its stderr a terminal and its stdout a pipe."""
    terminal = Terminal(90)
    command = [sys.executable, "-m", "harness", "run", "--no-examples", "--cases", "3", "--out", str(tmp_path)]
    for name in ("torch", "jax"):
        command += ["--without", name]
    ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=terminal.stream, text=True, check=False, timeout=300)
    text = terminal.text()
    assert not ESCAPES.search(ran.stdout)
    assert "\r" not in ran.stdout
    assert ran.stdout.rstrip().splitlines()[-1].startswith("report: ")
    assert "3/3" in shown(text)[0]
    assert "Tested, in so many of 3 cases:" in ran.stdout
