"""The filesystem server stays below its root, whatever it is asked and whoever changes the folder."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp import Client, StdioServerParameters

from mcpnb.errors import McpnbError
from mcpnb.lab.servers import filesystem, serving
from mcpnb.lab.servers.refusal import Refused
from mcpnb.lab.servers.rooted import Rooted, names_in

HOSTILE = json.loads((Path(__file__).parent / "hostile_paths.json").read_text())
ALWAYS, NOBODY_HAS = HOSTILE["always"], HOSTILE["only names that nobody has here"]
SECRET = "the secret"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with everything in it that might lead out."""
    outside, root = tmp_path / "outside", tmp_path / "root"
    (root / "inside").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret.txt").write_text(SECRET)
    (root / "hello.txt").write_text("hello")
    (root / "inside" / "a.txt").write_text("a")
    (root / "café.txt").write_text("coffee")
    (root / "link.txt").symlink_to(outside / "secret.txt")
    (root / "link").symlink_to(outside, target_is_directory=True)
    (root / "inside" / "link").symlink_to("../../outside", target_is_directory=True)
    (root / "inside" / "loop").symlink_to("loop")
    (root / "dangling").symlink_to(outside / "new.txt")
    (root / "absolute-link").symlink_to("/etc")
    os.mkfifo(root / "fifo")
    os.mkfifo(root / "inside" / "fifo")
    return root


@pytest.fixture
def files(root: Path):
    rooted = Rooted(root, max_bytes=1000, max_entries=20, token=lambda: "token")
    yield rooted
    rooted.close()


def everything(folder: Path) -> dict[str, object]:
    """Every name below a folder, with what it is and holds."""
    return {
        str(path.relative_to(folder)): (
            path.readlink()
            if path.is_symlink()
            else path.read_bytes()
            if path.is_file()
            else path.lstat().st_mode
        )
        for path in sorted(folder.rglob("*"))
    }


def test_the_corpus_is_large_enough_to_mean_something() -> None:
    assert len(ALWAYS) + len(NOBODY_HAS) >= 100


def test_no_hostile_path_is_read_written_or_listed_and_nothing_changes(root: Path, files: Rooted) -> None:
    before = everything(root.parent)
    for path in ALWAYS:
        with pytest.raises(Refused):
            print(repr(path), files.read(path))
        with pytest.raises(Refused):
            print(repr(path), files.write(path, "x"))
        if path not in {".", "./", "inside", "inside/"}:
            with pytest.raises(Refused):
                print(repr(path), files.entries(path))
    for path in NOBODY_HAS:
        with pytest.raises(Refused):
            print(repr(path), files.read(path))
    assert everything(root.parent) == before


def test_names_that_only_look_dangerous_stay_below_the_root(root: Path, files: Rooted) -> None:
    before = everything(root.parent / "outside")
    for path in NOBODY_HAS:
        assert files.write(path, "x")["created"]
        assert (root / path).resolve().is_relative_to(root.resolve())
    assert everything(root.parent / "outside") == before


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "..",
                ".",
                "",
                "link",
                "inside",
                "hello.txt",
                "secret.txt",
                "%2e%2e",
                "..%2f",
                "\\",
                "~",
                "\0",
                " ",
            ]
        )
        | st.text(max_size=6),
        max_size=8,
    ).map("/".join)
)
def test_no_path_at_all_reads_what_is_outside(files: Rooted, path: str) -> None:
    try:
        answer = files.read(path)
    except Refused:
        return
    assert answer["content"] in {"hello", "a", "coffee"}


@given(st.text(max_size=60))
def test_accepted_names_cannot_climb(path: str) -> None:
    try:
        names = names_in(path)
    except Refused:
        return
    assert not [name for name in names if name in {"", ".", ".."} or "/" in name or "\0" in name]


def test_a_file_is_read_with_its_size_and_date(root: Path, files: Rooted) -> None:
    os.utime(root / "hello.txt", (0, 86400))
    assert files.read("./hello.txt") == {
        "path": "hello.txt", "content": "hello", "size": 5, "modified": "1970-01-02T00:00:00+00:00",
    }  # fmt: skip


