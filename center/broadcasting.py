"""The transmitter (24) at work: the carousel of a terminal group goes out over one bearer, edition after edition."""

import time
from collections.abc import Callable, Iterator
from itertools import islice

from apdu.errors import BearerError, RefusedError, StoreError
from broadcast.bearer import Way
from broadcast.carousel import Carousel, CarouselStatistics, OnAir
from broadcast.packets import Packet
from center.center import Center
from center.cipher_groups import retired_cipher_keys
from center.editions import publish, unpublished
from center.transmission import on_air
from host.air import Outlet

__all__ = ["Broadcast"]

_FEWEST, _CHUNK = 4, 32
"""Packets that are handed to the bearer at a time."""
_LOOK_SECONDS = 5.0
"""How long a new edition may wait until it goes on the air."""
_WAIT_SECONDS = 0.2
_REDUNDANCY = 1.5
"""Packets in a recording for each that a receiver needs: a third of them may be lost."""


class Broadcast:
    """Sends what ``on_air`` seals: for ever, for some time, or once as a recording."""

    def __init__(
        self, center: Center, group: str, outlet: Outlet, publishing: bool = False, steps_only: bool = False
    ) -> None:
        """``publishing`` also makes the next edition, when it is due or the list has changed.

        ``steps_only`` leaves the full lists out, for a channel that is too narrow for them. Raises RefusedError
        when there is nothing to send.
        """
        self._center, self._group, self._outlet = center, group, outlet
        self._publishing, self._steps_only = publishing, steps_only
        self._stopping = False
        self.failure: BearerError | None = None
        """Why what is on the air now did not reach the line; None when it did."""
        self._tell: Callable[[str], None] = lambda _line: None
        self._put_on(self._load())
        self._looked = time.monotonic()

    @property
    def statistics(self) -> CarouselStatistics:
        """What has been sent of the objects that are on the air now."""
        return self._carousel.statistics

    def _load(self) -> list[OnAir]:
        """What is to be on the air now."""
        if self._publishing and unpublished(self._center):
            publish(self._center)
        objects = [one for one in on_air(self._center, self._group) if one.span or not self._steps_only]
        if not objects:
            raise RefusedError("there is no step to send: publish another edition first, or send full lists too")
        return objects

    def _put_on(self, objects: list[OnAir]) -> None:
        self._objects, self._carousel = objects, Carousel(objects, self._outlet.symbol_size)

    def _look(self) -> bool:
        """Look for a new edition or key now and then; returns whether there is one."""
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return False
        self._looked = time.monotonic()
        try:
            objects = self._load()
        except StoreError as error:
            self._tell(f"not looked for news, later again: {error}")
            return False
        if objects == self._objects:
            return False
        self._put_on(objects)
        return True

    def run(
        self,
        seconds: float | None = None,
        progress: Callable[[], None] = lambda: None,
        tell: Callable[[str], None] = lambda _line: None,
    ) -> None:
        """Send; ``progress`` is called now and then. A recording is made once, whatever ``seconds`` says.

        Raises BearerError and StoreError at the start. Later on a line that fails, or a database that somebody
        holds, is told of and tried again.
        """
        self._tell = tell
        way = self._outlet.way
        send = {Way.AIR: self._turn, Way.RECORDING: self._record, Way.LINE: self._serve}[way]
        end = None if seconds is None or way is Way.RECORDING else time.monotonic() + seconds
        for _ in send():
            progress()
            if self._stopping or (end is not None and time.monotonic() >= end):
                break

    def stop(self) -> None:
        """End ``run``, from another thread, after what is being sent."""
        self._stopping = True

    def _turn(self) -> Iterator[None]:
        """The carousel, round and round."""
        air = self._outlet.of(0)
        while True:
            packets, chunk = self._carousel.packets(), self._packets_a_second()
            while not self._look():
                air.send(list(islice(packets, chunk)))
                yield

    def _packets_a_second(self) -> int:
        """So many at a time that progress is seen; a few at least, since some bearers begin each time anew."""
        rate = self._outlet.packet_rate
        if rate is None:
            return _CHUNK
        return min(max(int(rate / 8 / (self._outlet.symbol_size + Packet.FRAME)), _FEWEST), _CHUNK)

    def _record(self) -> Iterator[None]:
        """Every object once, with packets to spare."""
        air, packets = self._outlet.of(0), self._carousel.burst(_REDUNDANCY)
        for start in range(0, len(packets), _CHUNK):
            air.send(packets[start : start + _CHUNK])
            yield

    def _serve(self) -> Iterator[None]:
        """The line loses nothing: each object lies there whole, for whoever comes; under each key in its channel."""
        served = set(retired_cipher_keys(self._center, self._group))  # what lies there still is cleared
        first = True
        while True:
            packets: dict[int, list[bytes]] = {key: [] for key in served}
            for one, bundle in zip(self._objects, self._carousel.bundle(), strict=True):
                packets[one.key.number] = [*packets.get(one.key.number, []), *bundle]
            yield from self._deliver(packets, first)
            served = {key for key, content in packets.items() if content}
            first = False
            yield
            while not self._look():
                time.sleep(_WAIT_SECONDS)
                yield

    def _deliver(self, packets: dict[int, list[bytes]], first: bool) -> Iterator[None]:
        """Put everything into its channel; only the first time a line that fails is an error."""
        while True:
            try:
                for key, content in packets.items():
                    self._outlet.of(key).send(content)
                self.failure = None
                return
            except BearerError as error:
                if first:
                    raise
                self.failure = error
                self._tell(f"not sent, in {_LOOK_SECONDS:.0f} s again: {error}")
            again = time.monotonic() + _LOOK_SECONDS
            yield
            while time.monotonic() < again:
                time.sleep(_WAIT_SECONDS)
                yield
