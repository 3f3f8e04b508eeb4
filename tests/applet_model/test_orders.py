"""Lock-out, dates and credit: the center's acts, for one card, and never backwards."""

from dataclasses import replace

import pytest

from apdu.commands import Ins
from apdu.identity import LifeCycle
from apdu.messages import Credit, Head, Resolution, Signed, TerminateOrder, UnlockOrder
from apdu.payload import Tag
from apdu.status import StatusError, StatusWord
from broadcast.edition import Edition
from host.session import PurseSession
from tests.applet_model.offers import OFFERS, pair
from tests.applet_model.purses import ISSUER, Purse, new_purse
from tests.issuer import FAR, NOW, ORDERS, Issuer

W = StatusWord
MINE = 2


def lock(purse: Purse, edition: Edition, serial: int = MINE) -> None:
    purse.session().lock_out(edition.head, edition.tree.prove(serial))


def order(edition: int, serial: int = MINE) -> Signed[UnlockOrder]:
    return Signed.make(UnlockOrder(ORDERS, ISSUER.id(serial), edition), ISSUER.orders)


def head(edition: int, time: int = NOW, issuer: Issuer = ISSUER) -> Signed[Head]:
    return issuer.edition(edition, time=time).head


def state(purse: Purse) -> LifeCycle:
    return purse.session().selected.status.state


def date(purse: Purse) -> int:
    return purse.session().get_counters().date


def refused(purse: Purse, ins: Ins, tag: Tag, signed: Signed[Head] | Signed[Credit] | Signed[UnlockOrder]) -> int:
    """Offer it; nothing may change."""
    image = purse.image
    sw = purse.offer(ins, {tag: signed.raw})
    assert purse.image == image
    return sw


# --- editions --------------------------------------------------------------------------------------------


def test_an_older_edition_locks_nobody_out_and_moves_no_date() -> None:
    purse = new_purse(MINE)
    purse.session().put_date(head(5))
    old, image = ISSUER.edition(4, MINE, time=NOW + 1000), purse.image
    with pytest.raises(StatusError) as refusal:
        lock(purse, old)
    assert refusal.value.word is W.OLDER
    assert purse.image == image
    assert refused(purse, Ins.PUT_DATE, Tag.HEAD, old.head) == W.OLDER
    assert state(purse) is LifeCycle.ACTIVE


def test_an_edition_of_another_issuer_is_not_believed() -> None:
    purse, foreign = new_purse(MINE), Issuer(number=2)
    assert refused(purse, Ins.PUT_DATE, Tag.HEAD, head(9, issuer=foreign)) == W.NOT_THIS_CARD
    posing = Signed.make(head(9).body, foreign.orders)
    assert refused(purse, Ins.PUT_DATE, Tag.HEAD, posing) == W.SIGNATURE_INVALID
    edition = foreign.edition(9, MINE)
    with pytest.raises(StatusError) as refusal:
        lock(purse, edition)
    assert refusal.value.word is W.NOT_THIS_CARD


def test_the_proof_of_another_card_locks_only_that_card_out() -> None:
    purse, edition = new_purse(MINE), ISSUER.edition(1, 3)
    with pytest.raises(StatusError) as refusal:
        lock(purse, edition, 3)
    assert refusal.value.word is W.NOT_LISTED
    assert state(purse) is LifeCycle.ACTIVE
    other = new_purse(3)
    lock(other, edition, 3)
    assert state(other) is LifeCycle.LOCKED_OUT


def test_the_same_head_again_changes_nothing() -> None:
    purse = new_purse(MINE)
    purse.session().put_date(head(5))
    before = purse.session().get_counters()
    purse.session().put_date(head(5))
    assert purse.session().get_counters() == before


# --- the date --------------------------------------------------------------------------------------------


def test_the_date_never_goes_back() -> None:
    purse = new_purse(MINE)
    assert date(purse) == NOW
    purse.session().put_date(head(1, NOW + 500))
    purse.session().put_date(head(2, NOW - 500))
    assert date(purse) == NOW + 500
    purse.session().put_credit(ISSUER.credit(MINE, 2, issued=NOW + 400))
    assert date(purse) == NOW + 500
    purse.session().put_credit(ISSUER.credit(MINE, 3, issued=NOW + 600))
    assert date(purse) == NOW + 600


def test_the_terminals_date_is_never_stored() -> None:
    mine, theirs = pair()
    requested = mine.session().request(100, theirs.id, NOW + 7)
    paid = theirs.session().pay(requested, NOW + 8)
    theirs.session().settle(mine.session().receive(paid, NOW + 9))
    assert (date(mine), date(theirs)) == (NOW, NOW)
    for purse in (mine, theirs):
        assert [record.date for record in purse.session().history(1)] == [NOW]


# --- credit ----------------------------------------------------------------------------------------------


def test_credit_for_another_card_is_refused() -> None:
    assert refused(new_purse(MINE), Ins.PUT_CREDIT, Tag.CREDIT, ISSUER.credit(3, 2)) == W.NOT_THIS_CARD


@pytest.mark.parametrize("serial", [0, 1, 4, 5])
def test_credit_with_a_lower_or_the_same_serial_is_refused(serial: int) -> None:
    purse = new_purse(MINE)
    purse.session().put_credit(ISSUER.credit(MINE, 5))
    assert refused(purse, Ins.PUT_CREDIT, Tag.CREDIT, ISSUER.credit(MINE, serial)) == W.OLDER


def test_credit_cannot_say_that_the_center_saw_less_than_before_or_more_than_there_is() -> None:
    mine, theirs = pair()
    theirs.session().settle(mine.session().receive(paid_by(theirs, mine), NOW))
    mine.session().put_credit(ISSUER.credit(MINE, 2, seen=1))
    assert refused(mine, Ins.PUT_CREDIT, Tag.CREDIT, ISSUER.credit(MINE, 3, seen=0)) == W.OLDER
    assert refused(mine, Ins.PUT_CREDIT, Tag.CREDIT, ISSUER.credit(MINE, 3, seen=2)) == W.WRONG_DATA


def paid_by(payer: Purse, payee: Purse, amount: int = 100):  # noqa: ANN201
    return payer.session().pay(payee.session().request(amount, payer.id, NOW), NOW)
