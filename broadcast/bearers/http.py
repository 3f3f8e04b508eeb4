"""HTTP, the terminal's side: ask the index now and then, and fetch the cheapest way to the newest edition."""

import re
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep

import httpx

from apdu.errors import BearerError, FormatError, InputError
from broadcast.bearer import Receiver, Way
from broadcast.bearers.bundle import LARGEST_BUNDLE, unpack
from broadcast.bearers.index import LARGEST_INDEX, Index, Need
from broadcast.bearers.line import Backoff, trust

__all__ = ["HttpReceiver"]

_TIMEOUT = 10.0
"""Seconds that a server may be silent."""
_LONGEST_DOWNLOAD = 120.0
"""Seconds for one object, however busily its bytes trickle."""
_LONGEST_URL = 2000
_HOST = re.compile(r"[\w.:-]+")


class _TemporaryError(BearerError):
    """What another attempt may mend."""


class HttpReceiver(Receiver):
    """Asks a center's service; ``url`` is the channel's, as ``https://center.example/blacklist/1/terminals/1``."""

    way = Way.LINE

    def __init__(
        self, url: str, have: Callable[[], int] = int, ca: Path | None = None, poll_seconds: float = 60.0
    ) -> None:
        """``have`` tells the edition in force, 0 for none: without it, always the full list is taken.

        It is asked after the packets of each object were taken, so take them in before asking for more. ``ca`` is
        a PEM file; None: the system's CAs. Raises InputError; connects only when packets are asked for.
        """
        self._url = _checked(url)
        self._need = Need(have)
        self._poll = poll_seconds
        self._mark = ""
        # neither proxies nor logins from the environment: what is fetched, and from where, is said here alone
        self._client = httpx.Client(verify=trust(ca), timeout=_TIMEOUT, follow_redirects=False, trust_env=False)

    def packets(self, seconds: float | None = None) -> Iterator[bytes]:
        """Yield the packets of what is needed, until ``seconds`` have passed; the index is asked at least once.

        Raises BearerError at once for what waiting does not mend (TLS, 404, wrong content), and in the end when no
        round of asking was finished.
        """
        backoff = Backoff(seconds)
        was_reached = False
        while True:
            try:
                self._ask_index()
                yield from self._needed()
                was_reached = True
                backoff.worked()
                wait = backoff.left(self._poll)
            except _TemporaryError as error:
                wait = backoff.failed()
                if wait <= 0 and not was_reached:
                    raise BearerError(str(error)) from None
            if wait <= 0:
                return
            sleep(wait)

    def _ask_index(self) -> None:
        """Ask for the index, unless it is as before (304)."""
        known = {"If-None-Match": self._mark} if self._mark else {}
        content, mark = self._get("index", LARGEST_INDEX, known)
        if content is None:
            return
        try:
            self._need.index = Index.decode(content)
        except FormatError as error:
            raise BearerError(f"{self._url}/index is not an index: {error}; check the address") from None
        self._mark = mark

    def _needed(self) -> Iterator[bytes]:
        while (entry := self._need.next()) and (index := self._need.index):
            yield from self._fetch(index.path(entry))
            self._need.tried(entry)

    def _fetch(self, path: str) -> list[bytes]:
        content, _ = self._get(path, LARGEST_BUNDLE, {})
        try:
            return unpack(content or b"")
        except FormatError as error:
            raise BearerError(f"{self._url}/{path} is not a bundle of packets: {error}") from None

    def _get(self, path: str, most: int, headers: dict[str, str]) -> tuple[bytes | None, str]:
        """Content and entity tag; None for what is not modified."""
        url = f"{self._url}/{path}"
        asked = {"Accept-Encoding": "identity", **headers}
        try:
            with self._client.stream("GET", url, headers=asked) as response:
                if response.status_code == httpx.codes.NOT_MODIFIED and headers:
                    return None, self._mark
                self._check(response, url, path)
                return _read(response, url, most), response.headers.get("etag", "")
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise _explained(url, error) from None

    def _check(self, response: httpx.Response, url: str, path: str) -> None:
        status = response.status_code
        if status >= httpx.codes.INTERNAL_SERVER_ERROR or status == httpx.codes.TOO_MANY_REQUESTS:
            raise _TemporaryError(f"{url}: the service fails with status {status}")
        if status == httpx.codes.NOT_FOUND and path != "index":
            self._mark = ""
            raise _TemporaryError(f"{url} is no longer there")  # a new edition came in between: the index tells
        if status != httpx.codes.OK:
            raise BearerError(f"{url}: status {status}, which is no answer; check the address and the channel")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise BearerError(f"{url} comes compressed, which was not asked for")

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _checked(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        parsed = httpx.URL()
    is_place = parsed.scheme in ("http", "https") and _HOST.fullmatch(parsed.host) and len(url) <= _LONGEST_URL
    if not is_place or parsed.userinfo or parsed.query or parsed.fragment:
        raise InputError("that is no address of a channel; give one such as https://HOST/blacklist/1/terminals/1")
    return url.rstrip("/")


def _read(response: httpx.Response, url: str, most: int) -> bytes:
    """The content, which may be endless."""
    end = monotonic() + _LONGEST_DOWNLOAD
    content = bytearray()
    for chunk in response.iter_raw():
        content += chunk
        if len(content) > most:
            raise BearerError(f"{url} gives more than {most} bytes, which it cannot have")
        if monotonic() > end:
            raise _TemporaryError(f"{url} takes longer than {_LONGEST_DOWNLOAD:.0f} s")
    return bytes(content)


def _explained(url: str, error: Exception) -> BearerError:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        text = f"{url}: its certificate is not trusted: {cause.verify_message}"
        return BearerError(f"{text}; check the CA file and the host's name")
    if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
        return BearerError(f"{url}: no TLS: {cause.reason or cause}; check http or https, and the port")
    return _TemporaryError(
        f"{url} cannot be reached: {str(error) or type(error).__name__}; check that the service runs"
    )
