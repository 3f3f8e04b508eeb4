"""Names of the commands and status words of a GSM SIM, class A0 (GSM 11.11 clause 9, GSM 11.14 for the last four)."""

from apdu.counting import counted

__all__ = ["COMMANDS", "status_of_sim"]

COMMANDS: dict[int, str] = {
    0x04: "INVALIDATE",
    0x20: "VERIFY CHV",
    0x24: "CHANGE CHV",
    0x26: "DISABLE CHV",
    0x28: "ENABLE CHV",
    0x2C: "UNBLOCK CHV",
    0x32: "INCREASE",
    0x44: "REHABILITATE",
    0x88: "RUN GSM ALGORITHM",
    0xA2: "SEEK",
    0xA4: "SELECT",
    0xB0: "READ BINARY",
    0xB2: "READ RECORD",
    0xC0: "GET RESPONSE",
    0xD6: "UPDATE BINARY",
    0xDC: "UPDATE RECORD",
    0xF2: "STATUS",
    0xFA: "SLEEP",
    0x10: "TERMINAL PROFILE",
    0xC2: "ENVELOPE",
    0x12: "FETCH",
    0x14: "TERMINAL RESPONSE",
}
"""Instructions in class A0."""

_STATUS: dict[int, str] = {
    0x9240: "memory problem",
    0x9300: "SIM application toolkit is busy: try again",
    0x9400: "no EF is selected",
    0x9402: "out of range: invalid address",
    0x9404: "file ID or pattern not found",
    0x9408: "the file does not fit the command",
    0x9802: "no CHV initialized",
    0x9804: "access condition not fulfilled, or wrong CHV with a try left",
    0x9808: "in contradiction with the CHV's status",
    0x9810: "in contradiction with the invalidation status",
    0x9840: "CHV blocked: no try is left",
    0x9850: "the increase cannot be made: the highest value is reached",
    0x9862: "authentication error, application specific",
}
"""Status words of clause 9.4, and of later releases (3GPP TS 51.011 clause 9.4)."""
_COMMAND_WAITS, _LONG_ANSWER, _ERROR_AND_ANSWER, _RETRIED = 0x91, 0x9F, 0x9E, 0x92


def status_of_sim(sw: int) -> str | None:
    """What a status word of a SIM says, that no other card says so; None for others."""
    word, low = sw >> 8, sw & 0xFF
    if word in (_LONG_ANSWER, _ERROR_AND_ANSWER):
        return f"{low} bytes wait" if word == _LONG_ANSWER else f"SIM data download error: {low} bytes wait"
    if word == _COMMAND_WAITS:
        return f"done; a command of {low} bytes waits for FETCH"
    if word == _RETRIED and low < 0x10:
        return f"done, after {counted(low, 'try', 'tries')} to write"
    return _STATUS.get(sw)
