"""Tags of the payload objects as names of a module.

Python 3.11 takes five times as long to look up a member of an enumeration, and an inspector does little else.
"""

from apdu.payload import Tag

__all__ = [
    "AMOUNT",
    "ATTESTATION",
    "CAPACITIES",
    "CARD_ID",
    "CERTIFICATE",
    "CHALLENGE",
    "COUNTER",
    "COUNTERS",
    "CREDIT",
    "CREDIT_USED",
    "DATE",
    "HEAD",
    "ORDER",
    "PARAMETERS",
    "PROOF",
    "RECEIPT",
    "REFERENCE_DATA",
    "REFUSAL",
    "REQUEST",
    "RESOLUTION",
    "STATUS",
    "UNSETTLED",
    "VALUE",
]

CARD_ID = Tag.CARD_ID
STATUS = Tag.STATUS
DATE = Tag.DATE
AMOUNT = Tag.AMOUNT
COUNTER = Tag.COUNTER
CERTIFICATE = Tag.CERTIFICATE
REQUEST = Tag.REQUEST
VALUE = Tag.VALUE
RECEIPT = Tag.RECEIPT
REFUSAL = Tag.REFUSAL
RESOLUTION = Tag.RESOLUTION
CREDIT = Tag.CREDIT
HEAD = Tag.HEAD
PROOF = Tag.PROOF
ORDER = Tag.ORDER
CHALLENGE = Tag.CHALLENGE
ATTESTATION = Tag.ATTESTATION
PARAMETERS = Tag.PARAMETERS
COUNTERS = Tag.COUNTERS
CREDIT_USED = Tag.CREDIT_USED
UNSETTLED = Tag.UNSETTLED
CAPACITIES = Tag.CAPACITIES
REFERENCE_DATA = Tag.REFERENCE_DATA
