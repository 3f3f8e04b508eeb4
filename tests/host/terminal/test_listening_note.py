"""The note of a listener that runs: there while it runs, and of no weight."""

import json
from pathlib import Path

import pytest

from broadcast.carousel import Carousel, OnAir
from broadcast.cipher_key import CipherKey
from broadcast.reception import Reception
from host.terminal.listening_note import listeners, noting
from tests.issuer import NOW

KEY = CipherKey(1, bytes(32))


OTHER = json.dumps({"air": 1, "since": "x", "written": None, "packets": {}, "progress": []}).encode()


def under_way() -> Reception:
    """Five packets of an object that needs sixteen."""
    reception = Reception([KEY])
    for packet in Carousel([OnAir(7, 0, KEY, bytes(1000))], 64).burst()[:5]:
        reception.take(packet)
    return reception


def test_a_listener_is_seen_while_it_runs(tmp_path: Path) -> None:
    assert listeners(tmp_path) == []
    with noting(tmp_path, "udp::17070", lambda: NOW) as note:
        note.update(under_way())
        (seen,) = listeners(tmp_path)
        assert (seen["air"], seen["since"], seen["written"]) == ("udp::17070", NOW, NOW)
        assert (seen["packets"]["received"], seen["packets"]["useful"]) == (5, 5)
        assert seen["progress"] == [{"edition16": 7, "span": 0, "have": 5, "need": 16}]
    assert listeners(tmp_path) == []


def test_one_that_has_heard_nothing_is_seen_and_not_the_one_before(tmp_path: Path) -> None:
    with noting(tmp_path, "sound:old.wav") as note:
        note.update(under_way())
    with noting(tmp_path, "sound"):
        (seen,) = listeners(tmp_path)
        assert (seen["air"], seen["packets"]["received"], seen["progress"]) == ("sound", 0, [])


def test_it_is_not_written_for_every_packet(tmp_path: Path) -> None:
    with noting(tmp_path, "udp") as note:
        note.update(under_way())
        note.update(Reception([KEY]))
        assert listeners(tmp_path)[0]["packets"]["received"] == 5


def test_bearers_have_notes_of_their_own(tmp_path: Path) -> None:
    with noting(tmp_path, "udp") as one, noting(tmp_path, "sound:a.wav") as other:
        one.update(under_way())
        other.update(under_way())
        assert [note["air"] for note in listeners(tmp_path)] == ["sound:a.wav", "udp"]


@pytest.mark.parametrize("air", ["../../x", "/etc/x.wav", "", ":", "a/b:c"])
def test_a_note_has_its_place_whatever_the_bearer_is_called(tmp_path: Path, air: str) -> None:
    with noting(tmp_path / "terminal", air) as note:
        note.update(under_way())
        assert [seen["air"] for seen in listeners(tmp_path / "terminal")] == [air]
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"other.json", "other.lock"}


def test_a_second_listener_on_a_bearer_is_not_in_the_way(tmp_path: Path) -> None:
    with noting(tmp_path, "udp") as one, noting(tmp_path, "udp") as other:
        one.update(under_way())
        other.update(under_way())
        assert len(listeners(tmp_path)) == 1


@pytest.mark.parametrize("content", [b"", b"\xff", b"{", b"[" * 100_000, b"{}", b"[]", b"1", OTHER])
def test_a_damaged_note_is_left_out(tmp_path: Path, content: bytes) -> None:
    with noting(tmp_path, "udp"):
        (tmp_path / "listening" / "udp.json").write_bytes(content)
        assert listeners(tmp_path) == []


def test_what_a_killed_listener_has_left_is_not_taken_for_one_that_runs(tmp_path: Path) -> None:
    with noting(tmp_path, "udp") as note:
        note.update(under_way())
    assert json.loads((tmp_path / "listening" / "udp.json").read_bytes())["air"] == "udp"
    assert listeners(tmp_path) == []


def test_what_a_kill_in_the_middle_of_writing_has_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "listening").mkdir()
    (tmp_path / "listening" / ".udp.json.abcdefgh").write_bytes(b"half")
    with noting(tmp_path, "udp"):
        assert not list((tmp_path / "listening").glob(".*"))


def test_where_there_is_no_place_for_notes_one_listens_without(tmp_path: Path) -> None:
    (tmp_path / "listening").write_bytes(b"a file")
    with noting(tmp_path, "udp") as note:
        note.update(under_way())
    assert listeners(tmp_path) == []


def test_a_place_that_cannot_be_written_keeps_nobody_from_listening(tmp_path: Path) -> None:
    with noting(tmp_path, "udp") as note:
        (tmp_path / "listening" / "udp.json").unlink()
        (tmp_path / "listening" / "udp.json").mkdir()
        note.update(under_way())
