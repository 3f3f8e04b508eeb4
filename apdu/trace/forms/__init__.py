"""Forms of traces that other programs write, one module each.

Every form has ``NAME``; ``detect(head)``, which looks at the first 4 KiB of a trace; and ``read(chunks)``, which
takes the bytes in pieces of any size and gives each item as soon as it is complete. Those that are also written
have ``write(items)``. Memory is bounded whatever the input is; an entry that is damaged becomes a Remark, which
never quotes its bytes, since they may hold a PIN.
"""
