"""Children die with their parent, even when the parent is killed with SIGKILL.

One tiny shell process, in a session of its own, reads the process groups of our stdio servers from a pipe.
When the pipe ends although groups are left, their parent is gone: it ends them.

Why not PR_SET_PDEATHSIG: Linux sends that signal when the *thread* that forked ends, not the process; it
reaches the child but not the child's children (`npx` starts `node`); and setting it takes code between
fork and exec, which is unsafe in a kernel full of threads. A pipe works on every POSIX system.

It knows no MCP. On Windows the SDK puts servers into a job object, which does the same.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

__all__ = ["guard", "release"]

_SHELL = "/bin/sh"

# SIGTERM first, because a server may hold a lock file; stdin has already ended, so most are gone by then.
_SCRIPT = """
trap '' INT TERM HUP
groups=
while read -r line; do
  case $line in
    +*) groups="$groups ${line#+}" ;;
    -*) kept=; for g in $groups; do [ "$g" = "${line#-}" ] || kept="$kept $g"; done; groups=$kept ;;
  esac
done
[ -n "$groups" ] || exit 0
for g in $groups; do kill -s TERM -- "-$g" 2>/dev/null; done
sleep 1
for g in $groups; do kill -s KILL -- "-$g" 2>/dev/null; done
"""


class _Watchdog:
    """The shell process of this Python process; it runs only while there is something to watch."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: set[int] = set()
        self._process: subprocess.Popen[bytes] | None = None

    def guard(self, group: int) -> None:
        with self._lock:
            if self._process is None:
                self._process = _start()
            if self._process is not None and _tell(self._process, f"+{group}\n"):
                self._groups.add(group)

    def release(self, group: int) -> None:
        with self._lock:
            if group not in self._groups or self._process is None:
                return
            self._groups.discard(group)
            _tell(self._process, f"-{group}\n")
            if not self._groups:
                _stop(self._process)
                self._process = None

    def forget(self) -> None:
        """In a forked child: drop our end of the pipe, or the watchdog would wait for the child, too."""
        process, self._process = self._process, None
        self._groups = set()
        self._lock = threading.Lock()
        if process is not None:
            process.returncode = 0  # it is our parent's child: nothing to wait for, nothing to warn about
            if process.stdin is not None:
                process.stdin.close()


def _start() -> subprocess.Popen[bytes] | None:
    if not Path(_SHELL).exists():
        return None
    return subprocess.Popen(  # noqa: S603 - our own script, nothing of it comes from outside
        [_SHELL, "-c", _SCRIPT],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        start_new_session=True,
        cwd="/",
    )


def _tell(process: subprocess.Popen[bytes], line: str) -> bool:
    try:
        if process.stdin is not None:
            process.stdin.write(line.encode())
    except OSError:
        # Somebody ended the watchdog. Servers still end when their stdin does; only stubborn ones would not.
        return False
    return True


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    process.wait()


_watchdog = _Watchdog()
if sys.platform != "win32":
    os.register_at_fork(after_in_child=_watchdog.forget)


def guard(group: int) -> None:
    """End process group `group` when this process dies, however it dies."""
    _watchdog.guard(group)


def release(group: int) -> None:
    """Forget a process group that has ended (its number may be given to somebody else)."""
    _watchdog.release(group)
