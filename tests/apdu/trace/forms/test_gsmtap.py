"""GSMTAP out of captures: byte orders, clocks, link layers, damage; and where a command ends and its answer begins."""

import struct
from dataclasses import replace

import pytest

from apdu.errors import FormatError
from apdu.trace.forms import gsmtap
from apdu.trace.forms.capture import Packet, packets
from apdu.trace.forms.datagram import LONGEST_PAYLOAD, datagram, wrapped
from apdu.trace.model import Exchange, Item, Remark, Reset

SELECT = bytes.fromhex("00A4040006F05341494655")
BODY = bytes.fromhex("00CA01000080019000")
PAYLOAD = bytes.fromhex("020404") + bytes(13) + BODY
IP = wrapped(PAYLOAD)
EXCHANGE = Exchange(BODY[:5], BODY[5:])
IPV6 = bytes.fromhex("60000000") + struct.pack(">HBB", len(IP) - 20, 17, 64) + bytes(32) + IP[20:]
LAYERS = {
    "raw": (101, IP),
    "raw IPv4": (228, IP),
    "raw IPv6": (229, IPV6),
    "Ethernet": (1, bytes(12) + b"\x08\0" + IP),
    "Ethernet IPv6": (1, bytes(12) + b"\x86\xdd" + IPV6),
    "Ethernet VLAN": (1, bytes(12) + b"\x81\0\0\5\x88\xa8\0\6\x08\0" + IP),
    "Linux cooked": (113, bytes(14) + b"\x08\0" + IP),
    "Linux cooked 2": (276, b"\x08\0" + bytes(18) + IP),
    "BSD loopback": (0, b"\2\0\0\0" + IP),
}


def pcap(link: int, data: bytes, order: str = "<", magic: int = 0xA1B2C3D4, fraction: int = 500_000) -> bytes:
    header = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    return header + struct.pack(order + "IIII", 100, fraction, len(data), len(data)) + data


def block(order: str, kind: int, body: bytes) -> bytes:
    size = len(body) + 12
    return struct.pack(order + "II", kind, size) + body + struct.pack(order + "I", size)


def pcapng(order: str, interface: bytes, packet: bytes, kind: int = 6) -> bytes:
    section = block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    other = block(order, 5, bytes(12))
    return (
        section
        + block(order, 1, struct.pack(order + "HHI", 101, 0, 0) + interface)
        + other
        + block(order, kind, packet)
    )


def read(raw: bytes) -> list[Item]:
    return list(gsmtap.read([raw]))


@pytest.mark.parametrize("layer", LAYERS)
def test_every_link_layer_is_unwrapped(layer: str) -> None:
    link, data = LAYERS[layer]
    assert datagram(link, data) == PAYLOAD
    assert [item for item in read(pcap(link, data)) if isinstance(item, Exchange)]


@pytest.mark.parametrize("layer", LAYERS)
def test_a_packet_captured_in_part_is_never_taken_for_whole(layer: str) -> None:
    link, data = LAYERS[layer]
    for size in range(len(data)):
        assert datagram(link, data[:size]) in (None, b"")
    assert [type(item) for item in read(pcap(link, data[:-1]))] == [Remark]


def test_other_packets_are_passed_over() -> None:
    tcp, port = IP[:9] + b"\6" + IP[10:], IP[:20] + b"\0\1\0\2" + IP[24:]
    fragment, version = IP[:6] + b"\x20\0" + IP[8:], b"\x15" + IP[1:]
    for packet in (tcp, port, fragment, version):
        assert read(pcap(101, packet)) == []
    assert read(pcap(1, bytes(12) + b"\x08\6" + IP)) == []
    assert read(pcap(147, IP)) == []
    assert read(pcap(101, wrapped(b"\2\4\1" + bytes(20)))) == []
    assert [type(item) for item in read(pcap(101, wrapped(b"\3\4\4" + bytes(20))))] == [Remark]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "fraction"), [(0xA1B2C3D4, 500_000), (0xA1B23C4D, 500_000_000)])