def test_a_file_is_replaced_in_one_step_and_keeps_its_permissions(root: Path, files: Rooted) -> None:
    (root / "hello.txt").chmod(0o600)
    with (root / "hello.txt").open() as reader:
        assert files.write("hello.txt", "ünew") == {"path": "hello.txt", "size": 5, "created": False}
        assert reader.read() == "hello"
    assert (root / "hello.txt").read_text() == "ünew"
    assert (root / "hello.txt").stat().st_mode & 0o777 == 0o600


def test_writing_makes_the_folders_that_lead_there_and_leaves_no_temporary_file(
    root: Path, files: Rooted
) -> None:
    assert files.write("new/deep/x.txt", "x")["created"]
    assert everything(root / "new").keys() == {"deep", "deep/x.txt"}


def test_a_hard_link_to_a_file_outside_is_not_read_and_cut_by_writing(root: Path, files: Rooted) -> None:
    (root / "hard.txt").hardlink_to(root.parent / "outside" / "secret.txt")
    with pytest.raises(Refused, match="hard link"):
        files.read("hard.txt")
    files.write("hard.txt", "mine")
    assert files.read("hard.txt")["content"] == "mine"
    assert (root.parent / "outside" / "secret.txt").read_text() == SECRET


def test_a_write_that_fails_leaves_the_old_text_and_nothing_else(
    root: Path, files: Rooted, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(root)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Refused, match="No space left"):
        files.write("hello.txt", "new")
    assert everything(root) == before


