"""Bad input, command by command: one clear paragraph, the right exit code, and nothing is changed by it."""

import re

import pytest

from host.model import CardFile
from tests.saifu.shell import Shell

AOI, BOTAN, SPARE = "-r model:aoi.card", "--to model:botan.card", "-r model:spare.card"
BLANK_OF_MAKER = "personalize blank x.card --transport-keys keystore:cards"

BAD = {
    # the line itself
    "nonsense": (2, r"No such command 'nonsense'; see: saifu --help"),
    "card shwo": (2, r"see: saifu card --help"),
    "card show": (2, r"Missing option '--reader' / '-r'; see: saifu card show --help"),
    "remit 1 --bogus": (2, "No such option: --bogus"),
    "remit -5 -r a --to b": (2, "No such option: -5"),
    "doctor x": (2, "unexpected extra argument"),
    # center
    "center init": (2, "there is a center here already; it is never overwritten"),
    "--home new center init --issuer 0": (2, "'--issuer': '0' is no number from 1 to 65534"),
    "--home new center init --issuer many": (2, "'--issuer'"),
    "--home new center init --currency XYZ": (2, "currency 'XYZ' is not known; known are AUD,"),
    "--home new center init --float much": (2, "amount 'much'"),
    "--home new center init --float 99999999999": (2, "amount '99999999999'"),
    "--home new center init --passphrase-file none": (2, "none cannot be read: No such file or directory"),
    "--home aoi.card center init": (9, "aoi.card"),
    "--home /proc/none center init": (9, "/proc/none"),
    "--home new center publish": (2, "there is no center here; if there was one, put its newest copy back"),
    "center report-stolen hello": (2, "card ID 'hello': expected issuer-serial-check"),
    "center report-stolen 00001-0000000002-5": (2, "check digit is wrong"),
    "center report-stolen 00001-0000000042-0": (5, "not in this center's registry"),
    "center report-found 00001-0000000002-4": (5, "is not listed"),
    "center publish --out /proc/none/edition": (9, "/proc/none/edition cannot be written"),
    # personalization
    "personalize ceremony": (2, "there is a key cards already; give the new one another name"),
    "personalize ceremony --name x --bits 100": (2, "128, 192 or 256"),
    "personalize ceremony --name x --version 128": (2, "a key version is 1 to 127, or 255 for a card maker's, not 128"),
    "personalize ceremony --name x --scheme rot13": (2, "the scheme is"),
    "personalize ceremony --name x --component none": (2, "none cannot be read"),
    "personalize ceremony --name x --component text": (2, "text: a component is written in hex digits"),
    "personalize blank aoi.card": (9, "there is a card of this name already"),
    "personalize blank no/folder.card": (9, "no/folder.card: No such file"),
    "personalize blank x.card -p nobody": (2, "profile nobody: .*name a TOML file, or one of person or merchant"),
    "personalize blank x.card -p text": (2, "profile text: "),
    "personalize blank x.card --transport-keys none": (2, "none cannot be read"),
    "personalize blank x.card --transport-keys text": (2, "text (is no file of keys|holds keys, and others can reach)"),
    "personalize blank x.card --transport-keys keystore:none": (2, "there is no key 'none'; there are: cards"),
    "personalize blank x.card --transport-keys keystore:cards": (2, "has version 1: a card maker's master key has 255"),
    f"personalize one {SPARE} --holder X --key none": (2, "there is no key 'none'; there are: cards"),
    f"--home new personalize one {SPARE} --holder X": (
        2,
        "there is no key store yet; make one with: saifu",
    ),
    f"personalize one {AOI} --holder X": (5, "is active already; put a blank card in"),
    "personalize one -r model:none.card --holder X": (9, "make a blank card with: saifu personalize blank none.card"),
    f"personalize one {SPARE}": (2, "Missing option '--holder'"),
    "personalize batch none.csv": (2, "none.csv cannot be read"),
    "personalize batch text": (2, "text:1: column 1: .* is unknown; known are holder, pin, file"),
    "personalize batch nopin.csv": (2, "say with --letters where it is written"),
    # looking at cards
    "card show -r model:": (2, "--reader model:: the name of a card image is wanted, as in model:aoi.card"),
    "card show -r model:.": (2, "the name of a card image is wanted"),
    "card show -r model:text": (9, "text: this is not a card image of saifu"),
    "card show -r model:none.card": (9, "none.card: No such file or directory; make a blank card with"),
    f"card history {SPARE}": (5, "the card is blank: personalize it first"),
    f"card history {AOI} --most 0": (2, "'--most'"),
    f"card pin {SPARE}": (5, "the card is blank: personalize it first"),
    # terminals
    "terminal import": (2, "Missing argument"),
    "terminal import none": (2, "none cannot be read"),
    "terminal import home": (2, "home cannot be read: Is a directory"),
    "terminal import text": (2, "text: this is not a trust file of a center"),
    "--home new terminal status": (2, "this terminal trusts no center yet; give it one with: saifu terminal import"),
    f"terminal check {SPARE}": (5, "the card is blank: personalize it first"),
    f"remit much {AOI} {BOTAN}": (2, "amount 'much': write it in EUR with at most 2 decimals"),
    f"remit 1.234 {AOI} {BOTAN}": (2, "at most 2 decimals"),
    f"remit 1,50 {AOI} {BOTAN}": (2, "amount '1,50'"),
    f"remit 0 {AOI} {BOTAN}": (2, "nothing would move"),
    f"remit 501 {AOI} {BOTAN}": (4, "more than this purse moves at once"),
    f"remit 101 {AOI} {BOTAN}": (4, "too little money"),
    f"remit 1 {AOI} --to model:aoi.card": (5, "one reader is named twice, and two cards are needed"),
    f"remit 1 {AOI} --to model:./aoi.card": (5, "one reader is named twice, and two cards are needed"),
    f"remit 1 {AOI} --to model:none.card": (9, "none.card"),
    f"remit 1 {AOI} --to model:spare.card": (5, "the card is blank: personalize it first"),
    f"remit 1 {SPARE} --to model:aoi.card": (5, "the card is blank: personalize it first"),
    f"pos sell much {AOI} -m model:shop.card": (2, "amount 'much'"),
    f"pos sell 101 {AOI} -m model:shop.card": (5, "holds 100.00 EUR, too little"),
    "--home new pos sales": (2, "trusts no center yet"),
    f"atm load much {AOI}": (2, "amount 'much'"),
    f"atm load 501 {AOI}": (4, "9506"),
    f"atm load 5 {SPARE}": (5, "the card is blank: personalize it first"),
    f"atm unlock {AOI}": (5, "is active, not locked out"),
    f"--home new atm renew {AOI}": (2, "trusts no center yet"),
    # by hand
    f"apdu 00A40400zz {AOI}": (2, "as in 00A4040006F05341494655: 'z' is no hex digit"),
    f"apdu 00A40 {AOI}": (2, "the last byte has one digit"),
    f"remit 99999999999 {AOI} {BOTAN}": (2, "amount '99999999999' is more than a purse can hold"),
    "terminal policy explode": (2, "Invalid value for 'action': 'explode' is not one of"),
    "personalize blank new.card -p nosuch": (2, "profile nosuch: No such file or directory; name a TOML file"),
    f"apdu zz {AOI}": (2, "a command in hex is wanted, as in 00A4040006F05341494655"),
    f"apdu 00A4 {AOI}": (2, "a command has at least 4 bytes, not 2"),
    f"apdu 00A4040008F0 {AOI}": (2, "Lc says 8 bytes and 1 follow"),
    f"apdu {AOI}": (2, "Missing argument"),
    f"apdu - {AOI}": (2, "there is no command on standard input"),
    f"apdu 00B0 00A4 {AOI} --expect 90": (2, "a command"),
    f"apdu 00A40400 {AOI} --expect 90": (2, "four hex digits are wanted, X for any"),
    # readers
    "reader run a b c": (2, "3 images were given, and the virtual reader has two slots"),
    "reader insert 1 aoi.card": (2, "start `saifu reader run` in another one"),
    "reader eject one": (2, "'slot'.*see: saifu reader eject --help"),
}


