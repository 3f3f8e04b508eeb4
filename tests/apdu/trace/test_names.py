"""Names of commands, status words, applications and tags: tables that fit each other, and samples of every standard."""

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.commands import COMMANDS, Command
from apdu.identity import AID
from apdu.status import STATUS_TEXT, tries_left
from apdu.trace import names_emv, names_globalplatform, names_iso, tags_emv
from apdu.trace.applications import APPLICATIONS, Application, find_application
from apdu.trace.detail_ber import tag_name
from apdu.trace.detection import read
from apdu.trace.model import Exchange
from apdu.trace.names import ORDER, Named, name_of, status_of

VECTORS = Path(__file__).parents[2] / "vectors" / "traces"
APPLICATION = st.sampled_from([*ORDER, "NIST"])
STATUS_TABLES = (names_iso.STATUS, names_globalplatform.STATUS, names_emv.STATUS)
BY_INS_TABLES = (names_iso.STATUS_BY_INS, names_globalplatform.STATUS_BY_INS, names_emv.STATUS_BY_INS)


@pytest.mark.parametrize(("row", "application", "bits"), [*product(COMMANDS, ("", "saifu"), (0x00, 0x04, 0x10))])
def test_our_table_names_our_commands_in_clear_secured_and_chained(row: Command, application: str, bits: int) -> None:
    assert name_of(bytes((row.cla & ~0x04 | bits, row.ins, 0, 0)), application).name == row.name


@pytest.mark.parametrize(
    ("header", "application", "named"),
    [
        ("80320000", "", Named("PAY", "saifu")),
        ("80320000", "EMV", Named("CLA 80 INS 32", "")),
        ("00A40400", "saifu", Named("SELECT", "ISO 7816-4")),
        ("0CA40400", "", Named("SELECT", "ISO 7816-4")),
        ("00B00000", "", Named("READ BINARY", "ISO 7816-4")),
        ("40B10000", "", Named("READ BINARY", "ISO 7816-4")),
        ("002A9E9A", "", Named("PERFORM SECURITY OPERATION: COMPUTE DIGITAL SIGNATURE", "ISO 7816-4")),
        ("002A8086", "", Named("PERFORM SECURITY OPERATION: DECIPHER", "ISO 7816-4")),
        ("002A1234", "", Named("PERFORM SECURITY OPERATION", "ISO 7816-4")),
        ("002241B6", "", Named("MANAGE SECURITY ENVIRONMENT: SET", "ISO 7816-4")),
        ("0022F301", "", Named("MANAGE SECURITY ENVIRONMENT: RESTORE", "ISO 7816-4")),
        ("00E60000", "", Named("TERMINATE DF", "ISO 7816-4")),
        ("80E60200", "", Named("INSTALL [for load]", "GlobalPlatform")),
        ("84E60C00", "", Named("INSTALL [for install and make selectable]", "GlobalPlatform")),
        ("80E60000", "", Named("INSTALL", "GlobalPlatform")),
        ("C0F24000", "", Named("GET STATUS", "GlobalPlatform")),
        ("80CA9F36", "", Named("GET DATA", "GlobalPlatform")),
        ("80CA9F36", "EMV", Named("GET DATA", "EMV")),
        ("80A80000", "", Named("GET PROCESSING OPTIONS", "EMV")),
        ("80A80000", "GlobalPlatform", Named("CLA 80 INS A8", "")),
        ("84240000", "", Named("PIN CHANGE/UNBLOCK", "EMV")),
        ("8C1E0000", "EMV", Named("APPLICATION BLOCK", "EMV")),
        ("80E20000", "EMV", Named("STORE DATA", "GlobalPlatform")),
        ("FFCA0000", "saifu", Named("GET DATA", "PC/SC")),
        ("FF000000", "", Named("CLA FF INS 00", "")),
        ("B0140000", "", Named("CLA B0 INS 14", "")),
        ("B014", "", Named("CLA B0 INS 14", "")),
        ("002A", "", Named("PERFORM SECURITY OPERATION", "ISO 7816-4")),
        ("80E6", "", Named("INSTALL", "GlobalPlatform")),
        ("00", "", Named("CLA 00", "")),
        ("", "", Named("no command", "")),
    ],
)
def test_samples_are_named(header: str, application: str, named: Named) -> None:
    assert name_of(bytes.fromhex(header), application) == named


def test_every_listed_instruction_is_found_in_its_standard() -> None:
    listed = {"ISO 7816-4": (0x00, names_iso), "GlobalPlatform": (0x80, names_globalplatform), "EMV": (0x80, names_emv)}
    for standard, (cla, table) in listed.items():
        for ins, name in table.COMMANDS.items():
            assert name_of(bytes((cla, ins, 0, 0)), standard) == Named(name, standard)


