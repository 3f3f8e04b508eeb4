"""Each rule is shown a real exchange that was spoiled so that it breaks it, and is silent on the unspoiled trace."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from apdu.command import CommandApdu
from apdu.commands import Ins
from apdu.identity import CardId
from apdu.messages import Refusal, Signed, TerminateOrder, UnlockOrder, Value
from apdu.payload import Tag, pack, unpack
from apdu.trace import expectations as rules
from apdu.trace import expectations_commands as of
from apdu.trace.model import Exchange, Item, Reset
from host.session import PurseSession
from saifu.example_purses import scenes
from tests.apdu.trace.taped import Tape, altered, answered, exchange, last, pay, unexpected
from tests.issuer import FAR, NOW, PIN, Issuer

ISSUER = Issuer()
OK = b"\x90\x00"
FIRST, SECOND, THIRD = (ISSUER.id(serial) for serial in (1, 2, 3))


def number(value: int) -> bytes:
    return value.to_bytes(4)


def scene(name: str) -> list[Item]:
    return [Exchange(each.command, each.answer, each.card) for each in scenes()[name]]


def wide(*more: Callable[[PurseSession, PurseSession], object]) -> list[Item]:
    """A float and a person, powered and selected; parameters read, two payments; then more."""
    tape = Tape()
    rich, small = ISSUER.purse(1, initial=10_000), ISSUER.purse(2, pin_above=100, pin_sum=200)
    source, person = (tape.put(slot, name).session() for slot, name in ((rich, "left"), (small, "right")))
    source.get_parameters()
    person.get_parameters()
    pay(source, person, 1_250)
    pay(source, person, 2_345)
    for each in more:
        each(source, person)
    assert unexpected(tape.items) == []
    return tape.items


def select(_: PurseSession, person: PurseSession) -> None:
    person.select()


def counters(_: PurseSession, person: PurseSession) -> None:
    person.get_counters()


def attest(_: PurseSession, person: PurseSession) -> None:
    person.attest(bytes(16))


def lock_out(_: PurseSession, person: PurseSession) -> None:
    edition = ISSUER.edition(7, 2)
    person.lock_out(edition.head, edition.tree.prove(2))


def unlock(_: PurseSession, person: PurseSession) -> None:
    person.unlock(Signed.make(UnlockOrder(2, SECOND, 9), ISSUER.orders))


def pay_back(source: PurseSession, person: PurseSession) -> None:
    person.verify(PIN)
    pay(person, source, 300)


def spend_the_sum(source: PurseSession, person: PurseSession) -> None:
    """Three payments of as much as needs no PIN, the last one with it: the sum allows two."""
    person.get_counters()
    for last_one in (False, False, True):
        if last_one:
            person.verify(PIN)
        pay(person, source, 100)


def pay_once(source: PurseSession, person: PurseSession) -> None:
    pay(source, person, 500)


def request(source: PurseSession, person: PurseSession) -> None:
    person.request(700, source.card, NOW)


def give_again(source: PurseSession, person: PurseSession) -> None:
    source.pay(person.request(500, source.card, NOW), NOW)
    source.settle(person.receive(source.give_again(3), NOW))


def refuse(source: PurseSession, person: PurseSession) -> None:
    value = source.pay(person.request(500, source.card, NOW), NOW)
    person.request(600, source.card, NOW)
    person.receive(value, NOW)
    person.receive(value, NOW)


def without(items: list[Item], ins: Ins) -> list[Item]:
    """The same trace, from which the last such command is missing."""
    at = last(items, ins)
    return [*items[:at], *items[at + 1 :]]


def with_command(items: list[Item], ins: Ins, command: bytes) -> list[Item]:
    at = last(items, ins)
    return [*items[:at], replace(exchange(items, at), command=command), *items[at + 1 :]]


def again(items: list[Item], ins: Ins) -> list[Item]:
    """The last such exchange happens once more at the end."""
    return [*items, exchange(items, last(items, ins))]


def status(items: list[Item], balance: int, new: int) -> list[Item]:
    return altered(items, Ins.SELECT, number(balance), number(new))


def swap(items: list[Item], ins: Ins, old: CardId, new: CardId) -> list[Item]:
    return altered(items, ins, old, new)


def send(ins: Ins, objects: dict[Tag, bytes]) -> bytes:
    return CommandApdu(0x80, ins, 0, 0, pack(objects)).encode()


def receipt_for_other(items: list[Item]) -> list[Item]:
    """A refusal of the last RECEIVE becomes a receipt."""
    answer = exchange(items, last(items, Ins.RECEIVE)).response
    assert answer is not None
    return answered(items, Ins.RECEIVE, b"\x88" + answer[1:2] + b"\xa2" + answer[3:])


def only_last_receive(items: list[Item]) -> list[Item]:
    """Of two RECEIVE the first is missing."""
    at = last(items, Ins.RECEIVE)
    first = last(items[:at], Ins.RECEIVE)
    return [*items[:first], *items[first + 1 :]]


def settled_by_another(items: list[Item]) -> list[Item]:
    """The last receipt that SETTLE takes is of another payee."""
    command = exchange(items, last(items, Ins.SETTLE)).command
    return with_command(items, Ins.SETTLE, command.replace(number(2) + SECOND, number(2) + THIRD))


def unselected(items: list[Item]) -> list[Item]:
    return [*items[: last(items, Ins.REQUEST)], Reset(b"", "right"), *items[last(items, Ins.REQUEST) :]]


BLOCK = CommandApdu(0x80, Ins.STORE_DATA, 0x08, 0, bytes.fromhex("01010100")).encode()

BREAKS: list[tuple[rules.Rule, Callable[[], list[Item]], str]] = [
    (rules.unlisted_status, lambda: answered(wide(), Ins.SETTLE, b"\x95\x04"), "lists no 9504 for SETTLE"),
    (rules.unlisted_status, lambda: answered(wide(), Ins.PAY, b"\x63\xc2"), "lists no 63C2 for PAY"),
    (rules.data_with_error, lambda: answered(wide(), Ins.SETTLE, b"\0\x6a\x88"), "1 bytes came with the error 6A88"),
    (rules.unasked_data, lambda: answered(wide(), Ins.SETTLE, b"\0" + OK), "SETTLE answers with none"),
    (rules.flawed_answer, lambda: answered(wide(), Ins.PAY, OK), "object CERTIFICATE (85) is missing"),
    (rules.flawed_answer, lambda: answered(wide(), Ins.RECEIVE, OK), "0 objects are there, not one"),
    (rules.flawed_answer, lambda: altered(wide(select), Ins.SELECT, b"\x05\0\0", b"\x07\0\0"), "07 is no state"),
    (rules.accepted_header, lambda: with_command(wide(counters), Ins.GET_DATA, bytes.fromhex("00CA0102020000")),
     "P1 P2 0102 and 2 bytes"),
    (rules.accepted_nonsense, lambda: with_command(wide(), Ins.SETTLE, bytes.fromhex("80360000028800")),
     "the command's data do not parse"),
    (rules.wrong_state, lambda: [*wide(lock_out), exchange(wide(request), last(wide(request), Ins.REQUEST))],
     "though the card is locked out"),
    (rules.not_selected, lambda: unselected(wide(request)), "before the purse was selected"),
    (rules.without_channel, lambda: [*scene("personalization")[:1], Exchange(BLOCK, OK, "payer")],
     "STORE DATA was accepted without a secure channel"),
    (rules.other_card, lambda: swap(wide(request), Ins.REQUEST, SECOND, THIRD),
     "of card 00001-0000000003-2, and 00001-0000000002-4 was"),
    (rules.card_changed, lambda: swap(wide(select), Ins.SELECT, SECOND, THIRD), "the card was not reset"),
    (rules.state_moved, lambda: answered(wide(lock_out, select), Ins.LOCK_OUT, b"\x95\x0e"),
     "is locked out, and was active"),
    (rules.state_moved, lambda: without(wide(lock_out, unlock, select), Ins.UNLOCK), "is active, and was locked out"),
    (rules.does_not_follow, lambda: status(wide(select), 3_595, 3_594), "the balance is 35.94 EUR, and by what was"),
    (rules.does_not_follow, lambda: altered(wide(counters), Ins.GET_DATA, b"\0\0\0\x02\0", b"\0\0\0\x03\0"),
     "the request number is 3, and by what was seen it is 2"),
    (rules.goes_back, lambda: altered(wide(lock_out, select), Ins.SELECT, number(7), number(6)),
     "the edition goes back from 7 to 6"),
    (of.other_request, lambda: altered(wide(request), Ins.REQUEST, number(700), number(701)), "another amount"),
    (of.request_number_repeats, lambda: altered(wide(request), Ins.REQUEST, b"\x12\0\0\0\x03", b"\x12\0\0\0\x02"),
     "request number 2 does not come after 2"),
    (of.nonce_repeats, lambda: again(wide(request), Ins.REQUEST), "was in a request of 00001-0000000002-4 before"),
    (of.other_value, lambda: altered(wide(), Ins.PAY, number(2_345), number(2_344)), "another amount"),
    (of.payment_counter_repeats, lambda: altered(wide(), Ins.PAY, FIRST + number(2), FIRST + number(1)),
     "payment counter 1 does not come after 1"),
    (of.paid_without_pin, lambda: without(wide(pay_back), Ins.VERIFY), "3.00 EUR was paid without the PIN"),
    (of.paid_without_pin, lambda: without(wide(spend_the_sum), Ins.VERIFY),
     "3.00 EUR in all were paid without the PIN, wanted above 2.00 EUR"),
    (rules.does_not_follow, lambda: altered(wide(pay_back, counters), Ins.GET_DATA, b"\0\x90\0", b"\1\x90\0"),
     "the sum paid without the PIN is 0.01 EUR, and by what was seen it is 0.00 EUR"),
    (of.paid_too_much, lambda: status(wide(lambda source, _: source.select(), pay_once), 6_405, 400), "from 4.00 EUR"),
    (of.other_counter, lambda: altered(wide(give_again), Ins.GIVE_AGAIN, FIRST + number(3), FIRST + number(2)),
     "another counter"),
    (of.other_challenge, lambda: altered(wide(attest), Ins.ATTEST, SECOND + bytes(16), SECOND + bytes(15) + b"\1"),
     "another challenge"),
    (of.other_receipt, lambda: altered(wide(), Ins.RECEIVE, FIRST + number(2), FIRST + number(1)), "another counter"),
    (of.receipt_and_refusal, lambda: receipt_for_other(wide(refuse)), "a receipt for a value that had a refusal"),
    (of.receipt_without_request, lambda: receipt_for_other(only_last_receive(wide(refuse))),
     "a receipt for request 3, and request 4 is open"),
    (of.nothing_to_settle, lambda: again(wide(), Ins.SETTLE), "with counter 2 was settled before"),
    (of.settled_for_another, lambda: settled_by_another(wide()),
     "accepted from 00001-0000000003-2, and the value was for 00001-0000000002-4"),
    (of.older_accepted, lambda: [*wide(lock_out, unlock), Exchange(
        send(Ins.PUT_DATE, {Tag.HEAD: ISSUER.edition(8, 5).head.raw}), OK, "right")], "edition 8 was accepted"),
    (of.older_accepted, lambda: again(wide(lambda _, person: person.put_credit(ISSUER.credit(2, 2))), Ins.PUT_CREDIT),
     "credit 2 was accepted, and the card had 2"),
    (of.challenge_repeats, lambda: again(scene("personalization")[:2], Ins.INITIALIZE_UPDATE), "was used before"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "spoiled", "words"), BREAKS)
def test_a_rule_bites(rule: rules.Rule, spoiled: Callable[[], list[Item]], words: str) -> None:
    found = unexpected(spoiled())
    assert rule in rules.RULES
    assert any(words in text for text in found), found


def test_every_rule_is_shown_to_bite() -> None:
    assert {rule for rule, _, _ in BREAKS} == set(rules.RULES)


@pytest.mark.parametrize("rule", rules.RULES)
def test_only_its_rule_says_so(rule: rules.Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the rule taken out, its words are gone: no other rule covers for one that has gone blind."""
    cases = [(spoiled, words) for each, spoiled, words in BREAKS if each is rule]
    for name in ("_ANY", "_READABLE"):
        monkeypatch.setattr(rules, name, tuple(each for each in getattr(rules, name) if each is not rule))
    for name in ("_SEALED", "_FULL"):
        table = {ins: tuple(each for each in kept if each is not rule) for ins, kept in getattr(rules, name).items()}
        monkeypatch.setattr(rules, name, table)
    for spoiled, words in cases:
        assert not any(words in text for text in unexpected(spoiled()))


