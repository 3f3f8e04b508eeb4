"""Older copies put back: each store has a witness, and a center that is behind gives nothing out and says so."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from apdu.errors import OutcomeUnknownError, RefusedError, StoreError
from apdu.identity import CardId, Role
from apdu.messages import CheckOrder, Head, Outcome, Signed
from apdu.signature import point_of, private_key
from broadcast.edition import Edition
from center.editions import listed, publish, report_found, report_stolen, unlock_order
from center.line import check_order
from center.renewal import begin_renewal
from center.resolution import decide
from center.standing import BehindError, open_findings
from center.witness import Marks
from host.model import ModelSlot
from host.session import PurseSession
from host.terminal.line import Shown
from host.terminal.renewal import renew, shown
from tests.center.bank import Bank, Purse

ISSUED = 1_000_000


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    bank = Bank(tmp_path / "center")
    bank.open_float(ISSUED)
    return bank


def kinds(bank: Bank) -> list[str]:
    with bank.center.session() as session:
        return [finding.kind for finding in open_findings(session)]


GIVES_OUT: dict[str, Callable[[Bank, Purse], object]] = {
    "allot": lambda bank, _: bank.center.allot(Role.PERSON, "Chie"),
    "certify": lambda bank, card: bank.center.certify(card.id, point_of(private_key(bytes(40)))),
    "publish": lambda bank, _: publish(bank.center),
    "renew": lambda bank, card: bank.renew(card),
    "load": lambda bank, card: bank.load(card, 10),
    "deposit": lambda bank, card: bank.deposit(card, 1),
    "take a card off the list": lambda bank, card: report_found(bank.center, card.id),
    "unlock": lambda bank, card: unlock_order(bank.center, card.id),
    "terminate": lambda bank, card: bank.terminate_order(card),
    "decide": lambda bank, card: decide(bank.center, card.id, 1, Outcome.NEVER_RECEIVED, "lost"),
    "let a check unit run": lambda bank, _: check_order(bank.center, 1, 0),
}


@pytest.mark.parametrize("act", GIVES_OUT)
def test_a_center_that_is_behind_gives_nothing_out(bank: Bank, act: str) -> None:
    aoi = bank.purse()
    bank.load(aoi, 500)
    copy = bank.copy()
    bank.reopen()
    bank.renew(aoi)
    bank.put_back(copy)
    with pytest.raises(BehindError, match=r"older copy.*saifu center recover"):
        GIVES_OUT[act](bank, aoi)


def test_a_center_that_is_behind_tells_what_it_knows_and_takes_reports(bank: Bank) -> None:
    aoi = bank.purse()
    copy = bank.copy()
    bank.reopen()
    botan = bank.purse()
    bank.put_back(copy)
    assert len(bank.center.registered()) == 2
    assert report_stolen(bank.center, aoi.id)
    assert report_stolen(bank.center, botan.id), "its serial is known to have been given out"
    with pytest.raises(RefusedError, match="not in this center's registry"):
        report_stolen(bank.center, CardId.of(1, botan.id.serial + 1))
    assert listed(bank.center) == {aoi.id, botan.id}


@pytest.mark.parametrize(
    ("files", "kind"),
    [((), "folder older"), (("center.sqlite",), "database older"), (("center.sqlite", "witness"), "folder older")],
)
def test_what_is_older_is_named(bank: Bank, files: tuple[str, ...], kind: str) -> None:
    copy = bank.copy()
    bank.reopen()
    bank.purse()
    bank.put_back(copy, *files)
    assert kinds(bank) == [kind]
    bank.reopen()
    assert kinds(bank) == [kind], "it is found once"


def test_a_copy_that_is_as_new_as_the_center_is_no_older_one(bank: Bank) -> None:
    bank.purse()
    bank.put_back(bank.copy())
    assert bank.center.allot(Role.PERSON, "Botan").serial == 3


def test_the_witness_in_the_folder_is_made_again(bank: Bank) -> None:
    copy = bank.copy()
    bank.reopen()
    bank.purse()
    bank.put_back(copy, "witness")
    assert kinds(bank) == []
    (bank.folder / "witness").unlink()
    bank.reopen()
    database = bank.copy("another")
    bank.reopen()
    bank.purse()
    bank.put_back(database, "center.sqlite")
    assert kinds(bank) == ["database older"]


def test_without_its_witness_a_center_does_not_know_whether_it_is_current(bank: Bank) -> None:
    bank.lose_witness()
    bank.reopen()
    assert kinds(bank) == ["witness missing"]
    with pytest.raises(BehindError, match="is not there"):
        bank.center.allot(Role.PERSON, "Aoi")


def test_a_witness_that_is_an_older_copy_does_not_speak_for_the_center(bank: Bank) -> None:
    witness = bank.center.witnesses.outer.path
    older = witness.read_bytes()
    bank.purse()
    witness.write_bytes(older)
    bank.reopen()
    assert kinds(bank) == ["witness older"]


def test_a_center_that_runs_finds_out_too(bank: Bank) -> None:
    """Somebody works with a copy of the folder at the same time: one of both goes on."""
    other = Bank.__new__(Bank)
    other.__dict__.update(bank.__dict__, folder=bank.copy())
    other.reopen()
    bank.reopen()
    bank.purse()
    with pytest.raises(BehindError, match="older copy"):
        other.center.allot(Role.PERSON, "Aoi")
    assert kinds(other) == ["folder older"]


def test_a_transaction_that_was_cut_before_its_commit_is_no_loss(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    announce = bank.center.witnesses.announce

    def cut_after(known: Marks) -> None:
        announce(known)
        raise StoreError("the power is cut")

    monkeypatch.setattr(bank.center.witnesses, "announce", cut_after)
    with pytest.raises(StoreError, match="cut"):
        bank.center.allot(Role.PERSON, "Aoi")
    bank.reopen()
    assert kinds(bank) == []
    assert bank.center.allot(Role.PERSON, "Aoi").serial == 2


# --- the float ---------------------------------------------------------------------------------------------


def test_an_old_float_pays_nothing_out(bank: Bank) -> None:
    aoi = bank.purse()
    older = (bank.folder / "float.card").read_bytes()
    bank.load(aoi, 500)
    newest = (bank.folder / "float.card").read_bytes()
    (bank.folder / "float.card").write_bytes(older)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"older copy.*--lost-float"):
            bank.load(aoi, 500)
    assert aoi.balance == 500
    (bank.folder / "float.card").write_bytes(newest)
    bank.load(aoi, 500)
    assert (bank.held, aoi.balance) == (ISSUED - 1000, 1000)


def unwatched(bank: Bank, purse: Purse, amount: int) -> None:
    """A payment out of the float's image that the center does not hear of."""
    slot = ModelSlot("thief", path=bank.folder / "float.card")
    session, paid = PurseSession(slot.connect()), purse.session()
    session.settle(paid.receive(session.pay(paid.request(amount, session.card, bank.time), bank.time), bank.time))
    slot.close()


