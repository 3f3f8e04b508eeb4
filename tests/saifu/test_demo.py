"""The demo: its document, its picture, and that it notices when a rule of the card is broken."""

import re
from collections.abc import Callable
from xml.etree import ElementTree

import pytest

import center.renewal
from apdu.commands import Ins
from apdu.messages import Value
from apdu.proof import Proof
from apdu.response import ResponseApdu
from applet_model import credit, purse
from applet_model.card_state import CardState
from applet_model.dispatch import HANDLERS
from host.terminal import blacklist_store, terminal
from tests.saifu.shell import Ran, Shell

_ALL = (
    "set_up|load|remit|insertion_check|pos_sale|pos_too_little|pin_sum|torn_transfer|credit_expired|credit_renewed|"
    "theft_reported|edition_published|listed_card|rogue_terminal|unlock"
)
STORY = _ALL.split("|")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The demo as JSON, with a picture, in a process of its own; made once."""
    shell = Shell(tmp_path_factory.mktemp("demo"))
    ran = shell.process("demo", "--json", "--svg", "demo.svg")
    assert (ran.code, ran.err) == (0, "")
    return Ran(0, ran.out, (shell.folder / "demo.svg").read_text("utf-8"))


def test_the_document(told: Ran) -> None:
    document = told.document
    assert document.keys() == {"steps", "value", "ok"}
    assert document["ok"] is True
    assert [step["name"] for step in document["steps"]] == STORY
    assert all(step["ok"] is True for step in document["steps"])
    assert {step["figure"] for step in document["steps"]} >= {"2", "3", "5", "7"}


def test_the_money_is_all_there(told: Ran) -> None:
    value = told.document["value"]
    assert value.keys() == {"issued", "balances", "unsettled", "conserved"}
    assert value["conserved"] is True
    assert value["issued"] == 320_00 == sum(value["balances"].values()) + value["unsettled"]
    assert len(value["balances"]) == 3


def test_every_refusal_was_a_real_one(told: Ran) -> None:
    steps = {step["name"]: step for step in told.document["steps"]}
    assert "too little" in steps["pos_too_little"]["refused"]
    assert "9502" in steps["credit_expired"]["refused"]
    assert "is listed: it is locked out" in steps["listed_card"]["refused"]
    assert len(steps["rogue_terminal"]["refused"]) == 2
    assert all("950E" in said for said in steps["rogue_terminal"]["refused"])
    assert steps["torn_transfer"]["unsettled_between"] == 5_00
    assert steps["pin_sum"]["pin_asked"] == [0, 0, 0, 1, 0]


def test_the_picture_shows_the_story(told: Ran) -> None:
    picture = ElementTree.fromstring(told.err)
    assert picture.tag.endswith("svg")
    text = "".join(picture.itertext()).replace("\xa0", " ")
    for said in ("S107", "S205", "S311", "is listed: it is locked out", "all as it must be"):
        assert said in text


def test_people_see_the_steps_of_the_patent(empty: Shell) -> None:
    ran = empty.good("demo")
    for step in ("S101", "S107", "S108", "S110", "S201", "S205", "S301", "S310", "S311", "S312", "S313"):
        assert re.search(rf"\b{step}\b", ran.out), step
    assert ran.out.count("the PIN is wanted: 147.50 EUR were paid without it") == 1
    assert re.search(r"15 steps, in process: all as it must be", ran.out)


def test_it_leaves_nothing_behind(empty: Shell) -> None:
    before = empty.files()
    empty.good("demo")
    assert empty.files() == before


# --- broken on purpose -------------------------------------------------------------------------------------

Break = Callable[[pytest.MonkeyPatch], None]


class AnyRoot(bytes):
    """A root that is equal to every other."""

    def __eq__(self, _other: object) -> bool:
        return True

    __hash__ = bytes.__hash__


def lock_out_takes_any_proof(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Proof, "lists", lambda *_: True)
    patch.setattr(Proof, "root", lambda *_: AnyRoot())


def credit_is_not_checked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(credit, "check", lambda *_: None)


def pay_takes_no_money_off(patch: pytest.MonkeyPatch) -> None:
    take_off = purse._take_off

    def keep(card: CardState, place: int, value: Value, signed: bytes, point: bytes, now: int) -> None:
        before = card.cells.balance.number()
        take_off(card, place, value, signed, point, now)
        with card.cells.memory.transaction() as tx:
            tx.put(card.cells.balance, before)

    patch.setattr(purse, "_take_off", keep)


def receive_credits_double(patch: pytest.MonkeyPatch) -> None:
    close = purse._close

    def twice(card: CardState, value: Value, now: int, accept: bool) -> bool:
        credited = close(card, value, now, accept)
        with card.cells.memory.transaction() as tx:
            tx.put(card.cells.balance, card.cells.balance.number() + value.amount)
        return credited

    patch.setattr(purse, "_close", twice)


def receive_takes_nothing(patch: pytest.MonkeyPatch) -> None:
    close = purse._close
    patch.setattr(purse, "_close", lambda card, value, now, _accept: close(card, value, now, False))


def lock_out_does_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(HANDLERS, Ins.LOCK_OUT, HANDLERS[Ins.PUT_DATE])


def unlock_does_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(HANDLERS, Ins.UNLOCK, lambda *_: ResponseApdu())


def the_list_is_not_looked_at(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(blacklist_store.BlacklistStore, "__contains__", lambda *_: False)


def the_center_renews_listed_cards(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(center.renewal, "_refuse_listed", lambda *_: None)


def nothing_is_resumed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(terminal.Terminal, "finish_torn", lambda *_: [])


BREAKS: dict[Break, str] = {
    lock_out_takes_any_proof: "rogue_terminal",
    credit_is_not_checked: "credit_expired",
    pay_takes_no_money_off: "load",
    receive_credits_double: "load",
    receive_takes_nothing: "load",
    lock_out_does_nothing: "listed_card",
    unlock_does_nothing: "unlock",
    the_list_is_not_looked_at: "edition_published",
    the_center_renews_listed_cards: "theft_reported",
    nothing_is_resumed: "torn_transfer",
}


@pytest.mark.parametrize("broken", BREAKS, ids=lambda broken: broken.__name__)
def test_a_broken_rule_is_seen_at_its_step(empty: Shell, monkeypatch: pytest.MonkeyPatch, broken: Break) -> None:
    with monkeypatch.context() as patch:
        broken(patch)
        ran = empty.run("demo", "--json")
    assert ran.code == 1, ran
    document = ran.document
    assert document["ok"] is False
    last = document["steps"][-1]
    assert (last["name"], last["ok"]) == (BREAKS[broken], False)
    assert all(step["ok"] for step in document["steps"][:-1])


def test_people_are_told_which_step_is_broken(empty: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        credit_is_not_checked(patch)
        ran = empty.run("demo")
    assert ran.code == 1
    assert "NOT AS IT MUST BE: a card without valid credit did business" in ran.out
    assert "8 steps, in process: NOT AS IT MUST BE" in ran.out