def test_instructions_are_none_that_read_as_procedure_bytes() -> None:
    """ISO 7816-4 5.5: 6X and 9X are invalid."""
    for table in (names_iso.COMMANDS, names_globalplatform.COMMANDS, names_emv.COMMANDS):
        assert not [ins for ins in table if ins >> 4 in (0x6, 0x9)]


def test_an_odd_instruction_has_the_name_of_the_even_one() -> None:
    names = names_iso.COMMANDS
    alone = {0x33, 0xA5, 0xCF}
    assert all(names[ins] == names[ins - 1] for ins in names if ins & 1 and ins not in alone)


@given(st.binary(max_size=8), APPLICATION)
def test_any_command_has_a_name(command: bytes, application: str) -> None:
    named = name_of(command, application)
    assert named.name.isprintable()
    assert named.standard in (*ORDER, "PC/SC")
    assert (named.standard == "") == (named.name.startswith("CLA ") or named.name == "no command")


@pytest.mark.parametrize(
    ("sw", "application", "ins", "words"),
    [
        (0x9000, "", None, "done"),
        (0x6A82, "", None, "file or application not found"),
        (0x6A82, "EMV", None, "no such application or file"),
        (0x6A82, "GlobalPlatform", None, "application not found"),
        (0x6A82, "saifu", None, "no application of this name"),
        (0x6983, "EMV", 0x20, "the PIN is blocked"),
        (0x6983, "EMV", 0x88, "authentication method blocked"),
        (0x6300, "GlobalPlatform", 0x82, "authentication failed: the host cryptogram is wrong"),
        (0x6300, "", 0x20, "verification failed"),
        (0x6310, "", None, "done; there is more to ask for"),
        (0x6310, "EMV", None, "warning, memory changed, not specified"),
        (0x9504, "", None, "too little money"),
        (0x9504, "EMV", None, "a word of the application, not known here"),
        (0x63C2, "EMV", None, "wrong; 2 tries left"),
        (0x6C08, "", None, "wrong Le: exactly 8 bytes"),
        (0x6110, "saifu", None, "16 more bytes to fetch with GET RESPONSE"),
        (0x6205, "", None, "the card has a query of 5 bytes"),
        (0x6580, "", None, "execution error, memory changed, not specified"),
        (0x6FAB, "saifu", None, "no precise diagnosis, not specified"),
        (0x1234, "", None, "no status word of ISO 7816-4"),
        (0x9F17, "GSM 11.11", 0xA4, "23 bytes wait"),
        (0x9E02, "GSM 11.11", 0xC2, "SIM data download error: 2 bytes wait"),
        (0x910B, "GSM 11.11", 0xC2, "done; a command of 11 bytes waits for FETCH"),
        (0x9203, "GSM 11.11", 0xD6, "done, after 3 tries to write"),
        (0x9210, "GSM 11.11", None, "a word of the application, not known here"),
        (0x9804, "GSM 11.11", 0x20, "access condition not fulfilled, or wrong CHV with a try left"),
        (0x9804, "", 0x20, "a word of the application, not known here"),
        (0x6A82, "GSM 11.11", None, "file or application not found"),
    ],
)
def test_status_words_read(sw: int, application: str, ins: int | None, words: str) -> None:
    assert status_of(sw, application, ins) == words


def test_every_word_of_our_purse_reads_as_in_its_own_table() -> None:
    assert all(status_of(sw, "saifu", 0x32) == text for sw, text in STATUS_TEXT.items())
    assert all(status_of(sw) == text for sw, text in STATUS_TEXT.items() if sw >> 8 == 0x95)


def test_any_number_is_said_in_words() -> None:
    assert all(status_of(sw, application) for sw in range(0, 0x10000, 7) for application in ORDER)


def test_no_table_has_a_word_that_carries_a_number() -> None:
    words = {sw for table in STATUS_TABLES for sw in table} | {sw for table in BY_INS_TABLES for sw, _ in table}
    assert not [sw for sw in words if sw >> 8 in (0x61, 0x6C) or tries_left(sw) is not None]
    assert not [sw for sw in names_iso.STATUS if sw != 0x9000 and sw >> 8 not in names_iso.STATUS_CLASSES]


def test_words_of_one_instruction_are_of_one_that_is_named() -> None:
    for table, commands in zip(BY_INS_TABLES, (names_iso, names_globalplatform, names_emv), strict=True):
        known = names_iso.COMMANDS.keys() | commands.COMMANDS.keys()
        assert {ins for _, ins in table} <= known


