"""Card images and the end of the computer: barriers reach the disk, and their order is enough, whatever is lost."""

import os
from pathlib import Path

import pytest

from apdu.errors import StoreError
from applet_model.backing import MemoryBacking
from applet_model.memory import Cell, NonVolatileMemory
from host import card_file
from host.card_file import FileBacking
from host.model import CardFile, create_card
from tests.applet_model.cards import ISSUER, purse, session
from tests.host.power_loss import RecordedCard, records, try_every_moment
from tests.issuer import CHIP, NOW


def test_a_transfer_survives_the_loss_of_power_at_each_moment() -> None:
    for card in records():
        assert len(card.ended) > 3
        tried = try_every_moment(card)
        assert tried.faults == []
        assert tried.images > 300


@pytest.mark.parametrize("kept", ["no barrier", "the first of two", "the second of two"])
def test_without_a_barrier_money_is_made_or_lost(kept: str) -> None:
    """The trial bites: each of the two barriers is needed."""
    faults = 0
    for card in records():
        barriers = [at for at, write in enumerate(card.log) if write is None]
        wanted = {"no barrier": [], "the first of two": barriers[::2], "the second of two": barriers[1::2]}[kept]
        fewer = RecordedCard(card.first)
        fewer.log += [write for at, write in enumerate(card.log) if write is not None or at in wanted]
        gone = [at for at in barriers if at not in wanted]
        fewer.ended = [end - sum(at < end for at in gone) for end in card.ended]
        fewer.states = card.states
        faults += len(try_every_moment(fewer, 16).faults)
    assert faults


def test_there_is_a_barrier_behind_the_journal_and_one_behind_the_cells() -> None:
    said: list[str] = []

    class Told(MemoryBacking):
        def write(self, offset: int, data: bytes) -> None:
            said.append("journal" if offset < 1024 else "cell")
            super().write(offset, data)

        def flush(self) -> None:
            said.append("barrier")

    backing = Told(bytes(2048))
    with NonVolatileMemory(backing, 0).transaction() as tx:
        tx.put(Cell(backing, 1024, 4), b"abcd")
        tx.put(Cell(backing, 1100, 4), b"abcd")
    assert said == ["journal", "barrier", "cell", "cell", "barrier", "journal"]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    FileBacking.create(tmp_path / "card", purse(1, 100).image())
    return tmp_path / "card"


@pytest.fixture
def flushes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The descriptors that were flushed."""
    made: list[int] = []

    def counted(descriptor: int) -> None:
        made.append(descriptor)
        os.fsync(descriptor)

    monkeypatch.setattr(card_file, "sync", counted)
    return made


def open_a_request(image: Path, durable: bool | None = None) -> None:
    card = CardFile(image, durable=durable)
    session(card).request(5, ISSUER.id(2), NOW)
    card.close()


@pytest.mark.parametrize(("variable", "durable", "wanted"), [
    (None, None, True),
    ("1", None, True),
    ("0", None, False),
    ("0", True, True),
    (None, False, False),
])  # fmt: skip
def test_barriers_reach_the_disk_unless_somebody_says_no(
    image: Path,
    flushes: list[int],
    monkeypatch: pytest.MonkeyPatch,
    variable: str | None,
    durable: bool | None,
    wanted: bool,
) -> None:
    monkeypatch.delenv("SAIFU_DURABLE") if variable is None else monkeypatch.setenv("SAIFU_DURABLE", variable)
    open_a_request(image, durable)
    assert bool(flushes) is wanted


def test_a_disk_that_cannot_flush_ends_the_command(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(card_file, "sync", broken)
    card = CardFile(image, durable=True)
    with pytest.raises(Exception, match="Input/output error; what was not finished is put right"):
        session(card).request(5, ISSUER.id(2), NOW)
    card.close()


def test_where_there_is_no_folder_for_a_card_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no folder"):
        CardFile(tmp_path / "gone" / "card")
    with pytest.raises(StoreError, match="No such file"):
        create_card(tmp_path / "gone" / "card", CHIP, 16, 4)
    assert list(tmp_path.iterdir()) == []
