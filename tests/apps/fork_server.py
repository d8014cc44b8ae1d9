"""Starts `novate serve` as processes of their own, from one that has imported and compiled everything
already.

Each line of standard input is a JSON list: the file for standard output, then the program's arguments. The
answer is the new process's number. A child is an ordinary process with its own files, and is killed like
one.
"""

import json
import os
import signal
import sys

from novate.apps.cli import app
from novate.apps.serve import run_serve
from novate.apps.standby import run_standby
from novate.execution.warmup import warm_up


def run_child(output: str, arguments: list[str]) -> None:
    """Become the program; never returns to the caller's loop."""
    status = 70
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        app(arguments)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        os._exit(status)


def main() -> None:
    assert callable(run_serve)
    assert callable(run_standby)
    warm_up()
    # Dead children are reaped by the kernel, so that a number that is gone means a process that is gone.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    for line in sys.stdin:
        output, *arguments = json.loads(line)
        child = os.fork()
        if child == 0:
            run_child(output, arguments)
        print(child, flush=True)


if __name__ == "__main__":
    main()
