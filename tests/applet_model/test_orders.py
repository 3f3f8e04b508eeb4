"""Lock-out, dates and credit: the center's acts, for one card, and never backwards."""

from collections.abc import Callable

import pytest

from apdu.commands import Ins
from apdu.identity import LifeCycle
from apdu.messages import BodyT, Head, Outcome, Resolution, Signed, TerminateOrder, UnlockOrder
from apdu.objects import HistoryRecord, Kind
from apdu.payload import Tag
from apdu.status import StatusWord
from broadcast.edition import Edition
from tests.applet_model.offers import MINE, pair
from tests.applet_model.purses import ISSUER, Purse, new_purse, refusal_of
from tests.issuer import FAR, NOW, ORDERS, Issuer

W = StatusWord


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


def refused(purse: Purse, ins: Ins, tag: Tag, signed: Signed[BodyT]) -> int:
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
    assert refusal_of(lock, purse, old) is W.OLDER
    assert purse.image == image
    assert refused(purse, Ins.PUT_DATE, Tag.HEAD, old.head) == W.OLDER
    assert state(purse) is LifeCycle.ACTIVE


def test_an_edition_of_another_issuer_is_not_believed() -> None:
    purse, foreign = new_purse(MINE), Issuer(number=2)
    assert refused(purse, Ins.PUT_DATE, Tag.HEAD, head(9, issuer=foreign)) == W.NOT_THIS_CARD
    posing = Signed.make(head(9).body, foreign.orders)
    assert refused(purse, Ins.PUT_DATE, Tag.HEAD, posing) == W.SIGNATURE_INVALID
    edition = foreign.edition(9, MINE)
    assert refusal_of(lock, purse, edition) is W.NOT_THIS_CARD


def test_the_proof_of_another_card_locks_only_that_card_out() -> None:
    purse, edition = new_purse(MINE), ISSUER.edition(1, 3)
    assert refusal_of(lock, purse, edition, 3) is W.NOT_LISTED
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


def newest(purse: Purse) -> HistoryRecord:
    return purse.session().read_record(0)


def test_a_record_has_the_date_of_its_check_and_the_card_keeps_its_own() -> None:
    mine, theirs = pair()
    paid = theirs.pay(mine.ask(theirs, date=NOW + 7), NOW + 8)
    theirs.session().settle(mine.receive(paid, NOW + 9))
    assert (newest(theirs).date, newest(mine).date) == (NOW + 8, NOW + 9)
    assert (date(mine), date(theirs)) == (NOW, NOW)


@pytest.mark.parametrize(("stated", "written"), [(NOW - 5, NOW), (None, NOW), (NOW + 5, NOW + 5)])
def test_the_record_of_a_refund_has_a_date_too(stated: int | None, written: int) -> None:
    mine, theirs = pair()
    paid = theirs.pay(mine.ask(theirs))
    mine.ask(theirs)
    theirs.session().settle(mine.receive(paid), stated)
    assert (newest(theirs).kind, newest(theirs).date) == (Kind.REFUNDED, written)
    assert date(theirs) == NOW


def test_a_record_is_not_older_than_the_card() -> None:
    mine, theirs = pair()
    for purse in (mine, theirs):
        purse.session().put_date(ISSUER.edition(1, time=NOW + 60).head)
    theirs.session().settle(mine.receive(theirs.pay(mine.ask(theirs), NOW), NOW))
    assert (newest(theirs).date, newest(mine).date) == (NOW + 60, NOW + 60)


# --- the end -----------------------------------------------------------------------------------------------


def order_to_end(serial: int, expiry: int) -> Signed[TerminateOrder]:
    return Signed.make(TerminateOrder(ORDERS, ISSUER.id(serial), expiry), ISSUER.orders)


@pytest.mark.parametrize("stated", [NOW + 11, FAR])
def test_an_order_that_is_out_of_date_by_the_terminals_date_ends_no_life(stated: int) -> None:
    purse = new_purse(MINE)
    image = purse.image
    assert refusal_of(purse.session().terminate, order_to_end(MINE, NOW + 10), stated) is W.ORDER_EXPIRED
    assert purse.image == image
    purse.session().terminate(order_to_end(MINE, NOW + 10), NOW + 10)
    assert purse.session().selected.status.state is LifeCycle.TERMINATED


