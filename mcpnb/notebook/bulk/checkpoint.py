"""A bulk call's progress on disk: a folder of parquet files, from which it resumes.

It owns the files' format and that none of them is ever half written: each is written beside its place and
then moved there. Files are only added, never changed; of a row that is in several the last one counts. It
knows no servers, no frames and no event loop. pyarrow is imported when a checkpoint is asked for.

    cities.parquet/
      _mcpnb.json                    which tool this is the progress of
      part-000001-4f1c.parquet       rows that ended: row, arguments and value (JSON text), server, ...

Readers of parquet folders (`pandas.read_parquet`, Dask, DuckDB) take it as one table.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import warnings
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mcpnb.errors import ConfigError
from mcpnb.notebook.bulk.answers import Ended, well_formed

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Checkpoint"]

_VERSION: Final = 1
_MANIFEST: Final = "_mcpnb.json"
_PARTS: Final = "part-*.parquet"


class Checkpoint:
    """One folder.

    Args:
        folder: Where; made when it is not there.
        tool: Which tool's progress it is.

    Raises:
        ConfigError: It is no checkpoint of this tool, or pyarrow is not there.
    """

    def __init__(self, folder: str | os.PathLike[str], tool: str) -> None:
        _check_arrow()
        self.folder = Path(folder)
        self._open(tool)
        self._next = 1 + max((int(part.name[5:11]) for part in self._parts()), default=0)

    def parts(self) -> list[tuple[Path, list[int]]]:
        """The files in the order in which they were written, and which rows are in each."""
        return [(part, [row["row"] for row in self._rows(part, ["row"])]) for part in self._parts()]

    def read(self, part: Path) -> list[Ended]:
        """How the rows of a file ended, in the order in which they did; none when it was torn."""
        return [_ended(row) for row in self._rows(part)]

    def write(self, ended: Iterable[Ended]) -> None:
        """Keep how these rows ended.

        Raises:
            OSError: The disk does not take it.
        """
        import pyarrow.parquet as pq  # noqa: PLC0415 - see above

        rows = list(ended)
        if not rows:
            return
        name = f"part-{self._next:06}-{secrets.token_hex(2)}.parquet"
        unfinished = self.folder / f".{name}"
        try:
            pq.write_table(_arrow(rows), unfinished)
            _settle(unfinished, self.folder / name)
        finally:
            unfinished.unlink(missing_ok=True)
        self._next += 1

    def _parts(self) -> list[Path]:
        return sorted(self.folder.glob(_PARTS))

    def _open(self, tool: str) -> None:
        manifest = self.folder / _MANIFEST
        if self.folder.is_file():
            raise self._refusal("is a file, and a checkpoint is a folder.", "Take another path.")
        self.folder.mkdir(parents=True, exist_ok=True)
        if manifest.exists():
            self._check(manifest, tool)
            return
        if any(not each.name.startswith(".") for each in self.folder.iterdir()):
            raise self._refusal("holds something else than a checkpoint.", "Take another path.")
        unfinished = self.folder / f".{_MANIFEST}"
        unfinished.write_text(json.dumps({"mcpnb_checkpoint": _VERSION, "tool": tool}), encoding="utf-8")
        _settle(unfinished, manifest)

    def _check(self, manifest: Path, tool: str) -> None:
        try:
            about = json.loads(manifest.read_text(encoding="utf-8"))
            version, of = about["mcpnb_checkpoint"], about["tool"]
        except (ValueError, KeyError, TypeError):
            raise self._refusal(
                f"has no {_MANIFEST} that can be read.", "Delete it, or take another path."
            ) from None
        if version != _VERSION:
            raise self._refusal(
                f"was written by another mcpnb (format {version}).", "Finish it there, or take another path."
            )
        if of != tool:
            raise self._refusal(f"is the progress of {of!r}, not of {tool!r}.", "Take another path.")

    def _refusal(self, problem: str, fix: str) -> ConfigError:
        return ConfigError(f"checkpoint {problem}", file=str(self.folder), fix=fix)

    def _rows(self, part: Path, columns: list[str] | None = None) -> list[dict[str, Any]]:
        """The rows of one file, or some columns of them; none, and said so, when it was torn."""
        import pyarrow as pa  # noqa: PLC0415 - see above
        import pyarrow.parquet as pq  # noqa: PLC0415 - see above

        try:
            # A file, not a dataset: of a folder's name pyarrow would make a column.
            with part.open("rb") as file:
                return pq.read_table(file, columns=columns, schema=_schema()).to_pylist()
        except (pa.ArrowInvalid, OSError) as problem:
            part.rename(part.with_name(f"_torn-{part.name}"))  # readers leave out what begins with _
            warnings.warn(
                f"{part.name} of the checkpoint cannot be read; its rows are called again ({problem})",
                stacklevel=2,
            )
            return []


def _check_arrow() -> None:
    if find_spec("pyarrow") is None:
        raise ConfigError(
            "checkpoint= writes parquet, which needs pyarrow.", fix="pip install 'mcpnb[parquet]'."
        )


def _settle(unfinished: Path, place: Path) -> None:
    """Move a file to its place, so that after a crash it is there whole or not at all."""
    with unfinished.open("rb+") as file:
        os.fsync(file.fileno())
    unfinished.replace(place)


def _schema() -> pa.Schema:
    import pyarrow as pa  # noqa: PLC0415 - see above

    kinds = {
        "row": pa.int64(), "arguments": pa.string(), "value": pa.string(), "server": pa.string(),
        "latency_ms": pa.float64(), "attempts": pa.int32(), "outcome": pa.string(), "error": pa.string(),
    }  # fmt: skip
    return pa.schema(list(kinds.items()))


def _arrow(rows: Sequence[Ended]) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415 - see above

    columns: list[list[Any]] = [
        [row.place for row in rows],
        [row.key for row in rows],
        [json.dumps(row.value) for row in rows],
        [row.server and well_formed(row.server) for row in rows],
        [None if math.isnan(row.latency) else row.latency * 1000.0 for row in rows],
        [row.attempts for row in rows],
        [row.outcome for row in rows],
        [row.error and well_formed(row.error) for row in rows],
    ]
    return pa.table(columns, schema=_schema())


def _ended(row: dict[str, Any]) -> Ended:
    latency = math.nan if row["latency_ms"] is None else row["latency_ms"] / 1000.0
    return Ended(
        row["row"], json.loads(row["value"]), row["server"], latency, row["attempts"], row["outcome"],
        row["error"], row["arguments"], kept=True,
    )  # fmt: skip
