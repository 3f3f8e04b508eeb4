"""saifu center cases: what does not agree, and the evidence for it."""

import pytest

from apdu.messages import Attestation, Outcome, Signed
from apdu.objects import HistoryRecord
from center.center import Center
from center.resolution import decide
from tests.center.broken import BrokenCard, broken_card
from tests.host.town_shell import TownShell
from tests.saifu.shell import PASSPHRASE


@pytest.fixture
def payer(shell: TownShell) -> BrokenCard:
    """Its payment was decided never to be received, and was."""
    center = Center.open(shell.home / "center", PASSPHRASE.encode(), witness=shell.witness)
    payer, payee = broken_card(center), broken_card(center)
    payer.pay(payee, 1)
    payer.waiting = (1,)
    payer.renew()
    decide(center, payer.id, 1, Outcome.NEVER_RECEIVED, "the card is lost")
    payer.renew()
    payee.receive(payer, 1)
    payee.renew()
    center.close()
    return payer


def test_without_cases_everything_agrees(shell: TownShell) -> None:
    assert shell.good("center", "cases").out == "everything agrees so far\n"
    assert shell.good("center", "cases", "--json").document == {"cases": []}


def test_cases_are_listed(shell: TownShell, payer: BrokenCard) -> None:
    assert shell.good("center", "cases").out == f"    1  decision-contradicted   {payer.id}  payment 1\n"
    [row] = shell.good("center", "cases", "--json").document["cases"]
    assert (row["case"], row["kind"], row["card"], row["counter"]) == (1, "decision-contradicted", payer.id.text, 1)


def test_a_case_is_shown_with_its_evidence(shell: TownShell, payer: BrokenCard) -> None:
    said = shell.good("center", "cases", 1).out
    for line in (
        "the cards say otherwise than was decided\n",
        f"record of {payer.id}:      1 ",
        f"received from {payer.id}",
        f"signed by {payer.id}: record 1, payment 1, request 0 closed, waits for 1\n",
        "decided: never-received\n",
        "signed by the center: never-received\n",
    ):
        assert line in said


def test_what_was_signed_can_be_verified_from_the_document(shell: TownShell, payer: BrokenCard) -> None:
    evidence = shell.good("center", "cases", 1, "--json").document["evidence"]
    states = [Signed.decode(Attestation, bytes.fromhex(state["raw"])) for state in evidence["attestations"]]
    [own] = [state for state in states if state.body.card == payer.id]
    assert own.verify(payer.certificate.body.point).counter == 1
    told = [HistoryRecord.decode(bytes.fromhex(record["raw"])) for record in evidence["records"]]
    assert payer.records[0] in told
    assert [decision["outcome"] for decision in evidence["decisions"]] == ["never-received"]


def test_a_case_that_is_not_there(shell: TownShell) -> None:
    ran = shell.run("center", "cases", 7)
    assert (ran.code, ran.fault) == (2, "there is no case 7: saifu center cases lists them")