def test_pcap_has_two_byte_orders_and_two_clocks(order: str, magic: int, fraction: int) -> None:
    raw = pcap(101, IP, order, magic, fraction)
    assert gsmtap.detect(raw)
    assert read(raw) == [Exchange(EXCHANGE.command, EXCHANGE.response, time=100.5)]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("options", "ticks", "time"),
    [(b"", 2_500_000, 2.5), (b"\x09", 2_500_000_000, 2.5), (b"\x84", 40, 2.5), (b"\x06", 0, None)],
)
def test_pcapng_has_byte_orders_and_clocks(order: str, options: bytes, ticks: int, time: float | None) -> None:
    def option(code: int, value: bytes) -> bytes:
        return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)

    interface = option(2, b"slot") + (option(9, options) if options else b"") + option(14, struct.pack(order + "q", 0))
    packet = struct.pack(order + "IIIII", 0, 0, ticks, len(IP), len(IP)) + IP + bytes(-len(IP) % 4)
    assert list(packets([pcapng(order, interface, packet)])) == [Packet(101, IP, time, "slot", "")]
    simple = pcapng(order, interface, struct.pack(order + "I", len(IP)) + IP, kind=3)
    assert list(packets([simple])) == [Packet(101, IP, None, "slot", "")]


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_comment_of_a_packet_may_be_any_of_its_options(order: str) -> None:
    def option(code: int, value: bytes) -> bytes:
        return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)

    def comment(options: bytes) -> str:
        head = struct.pack(order + "IIIII", 0, 0, 0, len(IP), len(IP))
        (packet,) = packets([pcapng(order, b"", head + IP + bytes(-len(IP) % 4) + options)])
        assert isinstance(packet, Packet)
        assert packet.data == IP
        return packet.comment

    flags, said, end = option(2, bytes(4)), option(1, b"said"), bytes(4)
    assert [comment(options) for options in (b"", end, flags, b"\1\0")] == [""] * 4
    for options in (said, said + end, flags + said, said + flags + option(1, b"n")):
        assert comment(options) == "said"
    assert comment(end + said) == ""
    assert comment(struct.pack(order + "HH", 1, 9) + b"said") == "said"


@pytest.mark.parametrize("size", [1, 7, 100, 150, 10**6])
def test_pieces_may_end_anywhere(size: int) -> None:
    times = [number + 0.5 for number in range(20)]
    whole: list[Item] = [Exchange(SELECT, b"\x90\0", "A", time, 0.25) for time in times]
    raw = b"".join(gsmtap.write(whole))
    assert list(gsmtap.read(raw[at : at + size] for at in range(0, len(raw), size))) == whole


def test_a_packet_is_no_longer_than_its_block() -> None:
    head = struct.pack("<IIIII", 0, 0, 0, len(IP) + 100, len(IP))
    assert list(packets([pcapng("<", b"", head + IP)])) == [Packet(101, IP)]


def test_a_packet_of_an_unknown_interface_is_passed_over() -> None:
    assert read(pcapng("<", b"", struct.pack("<IIIII", 7, 0, 0, len(IP), len(IP)) + IP)) == []


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"GIF89a",
        pcap(1, b"")[:24] + struct.pack("<IIII", 0, 0, 1 << 30, 1 << 30),
        b"\x0a\x0d\x0d\x0a" + struct.pack("<II", 28, 0x12345678),
        pcapng("<", b"", b"") + struct.pack("<II", 6, 4),
        pcapng("<", b"", b"") + struct.pack("<II", 6, 1 << 31),
    ],
)
def test_what_is_no_capture_any_more_is_refused(raw: bytes) -> None:
    with pytest.raises(FormatError):
        read(raw)


