"""The host's part of the command line, for the front door to compose."""

__all__ = ["COMMANDS"]

COMMANDS = {
    "reader": "host.reader_cli:app",
    "card": "host.card_cli:app",
    "terminal": "host.blacklist_cli:app",
    "remit": "host.terminal_cli:remit",
    "pos": "host.pos_cli:app",
    "atm": "host.atm_cli:app",
    "trace": "host.trace_cli:app",
    "apdu": "host.card_cli:apdu_command",
    "doctor": "host.doctor_cli:doctor",
}
"""Groups and commands, in the order of the help, and where each is."""
