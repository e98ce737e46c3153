"""What a call demands of a server, checked once for each pair of them: the first of the filters.

It owns the reasons in words. Filters that come and go with time (connection, breaker, bulkhead, rate) are
blocks of a node; a demand stays as it is, so its answer is kept with the pool.
"""

from __future__ import annotations

from mcpnb.model import Endpoint, Requirement
from mcpnb.versions import specifier


def refusal(requirement: Requirement, endpoint: Endpoint, tool: str) -> str:
    """Why this server does not qualify for calls of the tool; empty when it does."""
    if requirement.server is not None and endpoint.name != requirement.server:
        return f"only {requirement.server} was asked for"
    if missing := requirement.tags - endpoint.tags:
        return f"lacks the tag{'s' if len(missing) > 1 else ''} {', '.join(sorted(missing))}"
    if requirement.strict and endpoint.region != requirement.region:
        where = f"in {endpoint.region}" if endpoint.region else "in no declared region"
        return f"is {where}, and only {requirement.region} is allowed"
    return "" if requirement.version is None else _version(requirement.version, endpoint, tool)


def _version(wanted: str, endpoint: Endpoint, tool: str) -> str:
    return specifier(wanted).refusal(endpoint.tool_versions.get(tool, endpoint.version))