# --- half said and left open ----------------------------------------------------------------------------------


def test_no_answer_stands_out() -> None:
    assert unexpected(answered(wide(), Ins.SETTLE, None)) == [rules.NO_ANSWER]
    assert unexpected(answered(wide(), Ins.SETTLE, b"\x90")) == ["an answer without a status word"]


def test_get_response_without_an_announcement_stands_out() -> None:
    items = [*wide(), Exchange(bytes.fromhex("00C0000000"), b"\x69\x85", "right")]
    assert unexpected(items) == ["nothing was announced that could be fetched"]


def test_an_answer_that_nobody_fetches_stands_out_at_the_next_command_or_the_end() -> None:
    items = wide(attest)
    cut = items[: last(items, Ins.ATTEST) + 1]
    told = "the answer of ATTEST was not fetched to its end"
    assert unexpected(cut) == [f"right: {told}"]
    assert unexpected([*cut, Exchange(bytes.fromhex("00CA010700"), b"\x6a\x88", "right")])[0] == told


def test_a_value_without_an_answer_stands_out_at_the_end_and_with_one_it_does_not() -> None:
    items = wide()
    paid, received = last(items, Ins.PAY) + 1, last(items, Ins.RECEIVE) + 1
    assert unexpected(items[:paid]) == [
        "no receipt, refusal or settlement for the value with counter 2 of 00001-0000000001-6: "
        "23.45 EUR for 00001-0000000002-4"
    ]
    assert unexpected(items[:received]) == []
    assert unexpected([*items[:paid], items[-1]]) == []


