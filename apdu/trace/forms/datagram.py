"""The payload of a UDP datagram, out of the link layers on which GSMTAP is captured; and datagrams to write."""

import struct

__all__ = ["LINK_RAW", "LONGEST_PAYLOAD", "PORT", "datagram", "wrapped"]

PORT = 4729
"""UDP port of GSMTAP (IANA)."""
LINK_RAW = 101
"""Link type of packets that begin with IP."""
LONGEST_PAYLOAD = 65535 - 20 - 8
"""Bytes that a datagram holds on IPv4 (RFC 791, RFC 768)."""

_IPV4, _IPV6, _VLAN = 0x0800, 0x86DD, (0x8100, 0x88A8)
_ETHERNET, _COOKED, _COOKED_2 = 1, 113, 276
_RAW = (LINK_RAW, 12, 14, 228, 229)
_LOOPBACK = (0, 108)
_UDP = 17
_LOCAL = bytes([127, 0, 0, 1])
_VERSION, _WHOLE, _PORTS = 0x4500, 0x4000 << 16 | 64 << 8 | _UDP, PORT << 16 | PORT
"""What a packet of our own says: version; not to be fragmented, hops and protocol; from PORT to PORT."""
_HEADERS = struct.Struct(">HHHIH4s4sIHH")
_MARKS = struct.Struct(">H4xI10xIH")
"""What is the same in all packets of our own, and the size for UDP."""
_CHECKED = _VERSION + (_WHOLE >> 16) + (_WHOLE & 0xFFFF) + 2 * (0x7F00 + 1)


def datagram(link: int, packet: bytes) -> bytes | None:
    """The payload that went to or from PORT: empty if it was captured in part; None for other packets and parts."""
    if link == LINK_RAW and len(packet) >= 28:
        version, whole, ports, size = _MARKS.unpack_from(packet)
        if version == _VERSION and whole == _WHOLE and ports == _PORTS and 8 <= size <= len(packet) - 20:
            return packet[28 : 20 + size]
    try:
        at = _network(link, packet)
        return None if at is None else _payload(packet, at)
    except (IndexError, struct.error):
        return None


def _network(link: int, packet: bytes) -> int | None:
    """Where IP begins."""
    if link in _RAW:
        return 0
    if link in _LOOPBACK:
        return 4
    if link == _ETHERNET:
        at = 12
        while (kind := packet[at] << 8 | packet[at + 1]) in _VLAN:
            at += 4
        return at + 2 if kind in (_IPV4, _IPV6) else None
    if link in (_COOKED, _COOKED_2):
        at, size = (14, 16) if link == _COOKED else (0, 20)
        return size if packet[at] << 8 | packet[at + 1] in (_IPV4, _IPV6) else None
    return None


def _payload(packet: bytes, at: int) -> bytes | None:
    if packet[at] >> 4 == 4:
        fragment = packet[at + 6] & 0x3F or packet[at + 7]
        protocol, start = packet[at + 9], at + (packet[at] & 0x0F) * 4
    else:
        fragment, protocol, start = packet[at] >> 4 != 6, packet[at + 6], at + 40
    if fragment or protocol != _UDP:
        return None
    source, target, size = struct.unpack_from(">HHH", packet, start)
    if PORT not in (source, target) or size < 8:
        return None
    return packet[start + 8 : start + size] if start + size <= len(packet) else b""


def wrapped(payload: bytes) -> bytes:
    """A packet of LINK_RAW, from and to this machine; at most LONGEST_PAYLOAD bytes."""
    size = 28 + len(payload)
    total = _CHECKED + size
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return _HEADERS.pack(_VERSION, size, 0, _WHOLE, checksum, _LOCAL, _LOCAL, _PORTS, size - 20, 0) + payload
