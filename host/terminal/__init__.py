"""The patent's terminals: purse terminal (13), POS (30) and ATM, with its step names S101 to S313."""
