"""What all bearers say of themselves: how they are fed, and what they carry in a second."""

from pathlib import Path

import pytest

from broadcast.bearer import Way
from broadcast.bearers.pager import PagerTransmitter
from broadcast.bearers.sound import SoundTransmitter
from broadcast.bearers.udp import UdpTransmitter
from broadcast.packets import Packet


def test_the_rate_of_packets_is_what_is_left_of_the_bearers_rate(tmp_path: Path) -> None:
    """A datagram has 28 bytes of headers; a sound frame 12 bytes more and 10 bits a byte; a page is 272 bytes."""
    with UdpTransmitter(bits_per_second=9000) as udp:
        assert udp.packet_rate == pytest.approx(9000 * 197 / 225)
    with SoundTransmitter(tmp_path / "a.wav") as sound:
        assert sound.packet_rate == pytest.approx(960 * 197 / 209)
    with PagerTransmitter(tmp_path / "b.wav") as pager:
        assert pager.packet_rate == pytest.approx(1200 * 133 / 272)


@pytest.mark.parametrize("transmitter", [SoundTransmitter, PagerTransmitter])
def test_a_recording_lasts_as_long_as_its_rate_says(
    tmp_path: Path, transmitter: type[SoundTransmitter | PagerTransmitter]
) -> None:
    sizes, rate, packet = [], 0.0, b""
    for count in (20, 40):
        with transmitter(tmp_path / "a.wav") as sending:
            packet, rate = bytes(Packet.FRAME + sending.symbol_size), sending.packet_rate or 0.0
            sending.send([packet] * count)
            assert sending.way is Way.RECORDING
        sizes.append((tmp_path / "a.wav").stat().st_size)
    samples = {SoundTransmitter: 48_000, PagerTransmitter: 22_050}[transmitter]
    seconds = (sizes[1] - sizes[0]) / 2 / samples
    assert seconds == pytest.approx(20 * len(packet) * 8 / rate, rel=0.02)