@pytest.mark.parametrize(
    ("aid", "name", "standard"),
    [
        (AID.hex(), "saifu purse", "saifu"),
        ("A000000151000000", "GlobalPlatform issuer security domain", "GlobalPlatform"),
        ("A000000003000000", "Visa GlobalPlatform card manager", "GlobalPlatform"),
        ("A0000000031010", "Visa credit or debit", "EMV"),
        ("A00000000310100102", "Visa credit or debit", "EMV"),
        ("A0000000039999", "Visa", "EMV"),
        (b"1PAY.SYS.DDF01".hex(), "EMV payment system environment 1PAY.SYS.DDF01", "EMV"),
        (b"2PAY.SYS.DDF01".hex(), "EMV proximity payment environment 2PAY.SYS.DDF01", "EMV"),
        ("A000000308000010000100", "PIV card application (NIST SP 800-73)", "ISO 7816-4"),
        ("D27600012401020000000000000000", "OpenPGP card", "ISO 7816-4"),
        ("A0000000871002FF34FF0789312E30FF", "USIM (3GPP TS 31.102)", "ISO 7816-4"),
        (b"\xa0\0\0\0\x63PKCS-15".hex(), "PKCS #15 (ISO 7816-15)", "ISO 7816-4"),
        (b"1TIC.ICA".hex(), "Calypso 1TIC.ICA", "ISO 7816-4"),
    ],
)
def test_applications_are_found_by_the_longest_beginning(aid: str, name: str, standard: str) -> None:
    assert find_application(bytes.fromhex(aid)) == Application(name, standard)


@pytest.mark.parametrize("aid", ["", "A0", "F0534149", "D276000124"])
def test_nobody_owns_an_unknown_name(aid: str) -> None:
    assert find_application(bytes.fromhex(aid)) is None


def test_applications_have_names_of_5_to_16_bytes_and_standards_that_name_commands() -> None:
    assert all(5 <= len(aid) <= 16 for aid in APPLICATIONS)
    assert {found.standard for found in APPLICATIONS.values()} == {*ORDER} - {""}


def test_tags_are_tags() -> None:
    """ISO 7816-4 6.3: low five bits all set in the first byte, and only then, a second byte follows."""
    tables = (
        names_iso.TAGS,
        names_iso.CONTROL_TAGS,
        names_iso.MESSAGING_TAGS,
        names_globalplatform.TAGS,
        tags_emv.TAGS,
    )
    for tag in {tag for table in tables for tag in table} | tags_emv.DATA_OBJECT_LISTS:
        first, *rest = tag.to_bytes((tag.bit_length() + 7) // 8)
        assert (first & 0x1F == 0x1F) == bool(rest)
        assert all((byte & 0x80 != 0) == (i < len(rest) - 1) for i, byte in enumerate(rest))


def test_lists_of_data_objects_have_names() -> None:
    assert tags_emv.TAGS.keys() >= tags_emv.DATA_OBJECT_LISTS


@pytest.mark.parametrize(
    ("tag", "application", "within", "name"),
    [
        (0x82, "", 0, ""),
        (0x82, "EMV", 0, "application interchange profile (AIP)"),
        (0x82, "", 0x77, "application interchange profile (AIP)"),
        (0x82, "EMV", 0x62, "file descriptor"),
        (0x9F70, "", 0xE3, "life cycle state"),
        (0x9F70, "EMV", 0, "protected data envelope 1"),
        (0x9F7F, "GlobalPlatform", 0, "card production life cycle data (CPLC)"),
        (0x86, "", 0x7F49, "public point, 04 X Y"),
        (0x1F01, "", 0, ""),
    ],
)
def test_a_tag_means_what_its_place_says(tag: int, application: str, within: int, name: str) -> None:
    assert tag_name(tag, application, within) == name


@pytest.mark.parametrize("file", ["gp.txt", "opensc-0.23.txt", "pcscd.txt", "scriptor.txt"])
def test_other_programs_sessions_are_named(file: str) -> None:
    _, items = read([(VECTORS / file).read_bytes()])
    names = [name_of(item.command).name for item in items if isinstance(item, Exchange)]
    assert names[:7] == ["SELECT", "GET DATA", "READ RECORD", "GET DATA", "REQUEST", "VERIFY", "GET DATA"]


def test_a_sim_s_commands_have_the_names_of_gsm() -> None:
    assert name_of(bytes.fromhex("A0880000")) == ("RUN GSM ALGORITHM", "GSM 11.11")
    assert name_of(bytes.fromhex("A0F20000"), "ISO 7816-4") == ("STATUS", "GSM 11.11")
    assert name_of(bytes.fromhex("A0000000")).standard == ""


def test_a_key_pair_is_made_by_part_8() -> None:
    assert name_of(bytes.fromhex("80468000")) == ("GENERATE KEY PAIR", "ISO 7816-8")


def test_a_word_has_one_text_whoever_says_it() -> None:
    for sw in (0x6D00, 0x6E00):
        assert status_of(sw, "saifu") == status_of(sw) == status_of(sw, "EMV")