def test_a_request_that_is_left_open_is_nothing_special() -> None:
    assert unexpected(wide(request)) == []


def test_cards_may_meet_in_one_slot_one_after_the_other() -> None:
    tape, source, person = Tape(), ISSUER.purse(1, initial=10_000), ISSUER.purse(2)
    requested = tape.put(person, "one").session().request(500, FIRST, NOW)
    value = tape.put(source, "one").session().pay(requested, NOW)
    assert len(unexpected(tape.items)) == 1
    answer = tape.put(person, "one").session().receive(value, NOW)
    assert unexpected(tape.items) == []
    tape.put(source, "one").session().settle(answer)
    assert unexpected(tape.items) == []


# --- silent where the trace does not show enough --------------------------------------------------------------


def test_between_two_resets_a_card_may_have_been_anywhere() -> None:
    items = status(wide(select), 3_595, 9_000)
    at = last(items, Ins.SELECT)
    assert unexpected([*items[:at], Reset(b"", "right"), *items[at:]]) == []


def test_a_terminated_card_is_never_anything_else() -> None:
    order = Signed.make(TerminateOrder(2, SECOND, FAR), ISSUER.orders)
    items = wide(lambda _, person: person.terminate(order, NOW))
    selected = next(each for each in items if isinstance(each, Exchange) and each.slot == "right")
    assert unexpected([*items, Reset(b"", "right"), selected]) == ["the card is active, and was terminated"]


