"""Files that two processes meet at: replaced whole, locked from before they are read, followed nowhere."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from apdu.errors import InputError, StoreError
from host import files
from host.files import (
    append,
    create_whole,
    is_locked,
    locked,
    make_folder,
    read_private,
    require_replaceable,
    write_whole,
)

ROOT = Path(__file__).resolve().parents[2]
posix_only = pytest.mark.skipif(os.name != "posix", reason="modes and links are POSIX")

HOLDS = """
import sys
from pathlib import Path
from host.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
COUNTS = """
import sys
from pathlib import Path
from host.files import locked, write_whole
file = Path(sys.argv[1])
for _ in range(30):
    with locked(file):
        write_whole(file, str(int(file.read_bytes()) + 1).encode())
"""


def python(program: str, file: Path) -> "subprocess.Popen[str]":
    pipe = subprocess.PIPE
    line = [sys.executable, "-c", program, str(file)]
    return subprocess.Popen(line, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


@contextmanager
def held_by_another(file: Path) -> Iterator["subprocess.Popen[str]"]:
    with python(HOLDS, file) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n", holder.stderr
        yield holder
        holder.kill()


def test_a_file_of_its_own_kind_and_nothing_else_may_be_replaced(tmp_path: Path) -> None:
    file = tmp_path / "list.wav"
    require_replaceable(file, b"RIFF", "a recording")
    file.write_bytes(b"RIFF....")
    require_replaceable(file, b"RIFF", "a recording")
    for content in (b"", b"another", bytes(1024) + b"RIFF"):
        file.write_bytes(content)
        with pytest.raises(InputError, match=r"list\.wav is there already, and is not a recording"):
            require_replaceable(file, b"RIFF", "a recording")
    with pytest.raises(InputError, match="name another place"):
        require_replaceable(tmp_path, b"RIFF", "a recording")


def test_who_reads_and_writes_under_the_lock_loses_no_count(tmp_path: Path) -> None:
    file = tmp_path / "count"
    file.write_bytes(b"0")
    processes = [python(COUNTS, file) for _ in range(3)]
    assert [(process.communicate(timeout=60)[1], process.returncode) for process in processes] == [("", 0)] * 3
    assert file.read_bytes() == b"90"


def test_who_cannot_have_a_file_is_told_who_has_it_and_what_to_do(tmp_path: Path) -> None:
    with (
        held_by_another(tmp_path / "file") as holder,
        pytest.raises(StoreError) as refusal,
        locked(tmp_path / "file", 0, "wait for it"),
    ):
        pass
    assert f"{tmp_path / 'file'} is in use by another process" in str(refusal.value)
    assert str(refusal.value).endswith(": wait for it")
    if sys.platform == "linux":
        assert f"another process, {holder.pid} ({sys.executable} -c" in str(refusal.value)


def test_a_lock_does_not_outlive_a_process_that_is_killed(tmp_path: Path) -> None:
    with held_by_another(tmp_path / "file"):
        assert is_locked(tmp_path / "file")
    assert not is_locked(tmp_path / "file")
    with locked(tmp_path / "file", 0):
        assert is_locked(tmp_path / "file")


def test_two_threads_are_kept_apart_too(tmp_path: Path) -> None:
    count = [0]

    def work() -> None:
        for _ in range(20):
            with locked(tmp_path / "file"):
                before = count[0]
                threading.Event().wait(0.0001)
                count[0] = before + 1

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count == [60]


@posix_only
def test_a_link_leads_to_the_same_lock(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with locked(tmp_path / "file"), pytest.raises(StoreError, match="in use"), locked(tmp_path / "link", 0):
        pass


def test_where_there_is_no_folder_there_is_no_lock(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no folder"), locked(tmp_path / "gone" / "file"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@posix_only
@pytest.mark.usefixtures("no_umask")
def test_nothing_is_made_that_others_can_write(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    make_folder(folder)
    write_whole(folder / "c" / "public", b"")
    write_whole(folder / "secret", b"", 0o600)
    create_whole(folder / "new", b"")
    append(folder / "lines", "one\n")
    with locked(folder / "secret"):
        pass
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "a", *(tmp_path / "a").rglob("*"))}
    folders, secret = dict.fromkeys("abc", 0o755), dict.fromkeys(("secret", "new", "lines", "secret.lock"), 0o600)
    assert modes == folders | secret | {"public": 0o644}


WRITERS: dict[str, Callable[[Path], object]] = {
    "write_whole": lambda path: write_whole(path, b"secret", 0o600),
    "append": lambda path: append(path, "secret\n"),
    "read_private": read_private,
}


@posix_only
@pytest.mark.parametrize("act", WRITERS)
def test_secrets_are_neither_written_nor_read_through_a_link(tmp_path: Path, act: str) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "link").symlink_to("victim")
    with pytest.raises(InputError, match="link is a symbolic link"):
        WRITERS[act](tmp_path / "link")
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert (tmp_path / "link").is_symlink()


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="needs /dev/fd")
def test_what_is_handed_over_in_person_may_be_a_link_of_the_systems(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"sesame")
    with (tmp_path / "secret").open("rb") as file:
        assert read_private(Path(f"/dev/fd/{file.fileno()}")) == b"sesame"


def test_a_new_file_takes_nobodys_place(tmp_path: Path) -> None:
    create_whole(tmp_path / "file", b"one")
    with pytest.raises(FileExistsError):
        create_whole(tmp_path / "file", b"two")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"one")]


def test_lines_are_added_to_a_file_and_to_nothing_else(tmp_path: Path) -> None:
    append(tmp_path / "file", "one\n")
    append(tmp_path / "file", "two\n")
    assert (tmp_path / "file").read_text() == "one\ntwo\n"
    with pytest.raises(StoreError, match="cannot be written"):
        append(tmp_path, "three\n")


def test_a_lock_that_was_let_go_while_its_holder_was_looked_for_is_still_told(tmp_path: Path) -> None:
    (tmp_path / "free").touch()
    assert files._holder(tmp_path / "free") == "another process"
