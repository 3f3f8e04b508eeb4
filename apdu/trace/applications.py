"""Whose application a name is: AIDs and registered providers often met (ISO 7816-4 clause 12.3, ISO 7816-5)."""

from typing import NamedTuple

from apdu.identity import AID

__all__ = ["APPLICATIONS", "Application", "find_application"]


class Application(NamedTuple):
    """What is known of an application."""

    name: str
    standard: str
    """Whose rules it keeps: ``saifu``, ``GlobalPlatform``, ``EMV`` or ``ISO 7816-4``, as ``name_of`` takes it."""


_GP, _EMV, _ISO = "GlobalPlatform", "EMV", "ISO 7816-4"

_NAMES: tuple[tuple[str, str, str], ...] = (
    ("A000000151", "GlobalPlatform", _GP),
    ("A000000151000000", "GlobalPlatform issuer security domain", _GP),
    ("A00000015153504341534400", "GlobalPlatform controlling authority security domain", _GP),
    ("A000000003000000", "Visa GlobalPlatform card manager", _GP),
    ("A000000018434D00", "Gemalto card manager", _GP),
    ("A0000000620001", "Java Card java.lang package", _GP),
    ("A000000062", "Java Card package", _GP),
    ("A00000055910", "eUICC (GSMA SGP)", _GP),
    ("A0000005591010FFFFFFFF8900000100", "eUICC ISD-R (GSMA SGP.22)", _GP),
    ("A0000005591010FFFFFFFF8900000200", "eUICC ECASD (GSMA SGP.22)", _GP),
    ("315041592E5359532E4444463031", "EMV payment system environment 1PAY.SYS.DDF01", _EMV),
    ("325041592E5359532E4444463031", "EMV proximity payment environment 2PAY.SYS.DDF01", _EMV),
    ("A000000003", "Visa", _EMV),
    ("A0000000031010", "Visa credit or debit", _EMV),
    ("A0000000032010", "Visa Electron", _EMV),
    ("A0000000032020", "V Pay", _EMV),
    ("A0000000038010", "Visa Plus", _EMV),
    ("A000000004", "Mastercard", _EMV),
    ("A0000000041010", "Mastercard credit or debit", _EMV),
    ("A0000000043060", "Maestro", _EMV),
    ("A0000000046000", "Cirrus", _EMV),
    ("A0000000048002", "Mastercard chip authentication program", _EMV),
    ("A0000000050001", "Maestro UK", _EMV),
    ("A000000025", "American Express", _EMV),
    ("A000000042", "Cartes Bancaires", _EMV),
    ("A0000000421010", "CB credit or debit", _EMV),
    ("A000000065", "JCB", _EMV),
    ("A000000098", "Visa USA common debit", _EMV),
    ("A000000121", "Dankort", _EMV),
    ("A000000141", "Cogeban PagoBancomat", _EMV),
    ("A000000152", "Discover, Diners Club", _EMV),
    ("A000000154", "Banricompras", _EMV),
    ("A000000228", "SPAN (mada)", _EMV),
    ("A000000277", "Interac", _EMV),
    ("A000000324", "Discover ZIP", _EMV),
    ("A000000333", "UnionPay", _EMV),
    ("A000000333010101", "UnionPay debit", _EMV),
    ("A000000333010102", "UnionPay credit", _EMV),
    ("A000000359", "girocard", _EMV),
    ("A000000371", "Verve", _EMV),
    ("A000000384", "eftpos Australia", _EMV),
    ("A000000439", "ACCEL Exchange", _EMV),
    ("A000000524", "RuPay", _EMV),
    ("A000000615", "MyDebit", _EMV),
    ("A000000620", "DNA shared debit", _EMV),
    ("A000000658", "Mir", _EMV),
    ("A000000672", "Troy", _EMV),
    ("A000000727", "NAPAS", _EMV),
    ("D27600002545500200", "German Geldkarte", _EMV),
    ("D276000025", "ZKA (German banks)", _EMV),
    ("D5780000021010", "BankAxept", _EMV),
    ("A000000308", "PIV (NIST SP 800-73)", _ISO),
    ("A000000308000010000100", "PIV card application (NIST SP 800-73)", _ISO),
    ("A000000116", "GSC-IS, Common Access Card", _ISO),
    ("D27600012401", "OpenPGP card", _ISO),
    ("D27600012402", "OpenPGP smart chess", _ISO),
    ("A0000006472F0001", "FIDO U2F and FIDO2", _ISO),
    ("A000000647", "FIDO", _ISO),
    ("A000000527", "Yubico", _ISO),
    ("A0000005272001", "YubiKey OTP", _ISO),
    ("A0000005272101", "YubiKey OATH", _ISO),
    ("A000000527471117", "YubiKey management", _ISO),
    ("A000000063504B43532D3135", "PKCS #15 (ISO 7816-15)", _ISO),
    ("A000000167455349474E", "CIA eSign (ISO 7816-15)", _ISO),
    ("E828BD080F", "ISO 7816-15 cryptographic information", _ISO),
    ("A000000087", "3GPP", _ISO),
    ("A0000000871002", "USIM (3GPP TS 31.102)", _ISO),
    ("A0000000871004", "ISIM (3GPP TS 31.103)", _ISO),
    ("A000000343", "CSIM (3GPP2)", _ISO),
    ("A000000009", "ETSI", _ISO),
    ("A0000002471001", "travel document, eMRTD (ICAO 9303)", _ISO),
    ("A0000002472001", "travel records (ICAO 9303)", _ISO),
    ("A0000002472002", "visa records (ICAO 9303)", _ISO),
    ("A0000002472003", "additional biometrics (ICAO 9303)", _ISO),
    ("A000000247", "ICAO", _ISO),
    ("E80704007F00070302", "German eID (BSI TR-03110)", _ISO),
    ("E80704007F00070301", "chip authentication, unsigned (BSI TR-03110)", _ISO),
    ("A0000002480200", "driving licence (ISO 18013-2)", _ISO),
    ("A0000002480400", "mobile driving licence (ISO 18013-5)", _ISO),
    ("A000000248", "ISO/IEC JTC 1/SC 17", _ISO),
    ("A00000045645444C2D3031", "European driving licence", _ISO),
    ("D2760000850101", "NFC Forum type 4 tag, NDEF", _ISO),
    ("D2760000850100", "NFC Forum type 4 tag, NDEF version 1", _ISO),
    ("D276000085", "NXP Semiconductors Germany", _ISO),
    ("A000000396", "NXP", _ISO),
    ("315449432E494341", "Calypso 1TIC.ICA", _ISO),
    ("A000000291", "Calypso", _ISO),
    ("A000000404", "Calypso transport card", _ISO),
    ("334D54522E494341", "Calypso 3MTR.ICA", _ISO),
    ("A000000177504B43532D3135", "Belgian eID", _ISO),
    ("D27600000102", "German health card, insured person's data", _ISO),
    ("D27600006601", "German qualified signature", _ISO),
    ("D2760001448000", "German health card root application", _ISO),
    ("A000000909", "Connectivity Standards Alliance", _ISO),
    ("A000000909ACCE5501", "Aliro", _ISO),
    ("A0000008580101", "Apple Home key", _ISO),
    ("A000000858", "Apple", _ISO),
)

APPLICATIONS: dict[bytes, Application] = {
    AID: Application("saifu purse", "saifu"),
    **{bytes.fromhex(aid): Application(name, standard) for aid, name, standard in _NAMES},
}
"""Applications by how their AIDs begin; five bytes are a registered provider (RID)."""

_LONGEST = max(map(len, APPLICATIONS))


def find_application(aid: bytes) -> Application | None:
    """The application whose known name is the longest beginning of ``aid``; None if nobody's."""
    for size in range(min(len(aid), _LONGEST), 0, -1):
        if (found := APPLICATIONS.get(aid[:size])) is not None:
            return found
    return None
