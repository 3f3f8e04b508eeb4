"""The order list: everything that is wrong with it is said at once, with line and column."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.errors import InputError
from personalization.orders import Order, OrderList


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "orders.csv"


def load(file: Path, content: bytes | str) -> tuple[Order, ...]:
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return OrderList.load(file).orders


def faults(file: Path, content: bytes | str) -> list[str]:
    """What is said of a bad list, without the file's name and the last line."""
    with pytest.raises(InputError) as error:
        load(file, content)
    *said, last = str(error.value).splitlines()
    if said:
        assert last == "no card was touched"
    return [line.removeprefix(f"{file}:") for line in said or [last]]


def test_a_plain_list(file: Path) -> None:
    assert load(file, "holder,pin,file\nAoi,1234,aoi.card\nBotan,,\n") == (
        Order(2, "Aoi", "1234", "aoi.card"),
        Order(3, "Botan", None, "line-3.card"),
    )


@pytest.mark.parametrize(
    "content",
    [
        "holder,pin\nAoi,1234\n",
        "holder,pin\r\nAoi,1234\r\n",
        "holder,pin\rAoi,1234\r",
        "\ufeffholder,pin\nAoi,1234\n",
        "holder,pin\nAoi,1234",
        "HOLDER , Pin\n Aoi , 1234 \n",
        "pin,holder\n1234,Aoi\n",
        'holder,pin\n"Aoi","1234"\n',
        '\ufeff"holder","pin"\r\n"Aoi","1234"\r\n',
        "holder,pin\n\nAoi,1234\n",
    ],
)
def test_ways_to_write_the_same_list(file: Path, content: str) -> None:
    (order,) = load(file, content)
    assert (order.holder, order.pin) == ("Aoi", "1234")


def test_quotes_hold_commas_quotes_and_other_letters(file: Path) -> None:
    rows = load(file, 'holder\n"Chie, of Kyoto"\n"the ""boss"""\n田中 葵\n')
    assert [row.holder for row in rows] == ["Chie, of Kyoto", 'the "boss"', "田中 葵"]


@pytest.fixture(scope="module")
def any_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file for many lists."""
    return tmp_path_factory.mktemp("orders") / "orders.csv"


NAMES = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=12)


@given(st.lists(NAMES, min_size=1, max_size=5))
def test_any_holder_is_read_as_it_was_written(any_file: Path, holders: list[str]) -> None:
    quoted = ['"' + holder.replace('"', '""') + '"' for holder in holders]
    rows = load(any_file, "\n".join(["holder", *quoted]) + "\n")
    assert [(row.line, row.holder) for row in rows] == list(enumerate(holders, 2))


def test_every_fault_is_said_at_once(file: Path) -> None:
    content = "holder,pin,file\nAoi,12,\n,1234,../x\nBotan,abcd,a\nChie,1234\nDai,1234,A\n"
    assert faults(file, content) == [
        "2: column 2 (pin): a PIN has 4 to 8 digits",
        "3: column 1 (holder): a name: a text of 1 to 100 characters is wanted, not of 0",
        "3: column 3 (file): a file name without folders is wanted",
        "4: column 2 (pin): a PIN has 4 to 8 digits",
        "5: 2 columns, the header has 3",
        "6: file A is in line 4 already",
    ]


def test_a_pin_is_never_repeated(file: Path) -> None:
    assert "98765432109" not in "".join(faults(file, "holder,pin\nAoi,98765432109\n"))
    assert "4711" not in repr(load(file, "holder,pin\nAoi,4711\n"))


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("", ["1: column 'holder' is missing"]),
        ("pin", ["1: column 'holder' is missing"]),
        ("name,pin", ["1: column 1: 'name' is unknown; known are holder, pin, file", "1: column 'holder' is missing"]),
        ("holder,holder", ["1: column 2: 'holder' is there twice"]),
        ("holder;pin", None),
        ("holder,", ["1: column 2: '' is unknown; known are holder, pin, file"]),
    ],
)
def test_a_header_that_is_wrong(file: Path, header: str, said: list[str] | None) -> None:
    found = faults(file, header + "\nAoi,1234\n")
    assert said is None or found == said


@pytest.mark.parametrize("content", ["holder,pin\n", "holder", "holder\n\n\n"])
def test_a_list_without_a_row(file: Path, content: str) -> None:
    assert faults(file, content) == [" there is no row behind the header"]


def test_an_empty_file(file: Path) -> None:
    assert faults(file, b"") == ["1: column 'holder' is missing"]


@pytest.mark.parametrize("content", ["holder\nAoi\nM\xfcller\n".encode("latin-1"), "holder\nAoi\n".encode("utf-16")])
def test_a_file_that_is_not_utf_8(file: Path, content: bytes) -> None:
    (said,) = faults(file, content)
    assert "this is not UTF-8; save the file as CSV UTF-8" in said
    assert said.startswith("3:" if content.startswith(b"holder") else "1:")


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ('"Aoi', "unexpected end of data"),
        ('"Aoi"x', "',' expected after '\"'"),
        ("x" * 200_000, "field larger than field limit"),
    ],
)
def test_a_row_that_is_no_csv(file: Path, row: str, what: str) -> None:
    (said,) = faults(file, f"holder\nChie\n{row}\n")
    assert what in said
    assert said.split(":")[0] in ("3", "4")


@pytest.mark.parametrize("name", ["..", ".", "a/b", "/etc/passwd", "a\0b", "a\tb/"])
def test_a_file_name_cannot_lead_out_of_the_folder(file: Path, name: str) -> None:
    assert faults(file, f'holder,file\nAoi,"{name}"\n') == ["2: column 2 (file): a file name without folders is wanted"]


def test_a_given_name_and_a_made_one_do_not_meet(file: Path) -> None:
    assert faults(file, "holder,file\nAoi,line-3.card\nBotan,\n") == ["3: file line-3.card is in line 2 already"]


@pytest.mark.parametrize(("holder", "why"), [
    ("x" * 101, "a text of 1 to 100 characters is wanted, not of 101"),
    ("A\x07oi", "character 2 is U+0007"),
    ("A\u202eoi", "character 2 is U+202E"),
    ('"A\noi"', "character 2 is U+000A"),
])  # fmt: skip
def test_a_holder_has_a_name_that_can_be_printed(file: Path, holder: str, why: str) -> None:
    assert f"column 1 (holder): a name: {why}" in faults(file, f"holder\n{holder}\n")[0]


def test_ten_thousand_rows(file: Path) -> None:
    rows = load(file, "holder,pin\n" + "".join(f"holder {n},{n:04d}\n" for n in range(10_000)))
    assert (len(rows), rows[-1].line, rows[-1].pin) == (10_000, 10_001, "9999")


def test_ten_thousand_faults_are_counted_and_the_first_are_shown(file: Path) -> None:
    said = faults(file, "holder,pin\n" + "Aoi,x\n" * 10_000)
    assert len(said) == 21
    assert said[0].startswith("2: column 2 (pin)")
    assert said[-1] == "… and 9980 more"


def test_a_file_that_cannot_be_read(file: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        OrderList.load(file)
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        OrderList.load(tmp_path)


def test_lists_are_told_apart(file: Path) -> None:
    digests = set()
    for content in ("holder\nAoi\n", "holder\nBotan\n", "holder\nAoi\n"):
        file.write_text(content)
        digests.add(OrderList.load(file).digest)
    assert len(digests) == 2
