"""The program in a real terminal."""

import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.program import ROOT, start

pty = pytest.importorskip("pty")


def in_terminal(line: str, until: str, rows: int, columns: int) -> tuple[str, int]:
    """What the program writes to a terminal, with SIGINT once it has written `until`; its code."""
    import fcntl
    import termios

    ours, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
    for name in ("COLUMNS", "LINES", "NO_COLOR"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "gnnlib", *line.split()]
    ends = {"stdin": terminal, "stdout": terminal, "stderr": terminal}
    program = subprocess.Popen(command, env=environment, **ends)
    os.close(terminal)
    written, interrupted, deadline = "", False, time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            written += os.read(ours, 65536).decode(errors="replace")
        except OSError:  # the program has gone
            break
        if until in written and not interrupted:
            program.send_signal(signal.SIGINT)
            interrupted = True
    else:
        program.kill()
    os.close(ours)
    return written, program.wait(timeout=30)


@pytest.mark.parametrize(("rows", "columns", "curves"), [(40, 100, True), (40, 20, False)])
def test_the_curves_run_in_a_terminal_until_ctrl_c(rows, columns, curves):
    line = "train --dataset digits --epochs 100000 --checkpoint-seconds 0"
    until = "best so far" if columns > 20 else "accuracy"
    written, code = in_terminal(line, until, rows, columns)
    assert code == 130, written
    assert any("⠀" < character <= "⣿" for character in written) is curves
    command = "gnnlib train --resume runs/digits-gcn-1"
    assert written.rstrip().splitlines()[-1] == command
    assert Path("runs/digits-gcn-1/progress").is_dir()
    assert "Traceback" not in written


def test_without_a_terminal_and_without_unicode_there_are_lines():
    program = start("train", "--dataset", "digits", "--epochs", "2", PYTHONIOENCODING="ascii")
    stdout, stderr = program.communicate(timeout=120)
    assert program.returncode == 0, stderr
    assert "test accuracy" in stdout
    assert stderr.splitlines()[-1].startswith("seed 0: test ")
    assert stdout.isascii() and stderr.isascii()
