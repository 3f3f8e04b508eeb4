"""Signatures against Wycheproof's ECDSA P-256 vectors with r and s plain (IEEE P1363)."""

import pytest

from apdu.errors import AuthenticityError
from apdu.signature import point_of, private_key, sign, verify
from tests.vectors.packaged import wycheproof


def verifies(point: bytes, message: bytes, signature: bytes) -> bool:
    try:
        verify(point, message, signature)
    except AuthenticityError:
        return False
    return True


def test_wycheproof_agrees_about_every_signature() -> None:
    seen = {"valid": 0, "invalid": 0}
    for group in wycheproof("Signature/wycheproof/ecdsa_secp256r1_sha256_p1363_test.json"):
        point = bytes.fromhex(group["publicKey"]["uncompressed"])[1:]
        for test in group["tests"]:
            message, signature = bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"])
            assert verifies(point, message, signature) == (test["result"] == "valid"), test["tcId"]
            seen[test["result"]] += 1
    assert seen == {"valid": 173, "invalid": 89}
    assert sum(seen.values()) == 262


KEY = private_key(bytes(range(1, 33)))
POINT, SIGNATURE = point_of(KEY), sign(KEY, b"message")


def test_own_signature_verifies() -> None:
    assert verifies(POINT, b"message", SIGNATURE)


def test_same_numbers_in_more_bytes_are_no_signature() -> None:
    with pytest.raises(AuthenticityError, match="64 bytes, not 65"):
        verify(POINT, b"message", SIGNATURE[:32] + b"\0" + SIGNATURE[32:])


@pytest.mark.parametrize(
    "point", [bytes(64), b"\xff" * 64, POINT[:-1], POINT + b"\0", b"", POINT[:63] + bytes((POINT[63] ^ 1,))]
)
def test_no_point_of_the_curve_is_no_key(point: bytes) -> None:
    assert not verifies(point, b"message", SIGNATURE)