@pytest.mark.parametrize("line", BAD)
def test_bad_input_is_told_and_changes_nothing(shell: Shell, line: str) -> None:
    (shell.folder / "text").write_text("this is only text\n")
    (shell.folder / "text").chmod(0o600)
    (shell.folder / "nopin.csv").write_text("holder\nDai\n")
    before = shell.files()
    code, said = BAD[line]
    ran = shell.run(*line.split(), env={"SAIFU_NEW_PIN": "1357", "PCSCLITE_CSOCK_NAME": None})
    assert (ran.code, bool(re.search(said, ran.fault))) == (code, True), ran
    assert len(ran.fault) < 500
    if code in (2, 9) and "publish --out" not in line:
        assert shell.files() == before


@pytest.mark.parametrize("line", ["card show -r model:none.card", "remit 1", "apdu zz -r model:aoi.card", "nonsense"])
def test_it_is_the_same_in_a_process_of_its_own(shell: Shell, line: str) -> None:
    there, here = shell.process(*line.split()), shell.run(*line.split())
    assert (there.code, there.fault, there.out) == (here.code, here.fault, here.out)


@pytest.mark.pcsc
def test_what_the_system_says_without_a_number_is_told_too(shell: Shell) -> None:
    folder = shell.folder / ("x" * 100)
    folder.mkdir()
    ran = shell.process("reader", "run", env={"TMPDIR": str(folder)})
    assert (ran.code, ran.fault) == (9, "the system: AF_UNIX path too long")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "variable", "instead"),
    [
        ("center publish", "SAIFU_PASSPHRASE", "set SAIFU_PASSPHRASE or give a file"),
        ("atm renew -r model:aoi.card", "SAIFU_PASSPHRASE", "set SAIFU_PASSPHRASE or give a file"),
        (
            BLANK_OF_MAKER,
            "SAIFU_PASSPHRASE",
            "set SAIFU_PASSPHRASE or give a file",
        ),
        ("card pin -r model:aoi.card", "SAIFU_PIN", "set SAIFU_PIN"),
        ("remit 60 -r model:aoi.card --to model:botan.card", "SAIFU_PIN", "set SAIFU_PIN"),
        ("personalize one -r model:spare.card --holder X", "SAIFU_PIN", "set SAIFU_PIN"),
    ],
)
def test_without_a_terminal_nobody_waits_for_an_answer(shell: Shell, line: str, variable: str, instead: str) -> None:
    ran = shell.process(*line.split(), env={variable: None})
    assert ran.code == 2
    assert "there is no terminal to ask on" in ran.fault
    assert instead in ran.fault


