"""The core's results with what a notebook adds: a DataFrame, and a way to be looked at."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from mcpnb import result as core
from mcpnb.model import Explanation
from mcpnb.notebook import aggregates, display, frames

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, repr=False)
class Result(core.Result):
    """The answer of one tool: `.value`, `.df`, `.text`, `.content`, `.raw`, `.server`, `.explain()`."""

    @classmethod
    def of(cls, result: core.Result) -> Result:
        """The same result, for a notebook."""
        made = object.__new__(cls)
        made.__dict__.update(result.__dict__)
        return made

    @property
    def df(self) -> pd.DataFrame:
        """The table in the answer: records, columns, nested JSON, CSV or a Markdown table.

        Raises:
            NoTable: There is none; says what is there instead.
        """
        return frames.to_frame(self.value, self.text)

    def explain(self) -> Shown:
        """Candidates, who was filtered out, what the strategy saw, every attempt."""
        return Shown.of(super().explain())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:  # noqa: ARG002
        return display.result_bundle(self)


class Shown(Explanation):
    """An explanation that can be looked at."""

    __slots__ = ()

    @classmethod
    def of(cls, explanation: Explanation) -> Shown:
        """The same explanation, for a notebook."""
        return cls(**{field.name: getattr(explanation, field.name) for field in fields(explanation)})

    def __repr__(self) -> str:
        return str(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:  # noqa: ARG002
        return display.explanation_bundle(self)


class Aggregate(core.Aggregate):
    """Many answers made one: `.value`, `.df`, `.sources`, `.conflicts`, `.confidence`, `.plot()`, `.results`.

    Here `.sources` and `.conflicts` are frames; the core's are tuples.
    """

    @classmethod
    def of(cls, aggregate: core.Aggregate) -> Aggregate:
        """The same aggregate, for a notebook."""
        made = object.__new__(cls)
        made.__dict__.update(aggregate.__dict__)
        made.__dict__["results"] = {name: Result.of(result) for name, result in aggregate.results.items()}
        made.__dict__["_core"] = aggregate
        return made

    @property
    def _plain(self) -> core.Aggregate:
        """The core's aggregate, whose sources and conflicts are values rather than frames."""
        return self.__dict__["_core"]

    @property
    def df(self) -> pd.DataFrame:
        """One row per fused item or field, with its source."""
        return frames.rows_frame(self.rows)

    @property
    def sources(self) -> pd.DataFrame:  # pyright: ignore[reportIncompatibleVariableOverride] - frames are a notebook's
        """One row per server that was asked; see `frames.sources_frame`."""
        return frames.sources_frame(self._plain.sources)

    @property
    def conflicts(self) -> pd.DataFrame:  # pyright: ignore[reportIncompatibleVariableOverride] - as above
        """One row per field on which sources disagree; see `frames.disagreements_frame`."""
        return frames.disagreements_frame(self._plain.conflicts)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Who agrees with the answer, by field and source."""
        from mcpnb.notebook.agreement import agreement  # noqa: PLC0415 - loads matplotlib

        return agreement(self._plain, ax)

    def __repr__(self) -> str:
        return repr(self._plain)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Aggregate) and self._plain == other._plain

    __hash__ = None  # pyright: ignore[reportAssignmentType] - its results are a dict

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:  # noqa: ARG002
        return aggregates.aggregate_bundle(self._plain)
