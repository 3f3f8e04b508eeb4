"""Trust files: what a terminal believes in, and whose cards it takes for the center's."""

import json
from dataclasses import replace

import pytest

from apdu.errors import AuthenticityError, InputError
from apdu.messages import Signed
from apdu.money import currency
from apdu.objects import KeyUse
from apdu.signature import point_of
from host.terminal.trust import TRUST_FORMAT, Trust
from tests.issuer import ORDERS, Issuer

ISSUER = Issuer()
TRUST = Trust(1, currency("EUR"), ISSUER.keys)
POINT = point_of(Issuer(seed=9).orders)


def test_a_trust_file_says_it_all_and_nothing_secret() -> None:
    content = json.loads(TRUST.encode())
    assert (content["format"], content["issuer"], content["currency"]) == (TRUST_FORMAT, 1, "EUR")
    assert [key["use"] for key in content["keys"]] == ["certification", "orders"]
    assert all(set(key) == {"number", "use", "point"} for key in content["keys"])


def test_it_can_be_read_back() -> None:
    assert Trust.decode(TRUST.encode()) == TRUST


def broken() -> list[str]:
    content = json.loads(TRUST.encode())
    key = content["keys"][0]
    numbers: list[object] = [-1, 65536, float("inf"), []]
    return [
        "", "{", "7", "[]", "null", "\ufffd", "[" * 200_000,
        *(json.dumps({name: value for name, value in content.items() if name != left_out}) for left_out in content),
        json.dumps(content | {"format": "saifu trust 2"}),
        json.dumps(content | {"currency": "XXXX"}),
        json.dumps(content | {"issuer": "one"}),
        *(json.dumps(content | {"issuer": number}) for number in numbers),
        json.dumps(content | {"keys": 5}),
        json.dumps(content | {"keys": [key | {"number": 256}]}),
        *(json.dumps(content | {"keys": [key | {"point": key["point"][:size] + "00"}]}) for size in (0, 124, 128)),
        json.dumps(content | {"keys": [key | {"use": "everything"}]}),
        json.dumps(content | {"keys": [key | {"point": "not hex"}]}),
    ]  # fmt: skip


@pytest.mark.parametrize("text", broken())
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="not a trust file of a center"):
        Trust.decode(text)


def test_the_centers_certificate_is_believed() -> None:
    certificate = ISSUER.certificate(5, POINT)
    assert TRUST.certified(certificate) == certificate.body


def test_a_strangers_certificate_is_not() -> None:
    with pytest.raises(AuthenticityError):
        TRUST.certified(Issuer(seed=1).certificate(5, POINT))


def test_another_issuers_certificate_is_not() -> None:
    with pytest.raises(AuthenticityError, match="another issuer's"):
        TRUST.certified(Issuer(number=2).certificate(5, POINT))


def test_a_key_for_orders_certifies_no_card() -> None:
    body = replace(ISSUER.certificate(5, POINT).body, key=ORDERS)
    with pytest.raises(AuthenticityError, match="not known here"):
        TRUST.certified(Signed.make(body, ISSUER.orders))
    only_orders = replace(TRUST, keys=tuple(key for key in TRUST.keys if key.use is KeyUse.ORDERS))
    with pytest.raises(AuthenticityError, match="not known here"):
        only_orders.certified(ISSUER.certificate(5, POINT))
