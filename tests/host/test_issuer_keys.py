"""PUT KEY from the host: what the card has to say to it, what the session is worth then, and that no key is told."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from apdu.commands import Ins
from apdu.errors import MisbehaviourError, SecureChannelError
from apdu.response import ResponseApdu
from apdu.status import StatusError
from host.connection import CardConnection
from host.issuer_session import TRANSPORT_VERSION, IssuerSession
from host.model import ChipKeys, ModelSlot, SmartCard, memory_card
from host.recording import RecordingSlot, TraceFile
from host.scp03 import HostChannel, StaticKeys
from host.secure_listener import SecureListener
from tests.host.test_secure_listener import Wire, plain
from tests.issuer import CHIP, PUT, STATIC

SHORT, MIDDLE, LONG = PUT


def session_with(connection: CardConnection, keys: StaticKeys = STATIC) -> IssuerSession:
    return IssuerSession(connection, lambda _: keys)


def blank() -> SmartCard:
    return memory_card(CHIP)


@pytest.mark.parametrize("keys", PUT, ids=lambda keys: str(len(keys.enc)))
def test_the_makers_keys_give_way_to_the_issuers_and_those_to_others(keys: StaticKeys) -> None:
    slot = ModelSlot("issuer", blank())
    session = session_with(slot.connect())
    assert session.card.key_version == TRANSPORT_VERSION
    session.put_key(7, keys)
    session = session_with(slot.connect(), keys)
    assert (session.card.key_version, session.card.diversification_data) == (7, CHIP.diversification)
    session.put_key(8, SHORT)
    session = session_with(slot.connect(), SHORT)
    assert session.card.key_version == 8
    assert len(session.generate_key_pair()) == 64


def test_the_session_is_over_then() -> None:
    session = session_with(ModelSlot("issuer", blank()).connect())
    session.put_key(7, LONG)
    with pytest.raises(SecureChannelError, match="closed"):
        session.generate_key_pair()


def test_nothing_is_known_of_a_card_before_it_has_proved_itself() -> None:
    with pytest.raises(SecureChannelError, match="not open yet"):
        _ = HostChannel(bytes(8), 0x33).card


@pytest.mark.parametrize("version", [0, 128, 255])
def test_a_version_that_the_card_does_not_take_is_told(version: int) -> None:
    with pytest.raises(StatusError, match=r"PUT KEY.*6A80"):
        session_with(ModelSlot("issuer", blank()).connect()).put_key(version, LONG)


@dataclass
class Liar:
    """A channel to a card that has taken the keys, and says something else of them."""

    connection: CardConnection
    lie: Callable[[bytes], bytes]

    def transmit(self, command: bytes) -> bytes:
        answer = self.connection.transmit(command)
        return self.lie(answer) if command[1] == Ins.PUT_KEY else answer


@pytest.mark.parametrize("at", [0, 1, 9])
def test_a_card_that_names_other_keys_is_told(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    session = session_with(ModelSlot("issuer", blank()).connect())

    def lie(answer: bytes) -> bytes:
        data = bytearray(answer)
        data[at] ^= 1
        return bytes(data)

    monkeypatch.setattr(session, "_channel", _Lying(session, lie))
    with pytest.raises(MisbehaviourError, match="check values"):
        session.put_key(7, LONG)


class _Lying:
    """The session's own channel, behind which the card's answer to PUT KEY is another one."""

    def __init__(self, session: IssuerSession, lie: Callable[[bytes], bytes]) -> None:
        self._right = session._channel
        self._lie = lie
        self.card = self._right.card
        self.dek_encrypt, self.close = self._right.dek_encrypt, self._right.close

    def transmit(self, command: bytes) -> bytes:
        return Liar(self._right, self._lie).transmit(command)


# --- no key is told ----------------------------------------------------------------------------------------


def test_keys_are_in_no_repr_and_in_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    public = StaticKeys(*(bytes(range(0x40, 0x50)),) * 3)
    chip = ChipKeys(bytes(10), TRANSPORT_VERSION, public.enc, public.mac, public.dek)
    with TraceFile(path, "test") as trace:
        slot = RecordingSlot(ModelSlot("issuer", memory_card(chip)), trace)
        session = session_with(slot.connect(), public)
        session.put_key(7, LONG)
        told = repr((session, session.card, LONG))
    assert not any(key.hex() in told.lower() for key in (LONG.enc, LONG.mac, LONG.dek))
    said = [line for line in path.read_text("ascii").splitlines() if '"84D80081' in line]
    assert len(said) == 1
    assert "redacted" in said[0]
    assert said[0].split('"84D80081')[1].split('"')[0][2:].strip("0") in ("", "1")


def test_who_has_the_keys_reads_that_they_were_put_and_follows_the_next_channel() -> None:
    wire = Wire(ModelSlot("slot", blank()).connect())
    session_with(wire).put_key(7, LONG)
    session_with(wire, LONG).generate_key_pair()
    listener = SecureListener(lambda answer: LONG if answer.key_version == 7 else STATIC)
    opened = [listener.hear(exchange) for exchange in wire.exchanges]
    assert all(each is None or each.faults == () for each in opened)
    put, generated = (each for each in opened if each is not None)
    assert plain(put).command[:4] == bytes.fromhex("80D80081")
    assert ResponseApdu.decode(plain(put).response or b"").data[0] == 7
    assert plain(generated).command[:4] == bytes.fromhex("80468000")