def test_an_old_float_that_went_another_way_is_refused(bank: Bank) -> None:
    aoi, botan, image = bank.purse(), bank.purse(), bank.folder / "float.card"
    older = image.read_bytes()
    bank.load(aoi, 500)
    image.write_bytes(older)
    unwatched(bank, botan, 300)
    with pytest.raises(StoreError, match="older copy, or another card"):
        bank.load(aoi, 1)


def test_a_float_that_is_further_shows_that_the_database_is_older(bank: Bank) -> None:
    aoi = bank.purse()
    for _ in range(2):
        unwatched(bank, aoi, 100)
    with pytest.raises(BehindError, match="knows 0 records of the float, which has 2"):
        bank.load(aoi, 1)
    assert kinds(bank) == ["float ahead"]


def test_a_movement_that_was_cut_before_it_was_written_down_is_no_loss(bank: Bank) -> None:
    """The float's image has it, and nobody has the value: it waits on the float, to be given again."""
    aoi = bank.purse()
    unwatched(bank, aoi, 100)
    bank.load(aoi, 50)
    assert (bank.held, aoi.balance) == (ISSUED - 150, 150)


def test_a_value_leaves_the_center_after_it_was_written_down(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    aoi = bank.purse()

    def full(_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(bank.center.witnesses, "announce", full)
    with pytest.raises(OutcomeUnknownError, match="could not be written down: the disk is full"):
        bank.load(aoi, 100)
    assert (bank.held, aoi.balance) == (ISSUED - 100, 0)
    monkeypatch.undo()
    bank.load(aoi, 1)


# --- what cards and terminals show ---------------------------------------------------------------------------


def as_old_as_the_copy(bank: Bank, act: Callable[[], object]) -> None:
    """Everything is put back after an act, the witness too: nothing but the world outside can tell."""
    witness = bank.center.witnesses.outer.path
    copy, told = bank.copy(), witness.read_bytes()
    bank.reopen()
    act()
    witness.write_bytes(told)
    bank.put_back(copy)
    assert kinds(bank) == []


def test_a_card_whose_credit_was_not_given_out_shows_it(bank: Bank) -> None:
    aoi = bank.purse()
    as_old_as_the_copy(bank, lambda: bank.renew(aoi))
    with pytest.raises(BehindError, match="was given credit 2"):
        bank.renew(aoi)
    assert kinds(bank) == ["credit"]


def test_a_card_that_was_not_certified_shows_it(bank: Bank) -> None:
    made: list[Purse] = []
    as_old_as_the_copy(bank, lambda: made.append(bank.purse()))
    with pytest.raises(BehindError, match="was certified, and this database does not know"):
        bank.renew(made[0])
    assert kinds(bank) == ["certificate"]
    assert report_stolen(bank.center, made[0].id), "its serial was given out"


def test_a_card_carries_the_head_of_an_edition_that_was_not_published(bank: Bank) -> None:
    aoi = bank.purse()
    as_old_as_the_copy(bank, lambda: aoi.session().put_date(publish(bank.center).head))
    with pytest.raises(BehindError, match="edition 1 was published"):
        bank.renew(aoi)
    with pytest.raises(BehindError):
        publish(bank.center)


def test_a_terminal_carries_it_too(bank: Bank) -> None:
    aoi = bank.purse()
    published: list[Edition] = []
    as_old_as_the_copy(bank, lambda: published.append(publish(bank.center)))
    with pytest.raises(BehindError, match="edition 1 was published"):
        renew(aoi.session(), bank.line, bank.time, published[0].head)


def test_the_word_of_a_card_alone_does_not_stop_the_center(bank: Bank) -> None:
    """What it shows must be signed by the center: or one broken card could stop all others."""
    aoi, botan = bank.purse(), bank.purse()
    told = shown(aoi.session())
    liar = private_key(bytes(40))
    credit = Signed.make(replace(told.credit.body, serial=9, seen=9), liar)
    head = Signed.make(Head(2, 1, 9, bank.time, bank.time, 0, bytes(24)), liar)
    begin_renewal(bank.center, Shown(told.certificate, credit, head))
    unknown = replace(told.certificate.body, subject=CardId.of(1, 77))
    with pytest.raises(RefusedError, match="no certificate of this center"):
        begin_renewal(bank.center, Shown(Signed.make(unknown, liar), told.credit, None))
    assert kinds(bank) == []
    bank.renew(botan)


def test_an_unlocked_card_names_an_edition_that_is_still_to_come(bank: Bank) -> None:
    """An order to unlock names the next edition: that is no loss."""
    aoi = bank.purse()
    report_stolen(bank.center, aoi.id)
    bank.lock(aoi)
    report_found(bank.center, aoi.id)
    aoi.session().unlock(bank.line.unlock_order(aoi.id))
    bank.renew(aoi)
    assert publish(bank.center).number == 2
    assert kinds(bank) == []


def test_nothing_is_signed_but_in_the_centers_order(bank: Bank) -> None:
    with bank.center.session() as session, pytest.raises(RuntimeError, match="in its order"):
        bank.center.sign(session, CheckOrder(2, 1, 0))
    signs = re.compile(r"keys\.(sign|orders|certification)\b")
    files = [path for path in (Path(__file__).parents[2] / "center").glob("*.py") if path.name != "keys.py"]
    signing = {path.name for path in files if signs.search(path.read_text("utf-8"))}
    assert signing == {"center.py", "editions.py", "evidence.py"}, "the two others make a head, and verify"
