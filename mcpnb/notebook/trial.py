"""A fleet as `mcpnb.compare` sees it: calls under one strategy whose state nobody else touches."""

from __future__ import annotations

from collections.abc import Mapping

from mcpnb.client import Trial
from mcpnb.experiment.live import Sample
from mcpnb.model import Priority


class FleetTrial:
    """Makes the calls of an experiment and says how each went."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    async def probe(
        self,
        tool: str,
        arguments: Mapping[str, object],
        *,
        timeout: float | None,  # noqa: ASYNC109 - the call's own deadline
        priority: Priority,
    ) -> Sample:
        """One call. A call that fails is a `Sample` too.

        Raises:
            ToolNotFound, ArgumentError: Mistakes that every strategy would repeat.
        """
        finish = await self._trial.trace(tool, arguments, timeout=timeout, priority=priority)
        error = finish.outcome.error
        words = "" if error is None else str(error)
        return Sample.of(finish.outcome.kind, finish.call.explanation(), error=words)

    def close(self) -> None:
        """Drop the strategy and what it learned."""
        self._trial.close()
