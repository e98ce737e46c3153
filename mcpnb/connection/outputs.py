"""Structured answers against the output schemas of their tools: a quick yes, before the SDK's own check.

The SDK validates every structured answer with jsonschema, which is a fifth of what a call in this process
costs. Most schemas are plain enough for a test that takes a few microseconds. It owns no verdict: whatever is
not plainly right goes to the SDK's check, and so does everything should the SDK stop asking here.

But where a tool is not in the last listing there is nothing to check against. The SDK would ask for the
listing again, for every answer, and throw the answer away when that fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import mcp_types
from mcp.client.session import ClientSession

from mcpnb.schema.quick import Accept, quick

__all__ = ["Outputs"]


class Outputs:
    """The output schemas of one session's tools, as they were listed last."""

    def __init__(self) -> None:
        self._listed: frozenset[str] = frozenset()
        self._schemas: Mapping[str, dict[str, Any]] = {}
        self._tests: dict[str, Accept | None] = {}

    def learn(self, tools: Sequence[mcp_types.Tool]) -> None:
        """Take in a whole listing."""
        self._listed = frozenset(tool.name for tool in tools)
        self._schemas = {tool.name: tool.output_schema for tool in tools if tool.output_schema is not None}
        self._tests = {}

    def stand_before(self, session: ClientSession) -> None:
        """Be asked first, whenever this session checks a tool's result."""
        check = session.validate_tool_result

        async def validate(name: str, result: mcp_types.CallToolResult) -> None:
            if name in self._listed and not self.fits(name, result.structured_content):
                await check(name, result)

        session.validate_tool_result = validate

    def fits(self, name: str, answer: object) -> bool:
        """Whether a tool's structured answer certainly fits; False when there is none, or no plain schema."""
        if answer is None or name not in self._schemas:
            return False
        if name not in self._tests:  # compiled when needed: servers may list ten thousand tools
            self._tests[name] = quick(self._schemas[name])
        test = self._tests[name]
        return test is not None and test(answer)
