"""The float: the purse in which all value is created, a card of the center's own."""

import secrets
from pathlib import Path

from apdu.errors import InputError, StoreError
from apdu.identity import CardId, Role
from apdu.messages import Outcome
from apdu.objects import NO_PIN_SUM, Parameters
from center.center import Center
from center.float_watch import WatchedSlot, keep_float, state_of
from center.models import FloatRow
from center.resolution import decide
from center.witness import FloatState
from host.connection import CardSlot
from host.issuer_session import IssuerData, IssuerSession
from host.model import HISTORY_RANGE, UNSETTLED_RANGE, ChipKeys, ModelSlot, create_card
from host.patience import PATIENCE
from host.recording import recorded
from host.scp03 import StaticKeys
from host.session import PurseSession, pin_block
from host.terminal.line import CenterLine
from host.terminal.renewal import renew

__all__ = ["create_float", "float_image", "open_float", "replace_float"]

_MOST = 0xFFFFFFFF
_HISTORY, _UNSETTLED = HISTORY_RANGE[-1], UNSETTLED_RANGE[-1]
_WAITING_MOST = _UNSETTLED - 2
"""Unsettled loads that are left alone: as many as leave a place or two."""


def float_image(center: Center) -> Path:
    """Where the float's card image lies."""
    return center.folder / "float.card"


def create_float(center: Center, amount: int) -> CardId:
    """Personalize the float with ``amount`` minor units: all the money there will be.

    Raises InputError when the center has issued cards before.
    """
    if center.registered():
        raise InputError("the float is the center's first card, and there are cards already")
    return _make_float(center, amount, float_image(center))


def _make_float(center: Center, amount: int, image: Path) -> CardId:
    """Its chip keys, PIN and resetting code are random and forgotten: nobody needs them again. So it has no PIN sum."""
    keys = StaticKeys(secrets.token_bytes(16), secrets.token_bytes(16), secrets.token_bytes(16))
    chip = ChipKeys(secrets.token_bytes(10), 1, keys.enc, keys.mac, keys.dek)
    card = center.allot(Role.FLOAT, "float")
    create_card(image, chip, _HISTORY, _UNSETTLED)
    limits = (_MOST, _MOST, _MOST, NO_PIN_SUM)
    parameters = Parameters(card, Role.FLOAT, center.settings.unit.number, *limits, 3, 3, amount)
    codes = [pin_block(f"{secrets.randbelow(10**8):08d}") for _ in range(2)]
    data = IssuerData(parameters, center.public_keys, codes[0], codes[1])
    slot = recorded(ModelSlot("float", path=image))
    try:
        session = IssuerSession(slot.connect(), lambda _: keys)
        session.personalize(data, lambda point: center.certify(card, point))
    finally:
        slot.close()
    with center.session() as database:
        row = center.row(database, card)
        row.balance = amount
        state = FloatState(row.serial, 0, 0, amount, row.chain)
    if image == float_image(center):
        keep_float(center, state)
    return card


def replace_float(center: Center) -> CardId | None:
    """Make the float anew that a recovery has given up as lost; None when none is missing.

    The old image is kept beside the new one, under its serial. What was cut is gone on with when it is called again.
    """
    with center.session() as database:
        row = database.get(FloatRow, 1)
        if row is None or row.replaced_by is None:
            return None
        lost, amount = row.serial, row.replaced_by
    image, new = float_image(center), center.folder / "float.card.new"
    state = _state(image)
    if state is None or state.serial <= lost:
        new.unlink(missing_ok=True)
        _make_float(center, amount, new)
        if image.exists():
            image.replace(center.folder / f"float-{lost}.card")
        new.replace(image)
        state = _state(image)
    if state is None or (state.record, state.balance) != (0, amount):
        raise StoreError(f"{image} is not the float that the recovery has made: take it away")
    keep_float(center, state)
    return center.card_id(state.serial)


def _state(image: Path) -> FloatState | None:
    """The state of the float in an image; None when there is no readable one."""
    slot = recorded(ModelSlot("float", path=image))
    try:
        return state_of(PurseSession(slot.connect()))
    except StoreError:
        return None
    finally:
        slot.close()


def open_float(center: Center, line: CenterLine) -> CardSlot:
    """The slot with the float, watched; first its history is taken over when it is half full, and room is made.

    ATMs take turns, and wait for each other. Raises InUseError when another process uses it for longer than the
    patience of the run, StoreError for an older copy, BehindError when the center is behind.
    """
    slot = recorded(WatchedSlot(center, ModelSlot("float", path=float_image(center), patience=PATIENCE.get())))
    try:
        float_purse = PurseSession(slot.connect())
        counters, waiting = float_purse.get_counters(), float_purse.selected.status.unsettled
        if counters.record - counters.seen > _HISTORY // 2 or waiting > _WAITING_MOST:
            _make_room(center, float_purse, line)
    finally:
        slot.close()
    return slot


def _make_room(center: Center, float_purse: PurseSession, line: CenterLine) -> None:
    """Settle what the payees' own word settles; then give up the oldest transfers, if places run out.

    Whoever takes a card away in the middle of a load keeps a place of the float. Such money counts as paid
    out for good: it was taken off the float, its value may be received at any time, and the decision is on
    record for the case that it never was.
    """
    renew(float_purse, line, center.now)
    waiting = float_purse.get_unsettled()
    given_up = waiting[: max(0, len(waiting) - _WAITING_MOST)]
    for entry in given_up:
        decide(center, float_purse.card, entry.counter, Outcome.RECEIVED, "the float needed the place")
    if given_up:
        renew(float_purse, line, center.now)