def test_a_link_put_in_place_of_the_file_while_it_is_written_is_replaced_not_followed(
    root: Path, files: Rooted, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def swap(descriptor: int) -> None:
        (root / "hello.txt").unlink(missing_ok=True)
        (root / "hello.txt").symlink_to(root.parent / "outside" / "secret.txt")
        monkeypatch.setattr(os, "fsync", fsync)

    monkeypatch.setattr(os, "fsync", swap)
    files.write("hello.txt", "new")
    assert not (root / "hello.txt").is_symlink()
    assert (root.parent / "outside" / "secret.txt").read_text() == SECRET


@pytest.mark.parametrize("victim", ["hello.txt", "inside"])
def test_a_link_put_in_place_between_the_look_and_the_opening_is_not_followed(
    root: Path, files: Rooted, monkeypatch: pytest.MonkeyPatch, victim: str
) -> None:
    """The last moment: the name has been found in the folder, the next call opens it."""
    really_open = os.open

    def swap_first(path: str, flags: int, *rest: int, dir_fd: int | None = None) -> int:
        if path == victim:
            (root / victim).rename(root / "moved")
            outside = root.parent / "outside"
            (root / victim).symlink_to(outside / "secret.txt" if victim == "hello.txt" else outside)
        return really_open(path, flags, *rest, dir_fd=dir_fd)

    (root.parent / "outside" / "a.txt").write_text(SECRET)
    monkeypatch.setattr(os, "open", swap_first)
    with pytest.raises(Refused):
        files.read("hello.txt" if victim == "hello.txt" else "inside/a.txt")


def test_while_somebody_swaps_a_folder_and_a_link_only_the_inside_is_ever_read(
    root: Path, files: Rooted
) -> None:
    (root.parent / "outside" / "a.txt").write_text(SECRET)
    (root / "out").symlink_to(root.parent / "outside")
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            (root / "inside").rename(root / "parked")
            (root / "out").rename(root / "inside")
            (root / "inside").rename(root / "out")
            (root / "parked").rename(root / "inside")

    swapper = threading.Thread(target=swap)
    swapper.start()
    seen: set[str] = set()
    try:
        for _ in range(1500):
            try:
                seen.add(files.read("inside/a.txt")["content"])
            except Refused as refusal:
                seen.add(type(refusal).__name__)
    finally:
        done.set()
        swapper.join()
    assert seen <= {"a", "Refused"}


def test_what_is_no_file_is_named_as_what_it_is(root: Path, files: Rooted) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(root, os.O_RDONLY)
        try:
            listener.bind(f"/proc/self/fd/{here}/socket")  # a short name for a long path
        finally:
            os.close(here)
        for path, why in [
            ("link.txt", "links are not followed"), ("link/secret.txt", "links are not followed"),
            ("inside", "is a folder"), ("fifo", "no regular file"), ("socket", "no regular file"),
            ("HELLO.txt", "spelt 'hello.txt' here"), ("nothing", "there is no 'nothing'"),
            ("../x", "leave the folder"), ("/x", "absolute"),
        ]:  # fmt: skip
            with pytest.raises(Refused, match=why):
                files.read(path)


def test_a_pipe_never_makes_the_server_wait(files: Rooted) -> None:
    with pytest.raises(Refused, match="no regular file"):
        files.read("fifo")


def test_sizes_are_limited_both_ways(root: Path, files: Rooted) -> None:
    (root / "big.txt").write_text("x" * 1001)
    with pytest.raises(Refused, match="up to 1000"):
        files.read("big.txt")
    with pytest.raises(Refused, match="up to 1000"):
        files.write("new.txt", "é" * 501)
    assert not (root / "new.txt").exists()
    (root / "big.txt").write_text("x" * 1000)
    assert files.read("big.txt")["size"] == 1000


def test_bytes_that_are_no_text_are_refused(root: Path, files: Rooted) -> None:
    (root / "blob").write_bytes(b"\xff\xfe")
    with pytest.raises(Refused, match="no UTF-8"):
        files.read("blob")
    with pytest.raises(Refused, match="not valid Unicode"):
        files.write("x.txt", "\ud800")


def test_a_listing_says_what_each_name_is_and_when_it_is_cut(root: Path, files: Rooted) -> None:
    listing = files.entries()
    kinds = {entry["name"]: (entry["kind"], entry["size"]) for entry in listing["entries"]}
    assert kinds == {
        "absolute-link": ("link", None), "café.txt": ("file", 6), "dangling": ("link", None),
        "fifo": ("other", None), "hello.txt": ("file", 5), "inside": ("directory", None),
        "link": ("link", None), "link.txt": ("link", None),
    }  # fmt: skip
    assert not listing["truncated"]
    for number in range(20):
        (root / f"{number}.txt").touch()
    assert files.entries()["truncated"]
    assert len(files.entries()["entries"]) == 20


def test_a_name_that_is_no_text_can_be_listed(root: Path, files: Rooted) -> None:
    (root / os.fsdecode(b"bad\xff")).touch()
    assert "bad\ufffd" in {entry["name"] for entry in files.entries()["entries"]}


def test_a_root_that_is_not_there_is_refused_at_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(McpnbError, match="No such file"):
        Rooted(tmp_path / "nothing")
    assert filesystem.main(["--root", str(tmp_path / "nothing")]) == 2
    assert "cannot serve" in capsys.readouterr().err


def test_descriptors_are_given_back(files: Rooted) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in ["inside/a.txt", "inside/link/secret.txt", "nothing/x", "fifo", "hello.txt"]:
        for _ in range(5):
            try:
                files.read(path)
                files.write(path, "x")
            except Refused:
                continue
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.anyio
async def test_the_tools_say_what_they_do_and_refusals_are_tool_errors(files: Rooted) -> None:
    async with Client(filesystem.build(serving.Identity("files"), files)) as client:
        tools = {tool.name: tool.annotations for tool in (await client.list_tools()).tools}
        refusal = await client.call_tool("file.read", {"path": "../outside/secret.txt"})
        wrong = await client.call_tool("file.read", {"path": 7})
        listing = await client.call_tool("directory.list", {})
    assert {name: (a.read_only_hint, a.idempotent_hint) for name, a in tools.items() if a} == {
        "file.read": (True, True), "file.write": (False, True), "directory.list": (True, True),
    }  # fmt: skip
    assert tools["file.write"].destructive_hint
    assert refusal.is_error
    assert "'..' would leave" in refusal.content[0].text
    assert wrong.is_error
    assert listing.structured_content["path"] == "."


@pytest.mark.anyio
async def test_it_works_from_a_plain_client_over_stdio(root: Path) -> None:
    command = StdioServerParameters(
        command=sys.executable,
        args=["-P", "-m", "mcpnb.lab.servers.filesystem", "--root", str(root), "--version", "2.1.0"],
    )
    async with Client(command) as client:
        assert client.server_info.version == "2.1.0"
        await client.call_tool("file.write", {"path": "notes/x.txt", "content": "over the wire"})
        read = await client.call_tool("file.read", {"path": "notes/x.txt"})
        refused = await client.call_tool("file.read", {"path": "link.txt"})
    assert read.structured_content["content"] == "over the wire"
    assert refused.is_error