@pytest.mark.parametrize("wrong", ["x", "a passphrase of some length "])
@pytest.mark.parametrize("line", ["center cards", BLANK_OF_MAKER, "atm load 1 -r model:aoi.card"])
def test_a_wrong_passphrase_is_told_and_not_repeated(shell: Shell, line: str, wrong: str) -> None:
    ran = shell.run(*line.split(), env={"SAIFU_PASSPHRASE": wrong})
    assert ran.code == 2
    assert re.search("the passphrase .*(is wrong|does not open)", ran.fault)
    assert wrong == "x" or wrong not in ran.fault


def test_a_batch_that_asks_for_cards_ends_when_nobody_answers(shell: Shell) -> None:
    (shell.folder / "orders.csv").write_text("holder,pin\nDai,1234\n")
    ran = shell.run("personalize", "batch", "orders.csv", "-r", "model:spare.card")
    assert (ran.code, "the input has ended" in ran.err, "Traceback" in ran.err) == (2, True, False)
    said_no = shell.run("personalize", "batch", "orders.csv", "-r", "model:spare.card", stdin="n\n")
    assert (said_no.code, "run the same command again to go on" in said_no.err) == (5, True)
    assert shell.run("personalize", "batch", "orders.csv", "-r", "model:spare.card", stdin="y\n").code == 0


def test_an_edition_that_cannot_be_copied_is_kept_all_the_same(shell: Shell) -> None:
    assert shell.run("center", "publish", "--out", "/proc/none/edition").code == 9
    assert "edition 1 " in shell.good("terminal", "import", "home/center/edition-1").out
    shell.good("center", "publish", "--out", "copy")
    assert (shell.folder / "copy").read_bytes() == (shell.home / "center" / "edition-2").read_bytes()


def test_a_damaged_center_is_told(shell: Shell) -> None:
    (shell.home / "center" / "center.sqlite").write_bytes(b"no database" * 100)
    for line in ("center cards", "center publish", "atm renew -r model:aoi.card"):
        ran = shell.run(*line.split())
        assert (ran.code, "the center's database cannot be used" in ran.fault) == (9, True)


def test_a_card_that_is_in_another_process_is_told(shell: Shell) -> None:
    held = CardFile(shell.folder / "aoi.card")
    try:
        ran = shell.process("card", "show", "-r", "model:aoi.card")
    finally:
        held.close()
    assert (ran.code, "take the card out there first" in ran.fault) == (9, True)
