"""Lines for cards of others: by the names of the standards, with what the header says."""

import pytest

from apdu.trace.inspector import Inspector, inspect
from apdu.trace.model import Exchange
from apdu.trace.reading import summary

VISA = "00A4040007A000000003101000"
MANAGER = "00A4040008A000000151000000"
LINES = [
    (VISA, "00B2010C00", "9000", "READ RECORD  record 1 of file 1  → 9000"),
    (
        VISA,
        "00B2030400",
        "6A83",
        "READ RECORD  record 3 of the current file  → 6A83 record not found: the end of the file",
    ),
    (VISA, "00DC010C0201FF", "9000", "UPDATE RECORD  record 1 of file 1, 2 bytes  → 9000"),
    (VISA, "00A40000023F00", "9000", "SELECT  master file  → 9000"),
    (VISA, "00A40000", "9000", "SELECT  master file  → 9000"),
    (VISA, "00A40200022F00", "9000", "SELECT  file 2F00  → 9000"),
    (VISA, "00A40800047F206F07", "9000", "SELECT  path 7F206F07  → 9000"),
    (VISA, "00A40300", "9000", "SELECT  parent DF  → 9000"),
    (VISA, MANAGER, "9000", "SELECT  GlobalPlatform issuer security domain, A000000151000000  → 9000"),
    (VISA, "00B0821000", "9000", "READ BINARY  offset 16 of file 2  → 9000"),
    (VISA, "00B0010000", "9000", "READ BINARY  offset 256 of the current file  → 9000"),
    (VISA, "80AE80000400000000", "9000", "GENERATE AC  ARQC, 4 bytes  → 9000"),
    (VISA, "80CA9F1700", "9F1701039000", "GET DATA  9F17 PIN tries left  → 9000: 4 bytes"),
    (VISA, "80CA9F7F00", "9000", "GET DATA  9F7F card production life cycle data (CPLC)  → 9000"),
    (
        MANAGER,
        "80F24000024F00",
        "9000",
        "GET STATUS  applications and security domains, first or all, old form, 2 bytes",
    ),
    (MANAGER, "80500000080011223344556677", "00" * 11 + "03" + "00" * 17 + "9000", "→ 9000: SCP03, 29 bytes"),
    (VISA, "A0A40000026F07", "9F0F", "SELECT  file 6F07"),
    (VISA, "A0880000100102030405060708090A0B0C0D0E0F10", "9F0C", "RUN GSM ALGORITHM  P1 P2 0000, 16 bytes"),
    (VISA, "A0F200000D", "9000", "STATUS  P1 P2 0000  → 9000"),
]


@pytest.mark.parametrize(("before", "command", "answer", "line"), LINES)
def test_a_line_says_what_the_header_says(before: str, command: str, answer: str, line: str) -> None:
    inspector = Inspector()
    inspector.read(Exchange(bytes.fromhex(before), b"\x90\x00"))
    assert line in summary(inspector.read(Exchange(bytes.fromhex(command), bytes.fromhex(answer))))


def test_the_class_of_a_sim_says_whose_status_words_come() -> None:
    said = [Exchange(bytes.fromhex(command), bytes.fromhex(answer)) for command, answer in SIM]
    assert [reading.outcome for reading in inspect(said)] == [
        "9F17 23 bytes wait",
        "9840 CHV blocked: no try is left",
        "9840 a word of the application, not known here",
    ]


SIM = (("A0A40000023F00", "9F17"), ("A02000010831323334FFFFFFFF", "9840"), ("00B0000004", "9840"))
"""Two commands of class A0, and one that is not."""
