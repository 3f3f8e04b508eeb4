"""The card's side of personalization: secure channel, key pair, STORE DATA; then the life cycle closes."""

from collections.abc import Callable
from hashlib import sha256
from typing import TypeVar

from apdu import ber
from apdu.cipher import BLOCK, cbc_decrypt
from apdu.dgi import Dgi, decode_dgis
from apdu.errors import FormatError
from apdu.identity import AID, Role
from apdu.layout import Record
from apdu.messages import Certificate, Credit, Signed
from apdu.objects import CenterKey, KeyUse, Parameters
from apdu.response import ResponseApdu
from apdu.status import StatusWord
from applet_model.card_state import Call, CardState
from applet_model.decline import Decline, unless
from applet_model.life_cycle import Event
from applet_model.memory import Transaction
from applet_model.memory_map import SCP_TRIES
from applet_model.pin import is_pin
from applet_model.scp03 import CardChannel, SessionKeys, card_challenge

RecordT = TypeVar("RecordT", bound=Record)

__all__ = ["external_authenticate", "generate_key_pair", "initialize_update", "store_data"]

_SCP03, _I = 0x03, 0x70
"""Key information: SCP03; i = 70: pseudo-random challenge, R-MAC and R-ENC (Amendment D 5.1)."""
_LAST_BLOCK, _ENCRYPTED = 0x80, 0x60
_GENERATE = 0x80
_KEY_PAIR_STORED = 0x80
_STORED = {dgi: 1 << bit for bit, dgi in enumerate(Dgi)}
_COMPLETE = _KEY_PAIR_STORED | sum(_STORED.values())


def initialize_update(card: CardState, call: Call) -> ResponseApdu:
    """INITIALIZE UPDATE: diversification data, key information, challenge, cryptogram, sequence counter."""
    cells, command = card.cells, call.command
    unless(cells.scp_tries.number() > 0, StatusWord.BLOCKED)
    unless(command.p1 in (0, cells.key_version.number()), StatusWord.DATA_NOT_FOUND)
    sequence, size = cells.scp_sequence.number() + 1, cells.key_size.number()
    unless(sequence <= 0xFFFFFF, StatusWord.BLOCKED)
    with cells.memory.transaction() as tx:
        tx.put(cells.scp_sequence, sequence)
    enc, mac = cells.static_enc.get()[:size], cells.static_mac.get()[:size]
    challenge = card_challenge(enc, sequence, AID)
    channel = CardChannel(SessionKeys.derive(enc, mac, command.data + challenge))
    card.session.channel, card.session.next_block = channel, 0
    key_information = bytes((cells.key_version.number(), _SCP03, _I))
    return ResponseApdu(
        cells.diversification.get() + key_information + challenge + channel.card_cryptogram + sequence.to_bytes(3)
    )


def external_authenticate(card: CardState, call: Call) -> ResponseApdu:
    """EXTERNAL AUTHENTICATE: a wrong cryptogram ends the channel and costs a try."""
    channel, cells = card.session.channel, card.cells
    if channel is None or channel.level:
        raise Decline(StatusWord.CONDITIONS_OF_USE)
    left = cells.scp_tries.number()
    unless(left > 0, StatusWord.BLOCKED)
    with cells.memory.transaction() as tx:
        tx.put(cells.scp_tries, left - 1)
    if not channel.authenticate(call.command):
        card.session.channel = None
        raise Decline(StatusWord.SECURITY_STATUS)
    with cells.memory.transaction() as tx:
        tx.put(cells.scp_tries, SCP_TRIES)
    return ResponseApdu()


def generate_key_pair(card: CardState, call: Call) -> ResponseApdu:
    """GENERATE KEY PAIR: only the public key leaves the card (ISO 7816-8 table 4).

    A new pair begins personalization anew: what an interrupted run has stored does not count.
    """
    cells = card.cells
    if call.command.p1 == _GENERATE:
        key = card.key_pair.generate(card.random)
        with cells.memory.transaction() as tx:
            card.move(tx, Event.FIRST_DATA)
            tx.put(cells.private_key, key)
            tx.put(cells.stored, _KEY_PAIR_STORED)
            for cell in cells.center_keys:
                tx.put(cell, bytes(cell.size))
    unless(bool(cells.stored.number() & _KEY_PAIR_STORED), StatusWord.DATA_NOT_FOUND)
    point = card.key_pair.point(cells.private_key.get())
    return ResponseApdu(ber.encode(0x7F49, ber.encode(0x86, b"\x04" + point)))


