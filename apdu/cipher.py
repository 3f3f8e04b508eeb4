"""The AES primitives that both sides of a channel share: nothing of SCP03 itself is here."""

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB
from cryptography.hazmat.primitives.cmac import CMAC

__all__ = ["BLOCK", "aes_block", "cbc_decrypt", "cbc_encrypt", "cmac", "key_check_value"]

BLOCK = 16
"""AES block size in bytes."""


def cmac(key: bytes, message: bytes) -> bytes:
    """AES-CMAC, 16 bytes (NIST SP 800-38B); keys of 16, 24 or 32 bytes."""
    mac = CMAC(AES(key))
    mac.update(message)
    return mac.finalize()


def aes_block(key: bytes, block: bytes) -> bytes:
    """Encrypt one block of 16 bytes (FIPS 197)."""
    encryptor = Cipher(AES(key), ECB()).encryptor()  # noqa: S305  (one block, as SCP03 and key check values want)
    return encryptor.update(block) + encryptor.finalize()


def cbc_encrypt(key: bytes, iv: bytes, plain: bytes) -> bytes:
    """AES-CBC over whole blocks, no padding (NIST SP 800-38A)."""
    encryptor = Cipher(AES(key), CBC(iv)).encryptor()
    return encryptor.update(plain) + encryptor.finalize()


def cbc_decrypt(key: bytes, iv: bytes, secret: bytes) -> bytes:
    """Undo cbc_encrypt; raises ValueError when the length is no multiple of 16."""
    decryptor = Cipher(AES(key), CBC(iv)).decryptor()
    return decryptor.update(secret) + decryptor.finalize()


def key_check_value(key: bytes) -> bytes:
    """First 3 bytes of 16 bytes of 01 encrypted (GlobalPlatform Card Specification 2.3, B.6)."""
    return aes_block(key, b"\x01" * BLOCK)[:3]
