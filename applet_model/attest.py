"""ATTEST: the card signs its state under a challenge, so that the center can reconcile and renew [0030]."""

from apdu.messages import UNSETTLED_MAX, Attestation
from apdu.payload import Tag
from apdu.response import ResponseApdu
from apdu.status import StatusWord
from applet_model import unsettled
from applet_model.card_state import Call, CardState
from applet_model.decline import unless
from applet_model.payload import pack

__all__ = ["attest"]


def attest(card: CardState, call: Call) -> ResponseApdu:
    """ATTEST."""
    challenge, cells = call.objects[Tag.CHALLENGE], card.cells
    unless(len(challenge) == 16, StatusWord.WRONG_DATA)
    waiting = b"".join(counter.to_bytes(4) for counter in unsettled.counters(card))
    state = Attestation(
        card=card.certificate.subject,
        challenge=challenge,
        state=card.life_cycle,
        balance=cells.balance.number(),
        counter=cells.payments.number(),
        request=cells.request_number.number(),
        open=cells.request_open.number(),
        record=cells.record.number(),
        chain=cells.chain.get(),
        credit=card.credit.serial,
        edition=cells.edition.number(),
        date=cells.date.number(),
        unsettled=waiting.ljust(4 * UNSETTLED_MAX, b"\0"),
    )
    return ResponseApdu(pack({Tag.CERTIFICATE: cells.certificate.get(), Tag.ATTESTATION: card.sign(state)}))
