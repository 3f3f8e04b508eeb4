"""``python -m saifu``: the same as ``saifu``."""

from saifu.cli import main

main()