@pytest.mark.parametrize(
    ("body", "size"),
    [
        ("00A40400" + "9000", 4),
        ("00B2010400" + "6A86", 5),
        ("00B2010402" + "0102" + "9000", 5),
        ("00CA010000" + "0102" + "9000", 5),
        ("0020008108" + "3132333435363738" + "9000", 13),
        ("00A4040006" + "F05341494655" + "611E", 11),
        ("00A4040006" + "F05341494655" + "6F00" + "9000", 11),
        ("00A4040006" + "6D00", 5),
        ("00D6000008" + "0102" + "9000", 5),
    ],
)
def test_a_command_is_divided_from_its_answer_as_for_t0(body: str, size: int) -> None:
    assert gsmtap.divide(bytes.fromhex(body)) == size


def test_the_comment_divides_what_t0_cannot() -> None:
    whole = Exchange(SELECT + b"\0", b"\x6f\0\x90\0", "A", 1.5, 0.25, (("command", 5, 11),))
    assert list(gsmtap.read(gsmtap.write([whole]))) == [whole]


@pytest.mark.parametrize("size", [0, 8, 10**5])
def test_a_comment_that_cannot_be_is_not_believed(size: int) -> None:
    raw = b"".join(gsmtap.write([Exchange(BODY[:5], BODY[5:], seconds=0.5)]))
    length = len(f"command of {size} bytes, answered in 0.5 s".encode())
    comment = f"command of {size} bytes, answered in 0.5 s".encode()
    old = b"command of 5 bytes, answered in 0.5 s"
    at = raw.index(old) - 4
    options = struct.pack("<HH", 1, length) + comment + bytes(-length % 4) + bytes(4)
    start = raw.rindex(struct.pack("<I", 6), 0, at)
    body = raw[start + 8 : at] + options
    found = read(raw[:start] + block("<", 6, body))
    assert [(item.command, item.response) for item in found if isinstance(item, Exchange)] == [(BODY[:5], BODY[5:])]


def test_parts_that_do_not_belong_together_are_told() -> None:
    def part(number: int, body: bytes) -> bytes:
        return wrapped(b"\2\4\4" + bytes(9) + bytes([number, 0, 0, 0]) + body)

    def capture(*parts: bytes) -> bytes:
        records = b"".join(struct.pack("<IIII", 1, 0, len(data), len(data)) + data for data in parts)
        return pcap(101, b"")[:24] + records

    lost = read(capture(part(7, b"\x90\0"), part(4, SELECT[:5]), part(5, SELECT[5:])))
    assert [type(item) for item in lost] == [Remark, Exchange]
    endless = read(capture(part(4, SELECT[:5]), *[part(6, bytes(60_000))] * 20))
    assert sum(isinstance(item, Remark) for item in endless) == 16


def test_a_reset_is_the_atr_packet() -> None:
    assert list(gsmtap.read(gsmtap.write([Reset(b"\x3b\0", "A", 2.0)]))) == [Reset(b"\x3b\0", "A", 2.0)]


def test_what_does_not_fit_in_a_datagram_is_told() -> None:
    fits = Exchange(bytes(4), bytes(LONGEST_PAYLOAD - 20))
    assert list(gsmtap.read(gsmtap.write([fits]))) == [fits]
    big = Exchange(bytes(4), bytes(LONGEST_PAYLOAD - 19))
    assert list(gsmtap.read(gsmtap.write([big]))) == [Remark("65508 bytes, which do not fit in a packet")]


def test_names_of_more_slots_than_interfaces_are_dropped_and_nothing_else() -> None:
    many = [Exchange(bytes(4), b"\x90\0", str(number)) for number in range(1100)]
    found = list(gsmtap.read(gsmtap.write(many)))
    assert len(found) == 1100
    assert {item.slot for item in found} == {str(number) for number in range(1000)}


@pytest.mark.parametrize(("said", "seconds"), [("123456.0", 123456.0), ("1e999999", None), ("1.2.3.45", None)])
def test_seconds_that_are_no_number_are_not_known(said: str, seconds: float | None) -> None:
    raw = b"".join(gsmtap.write([replace(EXCHANGE, time=7.0, seconds=123456.0)]))
    found = list(gsmtap.read([raw.replace(b"123456.0", said.encode())]))
    assert found == [replace(EXCHANGE, time=7.0, seconds=seconds)]
