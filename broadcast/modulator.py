"""Modulator (25) of the center, fig. 6: ID encryption (45), and encryption of its key (47); [0027].

What it makes is one COSE_Encrypt message (RFC 9052 clause 5.1, CBOR tag 96) in deterministic CBOR::

    96([h'A10103',                                       protected: algorithm A256GCM
        {5: IV, 12 bytes},
        ciphertext and tag,                              45, under a fresh ID encryption key (48)
        [[h'', {1: -5, 4: kid}, wrapped key, 40 bytes]]  47, A256KW under the cipher key (46)
    ])

``kid`` is the number of the cipher key, 2 bytes. The external data (RFC 9052 clause 5.3) are ``saifu edition 1``
and the kid. They cost no byte on the air, and bind what the message is for, and the number that key wrap
(RFC 9053 clause 6.2.1) leaves open. Whose list it is, the signature inside says: every terminal of the
group holds the cipher key.
"""

from cwt import COSE, COSEKey, Recipient
from cwt.cose_key_interface import COSEKeyInterface

from apdu.errors import FormatError
from broadcast.cipher_key import CipherKey
from broadcast.packets import MAX_OBJECT

__all__ = ["MAX_PLAIN", "MAX_SEALED", "OVERHEAD", "cose_key", "external_data", "modulate"]

MAX_SEALED = MAX_OBJECT
"""Most bytes of a sealed message."""
OVERHEAD = 93
"""Bytes that sealing adds to a content of 240 to 65519 bytes; 91 or 92 below that, 95 above."""
MAX_PLAIN = MAX_SEALED - OVERHEAD - 2
"""Most bytes of a content."""

_CONTEXT = b"saifu edition 1"


def cose_key(key: CipherKey) -> COSEKeyInterface:
    """The cipher key as the COSE library takes it, for wrapping (47) and unwrapping (50)."""
    return COSEKey.from_symmetric_key(key.key, alg="A256KW", kid=key.number.to_bytes(2))


def external_data(number: int) -> bytes:
    """What is authenticated with a message sealed for a cipher key of this number, and is not sent: 17 bytes."""
    return _CONTEXT + number.to_bytes(2)


def modulate(plain: bytes, key: CipherKey) -> bytes:
    """Seal a content of up to 4 MiB less 95 bytes for a group's terminals; raises FormatError for a longer one.

    ID encryption key (48) and IV are fresh each time, so the same content never looks the same twice.
    """
    if len(plain) > MAX_PLAIN:
        raise FormatError(f"a content of {len(plain)} bytes cannot be sealed: {MAX_PLAIN} is the most")
    wrapping_key = cose_key(key)
    unprotected = {"alg": "A256KW", "kid": wrapping_key.kid}
    recipient = Recipient.new(unprotected=unprotected, sender_key=wrapping_key)
    content_key = COSEKey.generate_symmetric_key(alg="A256GCM")
    cose = COSE(alg_auto_inclusion=True)
    return cose.encode(plain, content_key, recipients=[recipient], external_aad=external_data(key.number))
