"""SCP03 by a client that nobody here wrote: yubikit personalizes a blank card behind a real pcscd, level 33."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from apdu.commands import Ins
from apdu.dgi import Dgi, encode_dgi
from apdu.identity import AID
from apdu.signature import is_point
from apdu.status import StatusWord as W
from host.model import create_card
from host.virtual.cards import CARD_PROGRAM, CardProcess
from host.virtual.reader import VirtualReader
from tests.issuer import CHIP, STATIC, Issuer

pytestmark = pytest.mark.pcsc

BLOCK = 0x08
"""P1 of STORE DATA for a block that is not the last."""


@contextmanager
def client(reader: VirtualReader, image: Path) -> Iterator[Any]:
    """Yubikit's own connection, through pyscard and pcscd, to a card in the first slot."""
    smartcard = pytest.importorskip("yubikit.core.smartcard")
    pcsc = pytest.importorskip("ykman.pcsc")
    from smartcard.System import readers

    card = CardProcess(image, reader.pcscd.ports[0], CARD_PROGRAM)
    try:
        card.wait_until_inserted()
        connection = pcsc.ScardSmartCardConnection(readers()[0].createConnection())
        try:
            yield smartcard.SmartCardProtocol(connection)
        finally:
            connection.close()
    finally:
        card.take_out()
        reader.pcscd.wait_until_empty(1)


def keys(version: int, mac: bytes = STATIC.mac) -> object:
    """The maker's keys of the test card as yubikit has them."""
    from yubikit.core.smartcard.scp import KeyRef, Scp03KeyParams, ScpKid, StaticKeys

    return Scp03KeyParams(KeyRef(ScpKid.SCP03, version), StaticKeys(STATIC.enc, mac, STATIC.dek))


def parameters() -> bytes:
    return encode_dgi(Dgi.PARAMETERS, Issuer().parameters(2).encode())


@pytest.fixture
def blank(tmp_path: Path) -> Path:
    create_card(tmp_path / "blank.card", CHIP, 16, 4)
    return tmp_path / "blank.card"


@pytest.mark.parametrize("version", [0, CHIP.version])
def test_yubikit_opens_the_channel_and_personalizes(reader: VirtualReader, blank: Path, version: int) -> None:
    from yubikit.core.smartcard import ApduError

    with client(reader, blank) as card:
        assert AID in card.select(AID)
        card.init_scp(keys(version))
        answer = card.send_apdu(0x80, Ins.GENERATE_KEY_PAIR, 0x80, 0)
        assert is_point(answer[-64:])
        with pytest.raises(ApduError) as declined:
            card.send_apdu(0x80, Ins.STORE_DATA, BLOCK, 7, parameters())
        assert declined.value.sw == W.WRONG_P1_P2
        assert card.send_apdu(0x80, Ins.STORE_DATA, BLOCK, 0, parameters()) == b""
        assert card.send_apdu(0x80, Ins.GENERATE_KEY_PAIR, 0x81, 0) == answer


def test_with_wrong_keys_yubikit_stops_at_the_cards_cryptogram(reader: VirtualReader, blank: Path) -> None:
    with client(reader, blank) as card:
        card.select(AID)
        with pytest.raises(ValueError, match="Incorrect SCP parameters"):
            card.init_scp(keys(0, bytes(16)))
        card.init_scp(keys(0))
        assert is_point(card.send_apdu(0x80, Ins.GENERATE_KEY_PAIR, 0x80, 0)[-64:])


def test_another_key_version_is_not_there(reader: VirtualReader, blank: Path) -> None:
    with client(reader, blank) as card:
        card.select(AID)
        with pytest.raises(ValueError, match="Incorrect SCP parameters"):
            card.init_scp(keys(CHIP.version - 1))
