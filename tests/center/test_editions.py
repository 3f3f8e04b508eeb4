"""Reports, editions, lock-out and unlocking: who is listed when, and which order unlocks which card."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apdu.errors import RefusedError
from apdu.identity import CardId, LifeCycle
from apdu.status import StatusError
from broadcast.edition import Edition
from center.editions import (
    edition_bytes,
    edition_file,
    is_listed,
    publish,
    report_found,
    report_stolen,
    unlock_order,
)
from center.models import ReportRow
from tests.center.bank import Bank, Purse


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return Bank(tmp_path / "center")


@pytest.fixture
def aoi(bank: Bank) -> Purse:
    return bank.purse()


def state(purse: Purse) -> LifeCycle:
    return purse.session().selected.status.state


def steal(bank: Bank, purse: Purse) -> None:
    """Reported, published, met by a terminal."""
    report_stolen(bank.center, purse.id)
    bank.lock(purse)
    assert state(purse) is LifeCycle.LOCKED_OUT


# --- editions ----------------------------------------------------------------------------------------------


def test_editions_are_numbered_from_one(bank: Bank) -> None:
    heads = [publish(bank.center).head.body for _ in range(3)]
    assert [head.edition for head in heads] == [1, 2, 3]
    assert {(head.issuer, head.time, head.next) for head in heads} == {(1, bank.time, bank.time + 86400)}


def test_every_edition_has_its_file(bank: Bank) -> None:
    for number in (1, 2):
        edition = publish(bank.center)
        assert edition_file(bank.center, number).read_bytes() == edition.encode()


def test_a_list_that_no_edition_takes_is_refused_before_a_number_is_given_out(
    bank: Bank, aoi: Purse, monkeypatch: pytest.MonkeyPatch
) -> None:
    report_stolen(bank.center, aoi.id)
    monkeypatch.setattr("center.editions.MAX_MEMBERS", 0)
    with pytest.raises(RefusedError, match="an edition lists 0 at most, and there are 1"):
        publish(bank.center)
    monkeypatch.undo()
    assert publish(bank.center).number == 1


def test_what_was_published_is_kept_as_it_went_out(bank: Bank, aoi: Purse) -> None:
    first = publish(bank.center).encode()
    report_stolen(bank.center, aoi.id)
    second = publish(bank.center).encode()
    report_found(bank.center, aoi.id)
    assert [edition_bytes(bank.center, number) for number in (1, 2)] == [first, second]
    assert edition_bytes(bank.center) == second


def test_an_edition_is_what_terminals_can_verify(bank: Bank, aoi: Purse) -> None:
    report_stolen(bank.center, aoi.id)
    publish(bank.center)
    edition = Edition.decode(edition_bytes(bank.center), 1, bank.center.trust.keys)
    assert edition.head.body.count == 1
    assert aoi.id.serial in edition.tree


@pytest.mark.parametrize("number", [None, 0, 1, 99])
def test_what_was_never_published_is_not_there(bank: Bank, number: int | None) -> None:
    with pytest.raises(RefusedError, match="never published"):
        edition_bytes(bank.center, number)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """A center with the cards 1 to 4, which one after another are lost and found."""
    bank = Bank(tmp_path_factory.mktemp("registry") / "center")
    for _ in range(4):
        bank.purse()
    return bank


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=12))
def test_an_edition_lists_who_is_lost_and_not_found(registry: Bank, reports: list[tuple[int, bool]]) -> None:
    center = registry.center
    lost = {serial for serial in range(1, 5) if is_listed(center, CardId.of(1, serial))}
    for serial, stolen in reports:
        card = CardId.of(1, serial)
        if stolen:
            assert report_stolen(center, card) is (serial not in lost)
            lost.add(serial)
        elif serial in lost:
            report_found(center, card)
            lost.remove(serial)
        else:
            with pytest.raises(RefusedError, match="not listed"):
                report_found(center, card)
    tree = publish(center).tree
    assert {serial for serial in range(1, 10) if serial in tree} == lost
    assert lost == {serial for serial in range(1, 5) if is_listed(center, CardId.of(1, serial))}


def test_every_report_is_kept(bank: Bank, aoi: Purse) -> None:
    report_stolen(bank.center, aoi.id, "lost on the train")
    report_stolen(bank.center, aoi.id, "lost, they said again")
    report_found(bank.center, aoi.id, "in the other coat")
    with bank.center.session() as session:
        reports = [(row.kind, row.reason) for row in session.query(ReportRow).order_by(ReportRow.id)]
    assert reports == [
        ("stolen", "lost on the train"),
        ("stolen", "lost, they said again"),
        ("found", "in the other coat"),
    ]


@pytest.mark.parametrize("card", [CardId.of(1, 99), CardId.of(2, 1)])
def test_reports_about_cards_of_others_are_refused(bank: Bank, aoi: Purse, card: CardId) -> None:
    for report in (report_stolen, report_found, unlock_order):
        with pytest.raises(RefusedError, match="not in this center's registry"):
            report(bank.center, card)
    assert not is_listed(bank.center, aoi.id)


# --- unlocking ---------------------------------------------------------------------------------------------


def test_a_card_that_was_found_is_unlocked(bank: Bank, aoi: Purse) -> None:
    steal(bank, aoi)
    assert report_found(bank.center, aoi.id) == 2
    aoi.session().unlock(unlock_order(bank.center, aoi.id))
    assert state(aoi) is LifeCycle.ACTIVE


def test_no_order_before_the_card_is_found(bank: Bank, aoi: Purse) -> None:
    with pytest.raises(RefusedError, match="may not be unlocked"):
        unlock_order(bank.center, aoi.id)
    steal(bank, aoi)
    with pytest.raises(RefusedError, match="may not be unlocked"):
        unlock_order(bank.center, aoi.id)


def test_no_order_any_more_once_the_card_is_reported_again(bank: Bank, aoi: Purse) -> None:
    steal(bank, aoi)
    report_found(bank.center, aoi.id)
    report_stolen(bank.center, aoi.id)
    with pytest.raises(RefusedError, match="may not be unlocked"):
        unlock_order(bank.center, aoi.id)


def test_the_edition_that_locked_a_card_does_not_lock_it_again(bank: Bank, aoi: Purse) -> None:
    report_stolen(bank.center, aoi.id)
    edition = publish(bank.center)
    proof = edition.tree.prove(aoi.id.serial)
    aoi.session().lock_out(edition.head, proof)
    report_found(bank.center, aoi.id)
    aoi.session().unlock(unlock_order(bank.center, aoi.id))
    with pytest.raises(StatusError, match="950D"):
        aoi.session().lock_out(edition.head, proof)
    assert state(aoi) is LifeCycle.ACTIVE


@pytest.mark.parametrize("published_between", [0, 1, 3])
def test_an_order_lies_above_every_edition_that_lists_the_card(bank: Bank, aoi: Purse, published_between: int) -> None:
    steal(bank, aoi)
    for _ in range(published_between):
        bank.lock(aoi)
    report_found(bank.center, aoi.id)
    order = unlock_order(bank.center, aoi.id)
    assert order.body.edition == 2 + published_between
    assert order.body.edition > aoi.session().selected.status.edition
    aoi.session().unlock(order)
    assert state(aoi) is LifeCycle.ACTIVE


@pytest.mark.parametrize("published_between", [0, 1, 2])
def test_an_old_order_does_not_unlock_after_a_second_theft(bank: Bank, aoi: Purse, published_between: int) -> None:
    steal(bank, aoi)
    report_found(bank.center, aoi.id)
    old = unlock_order(bank.center, aoi.id)
    aoi.session().unlock(old)
    for _ in range(published_between):
        publish(bank.center)
    steal(bank, aoi)
    with pytest.raises(StatusError, match="950D"):
        aoi.session().unlock(old)
    assert state(aoi) is LifeCycle.LOCKED_OUT
    report_found(bank.center, aoi.id)
    aoi.session().unlock(unlock_order(bank.center, aoi.id))
    assert state(aoi) is LifeCycle.ACTIVE


def test_an_order_that_the_thief_kept_unused_does_not_unlock_either(bank: Bank, aoi: Purse) -> None:
    steal(bank, aoi)
    report_found(bank.center, aoi.id)
    kept = unlock_order(bank.center, aoi.id)
    report_stolen(bank.center, aoi.id)
    bank.lock(aoi)
    with pytest.raises(StatusError, match="950D"):
        aoi.session().unlock(kept)


def test_an_order_is_for_one_card(bank: Bank, aoi: Purse) -> None:
    botan = bank.purse()
    steal(bank, aoi)
    steal(bank, botan)
    report_found(bank.center, botan.id)
    with pytest.raises(StatusError, match="950C"):
        aoi.session().unlock(unlock_order(bank.center, botan.id))
    assert state(aoi) is LifeCycle.LOCKED_OUT


def test_a_terminate_order_ends_one_card(bank: Bank, aoi: Purse) -> None:
    botan, order = bank.purse(), bank.terminate_order(aoi)
    with pytest.raises(StatusError, match="950C"):
        botan.session().terminate(order, bank.time)
    late = order.body.expiry + 1
    assert order.body.expiry == bank.time + 3600
    with pytest.raises(StatusError, match="9513"):
        aoi.session().terminate(order, late)
    aoi.session().terminate(order, order.body.expiry)
    assert (state(aoi), state(botan)) == (LifeCycle.TERMINATED, LifeCycle.ACTIVE)