def test_a_trace_that_begins_in_the_middle_is_silent() -> None:
    items = wide(pay_back, lock_out, unlock, attest, counters, select)
    for start in range(len(items)):
        found = unexpected(items[start:])
        assert [text for text in found if "receipt" not in text and "fetched" not in text] == [], start


def refused_before(items: list[Item], change: Callable[[Value], Value]) -> list[Item]:
    """Before the last RECEIVE, a value for the same request number with something changed is refused."""
    at = last(items, Ins.RECEIVE)
    said = exchange(items, at)
    objects = unpack(CommandApdu.decode(said.command).data, (Tag.CERTIFICATE, Tag.VALUE), (Tag.DATE,))
    other = change(replace(Signed.decode(Value, objects[Tag.VALUE]).body, counter=9))
    refusal = Refusal(other.payer, other.counter, SECOND)
    command = send(Ins.RECEIVE, objects | {Tag.VALUE: other.encode() + bytes(64)})
    answer = pack({Tag.REFUSAL: refusal.encode() + bytes(64)}) + OK
    return [*items[:at], replace(said, command=command, response=answer), *items[at:]]


CHANGES: dict[str, Callable[[Value], Value]] = {
    "nonce": lambda value: replace(value, nonce=bytes(8)),
    "amount": lambda value: replace(value, amount=499),
    "currency": lambda value: replace(value, currency=392),
    "payer": lambda value: replace(value, payer=THIRD),
}


@pytest.mark.parametrize("changed", CHANGES)
def test_a_refusal_of_another_value_leaves_the_request_open(changed: str) -> None:
    assert unexpected(refused_before(wide(pay_once, select, counters), CHANGES[changed])) == []
