"""Every payload object between host and card goes through the library on one side and the card's codec on the other."""

from unittest.mock import patch

import tlv8

from applet_model import payload as card_payload
from host.session import PurseSession
from host.terminal.transfer import transfer
from tests.issuer import NOW, Issuer


def test_all_objects_of_a_transfer_pass_both_codecs() -> None:
    issuer = Issuer()
    payer, payee = PurseSession(issuer.purse(1, initial=1_000)), PurseSession(issuer.purse(2))
    with (
        patch.object(tlv8, "encode", wraps=tlv8.encode) as host_writes,
        patch.object(tlv8, "decode", wraps=tlv8.decode) as host_reads,
        patch("applet_model.dispatch.unpack", wraps=card_payload.unpack) as card_reads,
        patch("applet_model.purse.pack", wraps=card_payload.pack) as card_writes,
    ):
        transfer(payer, payee, 250, NOW, lambda _: b"")
        sent, answered = card_reads.call_count, card_writes.call_count
        assert sent == 4  # REQUEST, PAY, RECEIVE, SETTLE
        assert answered == 3  # SETTLE has no answer
        assert host_writes.call_count >= sent
        assert host_reads.call_count >= answered