def test_an_order_that_is_out_of_date_by_the_cards_date_ends_no_life() -> None:
    purse = new_purse(MINE)
    purse.session().put_date(ISSUER.edition(1, time=NOW + 11).head)
    assert refusal_of(purse.session().terminate, order_to_end(MINE, NOW + 10), 0) is W.ORDER_EXPIRED


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
    theirs.session().settle(mine.receive(theirs.pay(mine.ask(theirs))))
    mine.session().put_credit(ISSUER.credit(MINE, 2, seen=1))
    assert refused(mine, Ins.PUT_CREDIT, Tag.CREDIT, ISSUER.credit(MINE, 3, seen=0)) == W.OLDER
    assert refused(mine, Ins.PUT_CREDIT, Tag.CREDIT, ISSUER.credit(MINE, 3, seen=2)) == W.WRONG_DATA


@pytest.mark.parametrize("step", range(4))
def test_a_locked_card_moves_no_money(step: int) -> None:
    """At whatever step of a transfer it was locked out, and whatever it is offered then."""
    mine, theirs = pair()
    asked = mine.ask(theirs)
    paid = theirs.pay(asked)
    own = mine.pay(theirs.ask(mine))
    answer = theirs.receive(own)
    lock(mine, ISSUER.edition(1, MINE))
    before, session = mine.image, mine.session
    acts: list[Callable[[], object]] = [
        lambda: session().request(1, theirs.id, NOW),
        lambda: session().pay(asked, NOW),
        lambda: session().receive(paid, NOW),
        lambda: session().settle(answer),
    ]
    assert refusal_of(acts[step]) is W.LOCKED_OUT
    assert mine.image == before
    mine.session().unlock(order(2))
    mine.receive(paid)
    mine.session().settle(answer)
    assert mine.balance == 10_000


# --- unlocking -------------------------------------------------------------------------------------------


def test_an_old_unlock_order_does_not_undo_a_second_lock_out() -> None:
    purse, first = new_purse(MINE), order(2)
    lock(purse, ISSUER.edition(1, MINE))
    purse.session().unlock(first)
    lock(purse, ISSUER.edition(2, MINE))
    assert refused(purse, Ins.UNLOCK, Tag.ORDER, first) == W.OLDER
    assert state(purse) is LifeCycle.LOCKED_OUT
    purse.session().unlock(order(3))
    assert state(purse) is LifeCycle.ACTIVE


def test_an_edition_below_the_unlock_order_locks_nobody_out_again() -> None:
    purse = new_purse(MINE)
    lock(purse, ISSUER.edition(1, MINE))
    purse.session().unlock(order(9))
    for number in (1, 8):
        assert refusal_of(lock, purse, ISSUER.edition(number, MINE)) is W.OLDER
    lock(purse, ISSUER.edition(9, MINE))


def test_an_order_for_another_card_unlocks_nothing() -> None:
    purse = new_purse(MINE)
    lock(purse, ISSUER.edition(1, MINE))
    assert refused(purse, Ins.UNLOCK, Tag.ORDER, order(9, serial=3)) == W.NOT_THIS_CARD


def test_an_order_to_terminate_another_card_is_refused() -> None:
    purse = new_purse(MINE)
    other = Signed.make(TerminateOrder(ORDERS, ISSUER.id(3), FAR), ISSUER.orders)
    assert refused(purse, Ins.TERMINATE, Tag.ORDER, other) == W.NOT_THIS_CARD


def test_a_resolution_ends_the_transfer_that_it_names_and_no_other() -> None:
    mine, theirs = pair()
    counters = [mine.pay(theirs.ask(mine)).value.body.counter for _ in range(2)]
    for counter, word in ((0, W.DATA_NOT_FOUND), (counters[1] + 1, W.DATA_NOT_FOUND)):
        resolution = Resolution(ORDERS, mine.id, counter, Outcome.NEVER_RECEIVED)
        assert refused(mine, Ins.SETTLE, Tag.RESOLUTION, Signed.make(resolution, ISSUER.orders)) == word
    never = Resolution(ORDERS, mine.id, counters[0], Outcome.NEVER_RECEIVED)
    mine.session().settle(Signed.make(never, ISSUER.orders))
    assert [entry.counter for entry in mine.session().get_unsettled()] == [counters[1]]
    assert mine.balance == 9_900
