"""Commands and answers taken apart: every byte once, whatever the bytes are; and the fields where they belong."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apdu.ber import encode
from apdu.command import CommandApdu
from apdu.identity import AID
from apdu.messages import ROOT_SIZE
from apdu.payload import Tag, pack
from apdu.proof import BITMAP_SIZE, Proof
from apdu.trace.detail import HEAD, VALUE, Detail, answer_detail, command_detail, leaves, lines
from apdu.trace.detection import read
from apdu.trace.model import Exchange
from apdu.trace.names import ORDER
from saifu.example_purses import scenes

VECTORS = Path(__file__).parents[2] / "vectors" / "traces"
PLAYED = [(step.command, step.answer) for scene in scenes().values() for step in scene]
PLAYED += [(step.plain.encode(), b"\x90\0") for scene in scenes().values() for step in scene if step.plain]
APPLICATION = st.sampled_from([*ORDER, "NIST"])
TEMPLATES = st.sampled_from(
    [b"\x6f", b"\x62", b"\x70", b"\x77", b"\x80", b"\x94", b"\xa5", b"\xe3", b"\x9f\x38", b"\x8c"]
)
TREES = st.recursive(
    st.binary(max_size=20),
    lambda inner: st.lists(st.tuples(TEMPLATES | st.binary(min_size=1, max_size=3), inner), max_size=4).map(
        lambda objects: b"".join(tag + bytes((min(len(value), 127),)) + value for tag, value in objects)
    ),
    max_leaves=12,
)
HEADERS = st.sampled_from([command[:4] for command, _ in PLAYED]) | st.binary(min_size=4, max_size=4)


def covers(detail: Detail, raw: bytes) -> None:
    """The leaves are the bytes, each once and in order, and every branch holds its own."""
    assert (detail.start, detail.end) == (0, len(raw))
    assert b"".join(raw[leaf.start : leaf.end] for leaf in leaves(detail)) == raw
    assert all(leaf.start < leaf.end for leaf in leaves(detail) if leaf is not detail)
    branches = [detail]
    while branches:
        branch = branches.pop()
        at = branch.start
        for child in branch.children:
            assert child.start == at
            at = child.end
        assert not branch.children or at == branch.end
        branches += branch.children
    shown = list(lines(detail, raw))
    assert bytes.fromhex("".join(line[:47] for line in shown)) == raw


def check(command: bytes, response: bytes, application: str) -> None:
    covers(command_detail(command, application), command)
    covers(answer_detail(command, response, application), response)


def find(detail: Detail, *path: str) -> Detail:
    """The part at a path of labels."""
    for label in path:
        detail = next(child for child in detail.children if child.label == label)
    return detail


@given(st.binary(max_size=300), st.binary(max_size=300), APPLICATION)
def test_any_bytes_have_a_tree(command: bytes, response: bytes, application: str) -> None:
    check(command, response, application)


@given(HEADERS, TREES, TREES, APPLICATION)
def test_any_objects_have_a_tree(header: bytes, data: bytes, answer: bytes, application: str) -> None:
    body = bytes((len(data[:255]),)) + data[:255] if data else b""
    check(header + body, answer + b"\x90\0", application)


@given(st.sampled_from(PLAYED), st.integers(0), st.integers(0, 255), st.booleans(), APPLICATION)
def test_damaged_exchanges_have_a_tree(
    played: tuple[bytes, bytes], at: int, byte: int, cut: bool, application: str
) -> None:
    def damaged(raw: bytes) -> bytes:
        place = at % len(raw)
        return raw[:place] if cut else raw[:place] + bytes((byte,)) + raw[place + 1 :]

    check(damaged(played[0]), played[1], application)
    check(played[0], damaged(played[1]), application)


@pytest.mark.parametrize("application", [*ORDER, "NIST"])
def test_every_exchange_played_has_a_tree(application: str) -> None:
    for command, answer in PLAYED:
        check(command, answer, application)


@given(st.binary(min_size=1, max_size=2), st.integers(0, 8), APPLICATION)
@example(b"\x30\x80", 0, "")
def test_the_longest_answers_end(pattern: bytes, shift: int, application: str) -> None:
    raw = (pattern * 4096)[shift:] + b"\x61\0"
    covers(answer_detail(bytes.fromhex("00C0000000"), raw, application), raw)


def test_depth_is_bounded() -> None:
    raw = b""
    for _ in range(40):
        raw = encode(0x30, raw)
    answer = raw + b"\x90\0"
    detail = answer_detail(bytes.fromhex("00B0000000"), answer)
    covers(detail, answer)
    deepest, depth = detail, 0
    while deepest.children:
        deepest, depth = deepest.children[-1 if depth else 0], depth + 1
    assert 8 < depth < 15


# --- our purse ---------------------------------------------------------------------------------------------


def pay() -> tuple[Detail, Detail]:
    step = scenes()["payment"][3]
    return command_detail(step.command, "saifu"), answer_detail(step.command, step.answer, "saifu")


def test_a_payment_is_read_down_to_its_fields() -> None:
    command, answer = pay()
    assert command.words == "PAY (saifu)"
    assert [child.label for child in command.children] == ["CLA", "INS", "P1", "P2", "Lc", "data", "Le"]
    request = find(command, "data", "86 request")
    assert [child.label for child in request.children] == [HEAD, "number", "nonce", "amount", "currency"]
    assert find(request, "amount").words == "12.50 EUR"
    value = find(answer, "data", "87 value")
    assert find(value, "payer").words == "00001-0000000002-4 (the card that paid)"
    assert find(value, "amount").words == "12.50 EUR"
    assert find(value, "signature s").end == value.end
    certificate = find(answer, "data", "85 certificate")
    assert find(certificate, "role").words == "person"
    assert find(certificate, "expiry").words == "2032-01-14 08:00:00 UTC (last moment of validity)"
    assert answer.words == "9000 done"


def test_the_terminals_date_stands_at_its_place() -> None:
    command, _ = pay()
    date = find(command, "data", "82 date")
    assert date.words == "2027-01-15 08:00:00 UTC"
    assert (date.end - date.start, [child.label for child in date.children]) == (6, [HEAD, VALUE])
    assert date.end == find(command, "Le").start


def test_our_fci_has_payload_objects_in_it() -> None:
    step = scenes()["payment"][0]
    for application in ("saifu", ""):
        answer = answer_detail(step.command, step.answer, application)
        inside = find(answer, "data", "6F file control information (FCI)")
        assert find(inside, "84 DF name").words == "saifu purse"
        own = find(inside, "A5 proprietary information")
        assert find(own, "80 card id").words == "00001-0000000002-4"
        assert find(own, "81 status", "state").words == "active"


def test_a_history_record_is_read() -> None:
    step = scenes()["history"][1]
    answer = answer_detail(step.command, step.answer, "saifu")
    assert find(answer, "data", "kind").words == "received"
    assert find(answer, "data", "date").words.startswith("2027-01-15 08:00:00 UTC")
    assert find(command_detail(step.command, "saifu"), "P2").words == "file 1, record P1"


def test_unsettled_transfers_are_read_one_by_one() -> None:
    step = scenes()["resume"][2]
    answer = answer_detail(step.command, step.answer, "saifu")
    assert find(command_detail(step.command), "P1 P2").words == "object 0106: unsettled transfers"
    unsettled = find(answer, "data", "94 unsettled")
    assert [child.label for child in unsettled.children] == [HEAD, "counter", "payee", "amount"]
    two = answer_detail(step.command, pack({Tag.UNSETTLED: step.answer[2:-2] * 2}) + b"\x90\0", "saifu")
    assert len(find(two, "data", "94 unsettled").children) == 7


def test_personalization_in_clear_is_read() -> None:
    stored = [step.plain for step in scenes()["personalization"] if step.plain and step.plain.ins == 0xE2]
    details = [command_detail(plain.encode(), "saifu") for plain in stored]
    groups = [find(detail, "data").children[0] for detail in details]
    assert [group.label for group in groups] == [
        "DGI 0101 parameters",
        "DGI 0102 center key",
        "DGI 0102 center key",
        "DGI 8010 reference data",
        "DGI 0103 certificate",
        "DGI 0104 credit",
    ]
    assert find(groups[0], "transfer max").words.startswith("500.00 EUR")
    assert find(groups[1], "use").words == "certification"
    assert [child.label for child in groups[3].children] == [HEAD, VALUE]
    assert groups[3].words == "16 bytes, encrypted with the DEK"
    assert find(details[-1], "P1").words == "last block, DGIs"


def test_the_answer_to_initialize_update_is_read() -> None:
    step = scenes()["personalization"][1]
    answer = find(answer_detail(step.command, step.answer, "saifu"), "data")
    spans = {child.label: child.end - child.start for child in answer.children}
    assert spans["card challenge"] == spans["card cryptogram"] == 8
    assert find(answer, "sequence counter").words == "1"


def test_what_a_closed_channel_carries_stays_bytes_and_its_mac() -> None:
    step = scenes()["personalization"][4]
    data = find(command_detail(step.command, "saifu"), "data")
    assert [child.label for child in data.children] == ["data of the secure channel", "MAC"]


def test_a_public_key_is_read() -> None:
    answer = encode(0x7F49, encode(0x86, b"\x04" + bytes(64))) + b"\x90\0"
    detail = answer_detail(bytes.fromhex("8046800000"), answer, "saifu")
    assert find(detail, "data", "7F49 public key", "86 public point, 04 X Y").end == len(answer) - 2


def test_a_chain_is_read_as_far_as_it_goes() -> None:
    parts = [step for step in scenes()["lock out"] if step.command[1] == 0x3E]
    first, last = (command_detail(step.command, "saifu") for step in parts)
    assert find(first, "CLA").words.endswith("more of the chain follows")
    assert find(first, "data", "8C head", "edition").words.startswith("7 ")
    assert find(first, "data", "8D proof", "bitmap").words == "2 cards listed in this block"
    assert find(first, "data", "8D proof").children[-1].words == "cut off"
    assert find(last, "part of a chain").end == len(parts[1].command)


def test_a_proof_over_many_entries_keeps_its_fields() -> None:
    proof = Proof(bytes(BITMAP_SIZE), 0xFFFFFF, (b"\x11" * ROOT_SIZE,) * 24).encode()
    command = CommandApdu(0x80, 0x3E, 0, 0, pack({Tag.PROOF: proof})).encode()
    detail = command_detail(command, "saifu")
    covers(detail, command)
    inside = find(detail, "data", "8D proof").children
    assert [child.label for child in inside].count(HEAD) == 3
    assert [child.label for child in inside].count("sibling") == 26
    assert [child.words for child in inside].count("goes on") == 2


def test_words_of_our_status_are_ours() -> None:
    refused = scenes()["pin"][1]
    assert answer_detail(refused.command, refused.answer, "saifu").words.startswith("6982 security status: PIN")


# --- other cards -------------------------------------------------------------------------------------------


def answer(command: str, response: str, application: str) -> Detail:
    detail = answer_detail(bytes.fromhex(command), bytes.fromhex(response), application)
    covers(detail, bytes.fromhex(response))
    return detail


def test_an_emv_fci_is_read_with_its_list() -> None:
    inside = "8407A0000000031010A512500A564953412044454249549F38039F1A02"
    fci = find(answer("00A4040007A000000003101000", f"6F1D{inside}9000", "EMV"), "data")
    fci = find(fci, "6F file control information (FCI)")
    assert find(fci, "84 DF name").words == "Visa credit or debit"
    own = find(fci, "A5 proprietary information")
    assert find(own, "50 application label").words == '"VISA DEBIT"'
    assert find(own, "9F38 processing options list (PDOL)", "9F1A terminal country code").words == "2 bytes"


@pytest.mark.parametrize("response", ["770A82025C00940408010200", "800618000801020010010300"])
def test_processing_options_are_read_in_both_formats(response: str) -> None:
    size = 12 if response.startswith("77") else 8
    detail = answer("80A8000002830000", response[: 2 * size] + "9000", "EMV")
    entries = [leaf.words for leaf in leaves(detail) if leaf.label == "records"]
    assert entries == ["file 1, records 1 to 2, 0 of them signed"]


def test_a_cryptogram_is_read() -> None:
    detail = answer("80AE8000 00", "77149F2701809F360200059F26081122334455667788" + "9000", "EMV")
    inside = find(detail, "data", "77 response template, format 2")
    assert find(inside, "9F27 cryptogram information data").words == "ARQC: wants to go online"
    assert find(inside, "9F36 application transaction counter (ATC)").words == "5"


def test_the_registry_of_a_card_is_read() -> None:
    entry = "E3134F08A0000001510000009F700107C5039EFE80"
    inside = find(answer("80F28002024F0000", f"{entry}9000", "GlobalPlatform"), "data", "E3 registry entry")
    assert find(inside, "4F application identifier").words == "GlobalPlatform issuer security domain"
    assert find(inside, "9F70 life cycle state").words == "selectable"
    assert find(inside, "C5 privileges").words.startswith("security domain, card lock")


def test_an_installation_is_read() -> None:
    data = "05A00000006206A0000000620107A000000062010101000 2C90000".replace(" ", "")
    command = bytes.fromhex(f"80E60C00{len(data) // 2:02X}{data}")
    detail = command_detail(command, "GlobalPlatform")
    covers(detail, command)
    assert detail.words == "INSTALL [for install and make selectable] (GlobalPlatform)"
    assert [child.label for child in find(detail, "data").children] == [
        *("load file", "module", "application", "privileges", "parameters", "token")
    ]


def test_production_data_of_a_chip_are_read() -> None:
    detail = answer("80CA9F7F00", "9F7F2A" + "4790" + "00" * 40 + "9000", "GlobalPlatform")
    inside = find(detail, "data", "9F7F card production life cycle data (CPLC)")
    assert len(inside.children) == 19
    assert inside.children[1].label == "IC fabricator"


def test_secure_messaging_of_iso_is_read() -> None:
    command = bytes.fromhex("0CB000000D9701048E08112233445566778800")
    assert [child.label for child in find(command_detail(command), "data").children] == [
        "97 Le",
        "8E cryptographic checksum",
    ]


def test_a_channel_with_macs_alone_is_read() -> None:
    command = bytes.fromhex("84F240020A4F001122334455667788")
    assert [child.label for child in find(command_detail(command), "data").children] == [
        "4F application identifier",
        "MAC",
    ]


def test_objects_of_another_size_than_ours_are_not_ours_on_an_unknown_card() -> None:
    other = "8006180008010200"
    assert find(answer("00C0000000", f"{other}9000", "saifu"), "data", "80 card id").words.startswith("06144-")
    assert find(answer("00C0000000", f"{other}9000", ""), "data", "80 card id").words.startswith("06144-")
    assert find(answer("00C0000000", "8007180008010200019000", ""), "data", "80").end == 9
    assert find(answer("00C0000000", "8007180008010200019000", "saifu"), "data", "80 card id").end == 9


def test_a_pin_is_never_read_as_text() -> None:
    for header in ("00200081", "00240081", "002C0081", "80240000", "FF200001"):
        command = bytes.fromhex(header) + b"\x0812345678"
        assert not [line for line in lines(command_detail(command), command) if "1234" in line[47:]]


def test_what_is_no_object_stays_bytes_and_text() -> None:
    detail = answer("00B0000000", b"hello there".hex() + "9000", "")
    assert find(detail, "data").words == '"hello there"'
    assert find(answer("00B0000000", "0102039000", ""), "data").words == ""


def test_fields_of_the_header_have_words() -> None:
    read_binary = command_detail(bytes.fromhex("00B0012300"))
    assert find(read_binary, "P1 P2").words == "offset 291"
    assert find(command_detail(bytes.fromhex("00B0810500")), "P1").words == "file 1"
    assert find(command_detail(bytes.fromhex("90600000")), "CLA").words == "proprietary"
    assert find(command_detail(bytes.fromhex("61C00000")), "CLA").words.endswith("secure messaging, channel 5")
    assert find(command_detail(bytes.fromhex("FFCA000000")), "P1").words == "identifier of the card (UID)"
    assert find(command_detail(bytes.fromhex("00A40000023F00")), "file identifier").words == "master file"
    extended = command_detail(bytes.fromhex("00D600000000021122FFFF"))
    assert find(extended, "Lc").words == "2 bytes"
    assert find(extended, "Le").words == "up to 65535 bytes"


def test_broken_lengths_stay_visible() -> None:
    detail = command_detail(bytes.fromhex("00A4040006F0"))
    assert find(detail, "length fields that do not fit").end == 6


@pytest.mark.parametrize("file", ["gp.txt", "opensc-0.23.txt", "pcscd.txt", "gsmtap-ethernet.pcap"])
def test_other_programs_traces_are_taken_apart(file: str) -> None:
    _, items = read([(VECTORS / file).read_bytes()])
    seen = [item for item in items if isinstance(item, Exchange) and item.response is not None]
    for item in seen:
        check(item.command, item.response or b"", "")
    assert any(AID in item.command for item in seen)
