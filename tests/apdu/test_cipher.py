"""The AES primitives against NIST's and Wycheproof's vectors."""

import pytest

from apdu.cipher import aes_block, cbc_decrypt, cbc_encrypt, cmac, key_check_value
from tests.vectors.packaged import nist, wycheproof

FIPS_197 = [
    ("000102030405060708090a0b0c0d0e0f", "69c4e0d86a7b0430d8cdb78070b4c55a"),
    ("000102030405060708090a0b0c0d0e0f1011121314151617", "dda97ca4864cdfe06eaf70a0ec0d7191"),
    ("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "8ea2b7ca516745bfeafc49904b496089"),
]
"""Key and cipher text of appendix C for the block 00112233445566778899aabbccddeeff."""


@pytest.mark.parametrize(("key", "secret"), FIPS_197)
def test_one_block_as_in_fips_197(key: str, secret: str) -> None:
    block = bytes.fromhex("00112233445566778899aabbccddeeff")
    assert aes_block(bytes.fromhex(key), block).hex() == secret


def test_cbc_as_in_sp_800_38a() -> None:
    key, iv = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"), bytes(range(16))
    plain = bytes.fromhex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51")
    secret = cbc_encrypt(key, iv, plain)
    assert secret.hex() == "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
    assert cbc_decrypt(key, iv, secret) == plain


def test_cbc_takes_whole_blocks_only() -> None:
    with pytest.raises(ValueError, match="block"):
        cbc_decrypt(bytes(16), bytes(16), bytes(17))


@pytest.mark.parametrize("size", [128, 192, 256])
def test_cmac_as_in_sp_800_38b(size: int) -> None:
    vectors = list(nist(f"CMAC/nist-800-38b-aes{size}.txt"))
    assert len(vectors) == 4
    for vector in vectors:
        mac = cmac(bytes.fromhex(vector["KEY"]), bytes.fromhex(vector["MESSAGE"]))
        assert mac.hex() == vector["OUTPUT"]


def test_cmac_of_wycheproof() -> None:
    seen = {"valid": 0, "invalid": 0, "no AES key": 0}
    for group in wycheproof("Hash/wycheproof/aes_cmac_test.json"):
        for test in group["tests"]:
            key, message, tag = (bytes.fromhex(test[name]) for name in ("key", "msg", "tag"))
            if len(key) not in (16, 24, 32):
                with pytest.raises(ValueError, match="key"):
                    cmac(key, message)
                seen["no AES key"] += 1
                continue
            assert (cmac(key, message) == tag) == (test["result"] == "valid"), test["tcId"]
            seen[test["result"]] += 1
    assert seen == {"valid": 63, "invalid": 243, "no AES key": 5}


def test_key_check_value_is_of_a_block_of_ones() -> None:
    key = bytes.fromhex("404142434445464748494a4b4c4d4e4f")
    assert key_check_value(key).hex() == "504a77"
    assert key_check_value(key) == aes_block(key, b"\x01" * 16)[:3]
