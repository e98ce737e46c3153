"""What a process has loaded that only uses the client, before its first call and after it.

One process tells all of it: the SDK alone takes a second to import.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest

CODE = """
    import asyncio, json, sys
    import mcpnb, mcpnb.client.core
    at_import = sorted(sys.modules)
    from mcp.server.mcpserver import MCPServer
    server = MCPServer("a", log_level="ERROR")

    @server.tool()
    def answer() -> int:
        return 42

    async def main():
        async with mcpnb.MultiServerClient({"a": server}) as client:
            client.servers()
            before = set(sys.modules)
            said = (await client.call("answer")).value
            print(json.dumps([said, at_import, sorted(before), sorted(set(sys.modules) - before)]))

    asyncio.run(main())
"""


@pytest.fixture(scope="module")
def loaded() -> tuple[list[str], list[str], list[str]]:
    """The modules after the import, before the first call, and those that this call brought."""
    command = [sys.executable, "-c", textwrap.dedent(CODE)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said, at_import, before, brought = json.loads(done.stdout)
    assert said == 42
    assert "mcp" in before
    return at_import, before, brought


def parts(modules: list[str], *packages: str) -> list[str]:
    return [module for module in modules if module.partition(".")[0] in packages]


def test_the_core_needs_neither_pandas_nor_widgets(loaded) -> None:
    _, before, brought = loaded
    assert parts([*before, *brought], "pandas", "ipywidgets", "IPython", "matplotlib") == []


def test_without_a_provider_nothing_of_telemetry_is_imported_that_was_not_there(loaded) -> None:
    at_import, before, brought = loaded
    assert parts(at_import, "opentelemetry") == []
    unwanted = ("opentelemetry.sdk", "opentelemetry.exporter")
    assert [module for module in [*before, *brought] if module.startswith(unwanted)] == []


def test_the_imports_of_a_first_call_are_done_before_it(loaded) -> None:
    _, _, brought = loaded
    assert [m for m in brought if "json" in m or "rfc" in m or "referencing" in m] == []