def store_data(card: CardState, call: Call) -> ResponseApdu:
    """STORE DATA: all groups of a block in one transaction; the last block activates the card.

    A last block that cannot activate it is declined and not counted: it may come again, corrected.
    """
    command = call.command
    unless(command.p2 == card.session.next_block, StatusWord.WRONG_P1_P2)
    try:
        groups = decode_dgis(command.data)
    except FormatError:
        raise Decline(StatusWord.WRONG_DATA) from None
    with card.cells.memory.transaction() as tx:
        card.move(tx, Event.FIRST_DATA)
        stored = card.cells.stored.number()
        for dgi, value in groups:
            encrypted = command.p1 & _ENCRYPTED == _ENCRYPTED
            _STORE[dgi](card, tx, _open_value(card, value) if encrypted else value, encrypted)
            stored |= _STORED[dgi]
        tx.put(card.cells.stored, stored)
    if command.p1 & _LAST_BLOCK:
        _activate(card)
    card.session.next_block = command.p2 + 1 & 0xFF
    return ResponseApdu()


def _open_value(card: CardState, value: bytes) -> bytes:
    """Decrypt a sensitive value with the static DEK (AES-CBC, zero IV; Amendment D 6.2.8)."""
    unless(len(value) % BLOCK == 0 and bool(value), StatusWord.WRONG_DATA)
    cells = card.cells
    return cbc_decrypt(cells.static_dek.get()[: cells.key_size.number()], bytes(BLOCK), value)


def _decoded(kind: type[RecordT], value: bytes) -> RecordT:
    try:
        return kind.decode(value)
    except (ValueError, FormatError):
        raise Decline(StatusWord.WRONG_DATA) from None


def _store_parameters(card: CardState, tx: Transaction, value: bytes, _encrypted: bool) -> None:
    parameters = _decoded(Parameters, value)
    tries = all(0 < most < 16 for most in (parameters.pin_tries, parameters.puk_tries))
    created = parameters.initial == 0 or parameters.role is Role.FLOAT
    unless(tries and created and parameters.transfer_max > 0, StatusWord.WRONG_DATA)
    unless(parameters.initial <= parameters.balance_max, StatusWord.WRONG_DATA)
    tx.put(card.cells.parameters, value)


def _store_center_key(card: CardState, tx: Transaction, value: bytes, _encrypted: bool) -> None:
    """Keep a key in the place of the same number and use, or in the first free one."""
    key = _decoded(CenterKey, value)
    unless(key.number > 0, StatusWord.WRONG_DATA)
    for cell in card.cells.center_keys:
        if tx.get(cell)[:2] in (value[:2], b"\0\0"):
            tx.put(cell, value)
            return
    raise Decline(StatusWord.WRONG_DATA)


def _store_certificate(card: CardState, tx: Transaction, value: bytes, _encrypted: bool) -> None:
    card.decode(Certificate, value)
    tx.put(card.cells.certificate, value)


def _store_credit(card: CardState, tx: Transaction, value: bytes, _encrypted: bool) -> None:
    card.decode(Credit, value)
    tx.put(card.cells.credit, value)


def _store_reference_data(card: CardState, tx: Transaction, value: bytes, encrypted: bool) -> None:
    """PIN and resetting code; never taken unless they came encrypted under the DEK."""
    pin, puk = value[:8], value[8:]
    unless(encrypted and is_pin(pin) and is_pin(puk), StatusWord.WRONG_DATA)
    tx.put(card.cells.pin, pin)
    tx.put(card.cells.puk, puk)


_STORE: dict[Dgi, Callable[[CardState, Transaction, bytes, bool], None]] = {
    Dgi.PARAMETERS: _store_parameters,
    Dgi.CENTER_KEY: _store_center_key,
    Dgi.CERTIFICATE: _store_certificate,
    Dgi.CREDIT: _store_credit,
    Dgi.REFERENCE_DATA: _store_reference_data,
}


def _activate(card: CardState) -> None:
    """Check that all groups are there and belong together, then begin the purse's life; no way back."""
    cells = card.cells
    unless(cells.stored.number() == _COMPLETE, StatusWord.CONDITIONS_OF_USE)
    parameters = Parameters.decode(cells.parameters.get())
    _check_certificate(card, parameters)
    credit = _check_credit(card, parameters)
    with cells.memory.transaction() as tx:
        card.move(tx, Event.ACTIVATE)
        tx.put(cells.balance, parameters.initial)
        tx.put(cells.pin_tries, parameters.pin_tries)
        tx.put(cells.puk_tries, parameters.puk_tries)
        tx.put(cells.date, credit.issued)
        tx.put(cells.chain, sha256(parameters.card).digest())
    card.session.channel = None


def _check_certificate(card: CardState, parameters: Parameters) -> None:
    signed = Signed.decode(Certificate, card.cells.certificate.get())
    body = signed.body
    own = (parameters.card, parameters.role, card.key_pair.point(card.cells.private_key.get()))
    unless((body.subject, body.role, body.point) == own, StatusWord.NOT_THIS_CARD)
    point = card.center_point(body.key, KeyUse.CERTIFICATION)
    card.check_signature(signed, point, StatusWord.CERTIFICATE_INVALID)


def _check_credit(card: CardState, parameters: Parameters) -> Credit:
    signed = Signed.decode(Credit, card.cells.credit.get())
    unless(signed.body.card == parameters.card and signed.body.seen == 0, StatusWord.NOT_THIS_CARD)
    return card.center_signed(signed, signed.body.key)
