"""The line that is shown of a program that ended, from what real programs write."""

from __future__ import annotations

import os
import signal

import pytest

from mcpnb.connection.last_words import last_words

from .conftest import QUICK, connected, stdio

NODE = """
node:internal/modules/cjs/loader:1210
  throw err;
  ^

Error: Cannot find module '/srv/missing.js'
    at Module._resolveFilename (node:internal/modules/cjs/loader:1207:15)
    at node:internal/main/run_main_module:28:49 {
  code: 'MODULE_NOT_FOUND',
  requireStack: []
}

Node.js v20.20.2
"""
NODE_MODULES = """
Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'no-such' imported from /srv/bad.mjs
    at packageResolve (node:internal/modules/esm/resolve:873:9)
    at ModuleJob._link (node:internal/modules/esm/module_job:168:49) {
  code: 'ERR_MODULE_NOT_FOUND'
}

Node.js v20.20.2
"""
NPM = """
npm warn Unknown user config "x". This will stop working in the next major version of npm.
npm error code E404
npm error 404 Not Found - GET https://registry.npmjs.org/@nobody%2fno-such
npm error 404
npm error 404  The requested resource '@nobody/no-such@*' could not be found.
npm error 404 Note that you can also install from a
npm error 404 tarball, folder, http url, or git url.
npm error A complete log of this run can be found in: /root/.npm/_logs/x-debug-0.log
"""
GROUP = """
  + Exception Group Traceback (most recent call last):
  |   File "/srv/crash.py", line 8, in <module>
  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/srv/crash.py", line 6, in life
    |     raise RuntimeError("no database at db:5432")
    | RuntimeError: no database at db:5432
    +------------------------------------
"""
SETTINGS = """
Traceback (most recent call last):
  File "/srv/server.py", line 3, in <module>
pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings
api_key
  Field required [type=missing, input_value={}, input_type=dict]
    For further information visit https://errors.pydantic.dev/2.14/v/missing
"""
UV = """
  \N{MULTIPLICATION SIGN} No solution found when resolving tool dependencies:
  ╰─▶ Because no-such was not found and you require no-such, we can conclude that
      your requirements are unsatisfiable.
"""
DOCKER = """
docker: Error response from daemon: pull access denied for no/such.
See 'docker run --help'.
"""


@pytest.mark.parametrize(
    ("wrote", "shown"),
    [
        (NODE, "Error: Cannot find module '/srv/missing.js'"),
        (
            NODE_MODULES,
            "Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'no-such' imported from /srv/bad.mjs",
        ),
        (NPM, "npm error 404 Not Found - GET https://registry.npmjs.org/@nobody%2fno-such"),
        (GROUP, "RuntimeError: no database at db:5432"),
        (
            SETTINGS,
            "pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings",
        ),
        (
            UV,
            "╰─▶ Because no-such was not found and you require no-such, we can conclude that",
        ),
        (DOCKER, "docker: Error response from daemon: pull access denied for no/such."),
        ("Error: API_KEY is missing\nSee https://docs.example for help.", "Error: API_KEY is missing"),
        ("x.py: error: the following arguments are required: --root", None),
        ("usage: x [-h]\nx: error: unrecognized arguments: -q", "x: error: unrecognized arguments: -q"),
        ("12:00:01 ERROR cannot bind\n12:00:01 INFO bye", "12:00:01 ERROR cannot bind"),
        ("python: can't open file '/srv/missing.py': [Errno 2] No such file or directory\n\n", None),
        ("Server running on stdio\nthere is no error in this line", "there is no error in this line"),
        ("Node.js v20.20.2\n", ""),
        ("\n \n", ""),
    ],
)
def test_the_line_that_says_why_is_shown_and_not_merely_the_last(wrote, shown) -> None:
    assert last_words(wrote.splitlines()) == (wrote.strip() if shown is None else shown)


def test_an_error_of_long_ago_is_not_the_reason() -> None:
    lines = ["Error: the cache is cold", *(f"answered {n}" for n in range(50))]
    assert last_words(lines) == "answered 49"


def test_a_dump_in_one_line_is_cut() -> None:
    assert last_words(["Error: " + "a." * 500_000]) == ("Error: " + "a." * 500)[:500]


@pytest.mark.anyio
async def test_what_an_earlier_run_said_is_not_the_reason_for_a_later_end(tmp_path) -> None:
    """The first run fails and says why; the second is well until it is killed, and says nothing."""
    script = (
        "import os, pathlib, sys, time\n"
        f"ran = pathlib.Path({str(tmp_path / 'ran')!r})\n"
        "if not ran.exists():\n"
        "    ran.touch(); sys.exit('Error: the database is not up yet')\n"
        "from mcp.server.mcpserver import MCPServer\n"
        "MCPServer('late', log_level='CRITICAL').run('stdio')\n"
    )
    async with connected(stdio("-c", script), pace=QUICK) as (connection, seen):
        assert "the database is not up yet" in (connection.last_error or "")
        await seen.until(lambda: connection.state == "connected")
        os.kill(connection.pid, signal.SIGKILL)
        await seen.until(lambda: "SIGKILL" in (connection.last_error or ""))
        assert connection.last_error == "its process was killed by SIGKILL"
        assert "Error: the database is not up yet" in connection.stderr_tail
