"""Chains and answers in pieces are joined; nothing that was said is lost, whatever the bytes are."""

from hypothesis import given
from hypothesis import strategies as st

from apdu.trace.inspector import inspect
from apdu.trace.model import Exchange, Item, Remark, Reset
from apdu.trace.whole import MOST_SLOTS, whole

MORE, AGAIN, OK = b"\x61\x10", b"\x6c\x04", b"\x90\x00"
SELECT, FETCH = bytes.fromhex("00A4040006F0534149465500"), bytes.fromhex("00C0000000")
COMMANDS = st.sampled_from(
    [SELECT, FETCH, bytes.fromhex("00CA010000"), bytes.fromhex("00CA010004"), bytes.fromhex("903E000002AABB")]
) | st.binary(max_size=8)
ANSWERS = st.none() | st.sampled_from([MORE, AGAIN, OK, b"\1\2" + MORE]) | st.binary(max_size=6)
SLOTS = st.sampled_from(["", "a"])
ITEMS = st.lists(
    st.builds(Exchange, COMMANDS, ANSWERS, SLOTS) | st.builds(Reset, st.just(b""), SLOTS) | st.just(Remark("said"))
)


def joined(*items: Item) -> list[tuple[int, Item]]:
    return [(each.number, each.item) for each in whole(inspect(items))]


def test_an_answer_in_pieces_is_one() -> None:
    pieces = Exchange(SELECT, b"\1" + MORE, "s", 1.0, 0.25), Exchange(FETCH, b"\2" + OK, "s", 2.0, 0.5)
    assert joined(*pieces) == [(1, Exchange(SELECT, b"\1\2" + OK, "s", 1.0, 0.75))]


def test_slots_do_not_wait_for_each_other() -> None:
    first, other = Exchange(SELECT, MORE, "s"), Exchange(SELECT, OK, "t")
    assert joined(first, other, Exchange(FETCH, b"\2" + OK, "s")) == [
        (2, other),
        (1, Exchange(SELECT, b"\2" + OK, "s")),
    ]


def test_a_command_that_comes_again_with_another_le_is_one() -> None:
    again = Exchange(bytes.fromhex("00CA010004"), b"abcd" + OK)
    assert joined(Exchange(bytes.fromhex("00CA010000"), AGAIN), again) == [(1, again)]


def test_a_chain_is_one_command() -> None:
    parts = [
        Exchange(bytes.fromhex(text), OK)
        for text in ("903E000002AABB", "903E000001CC", "803E000002DDEE")
    ]  # fmt: skip
    assert joined(*parts) == [(1, Exchange(bytes.fromhex("803E000005AABBCCDDEE"), OK))]


def test_a_long_chain_becomes_an_extended_command() -> None:
    part = bytes.fromhex("903E0000FF") + bytes(255)
    ((_, item),) = joined(Exchange(part, OK), Exchange(bytes.fromhex("803E000001FF"), OK))
    assert isinstance(item, Exchange)
    assert item.command == bytes.fromhex("803E0000000100") + bytes(255) + b"\xff"


def test_what_nothing_follows_stays_as_it_is() -> None:
    chain, answer = Exchange(bytes.fromhex("903E000002AABB"), OK), Exchange(SELECT, MORE)
    assert joined(chain, Exchange(SELECT, OK)) == [(1, chain), (2, Exchange(SELECT, OK))]
    assert joined(answer, Reset(), chain) == [(1, answer), (2, Reset()), (3, chain)]


def test_a_reset_ends_only_its_own_slot() -> None:
    first = Exchange(SELECT, MORE, "s")
    assert joined(first, Reset(b"", "t"), Exchange(FETCH, OK, "s")) == [
        (2, Reset(b"", "t")),
        (1, Exchange(SELECT, OK, "s")),
    ]


def test_not_all_slots_can_wait() -> None:
    waiting = [Exchange(SELECT, MORE, str(slot)) for slot in range(MOST_SLOTS + 1)]
    assert joined(*waiting) == [(number, item) for number, item in enumerate(waiting, 1)]


@given(ITEMS)
def test_every_byte_of_an_answer_stays(items: list[Item]) -> None:
    found = list(whole(inspect(items)))
    assert len({each.number for each in found}) == len(found)
    assert [each.item for each in found if isinstance(each.item, Reset)] == [
        each for each in items if isinstance(each, Reset)
    ]
    said = sum(len(each.response or b"") for each in items if isinstance(each, Exchange))
    kept = sum(len(each.item.response or b"") for each in found if isinstance(each.item, Exchange))
    lost = sum(each.response[-2:] in (MORE, AGAIN) for each in items if isinstance(each, Exchange) and each.response)
    assert said - 8 * lost <= kept <= said
