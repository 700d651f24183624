"""Fuzzing: real documents and their damage, through everything that reads what others wrote.

`targets` is the table: what is called, with which seeds, what it may raise, and what it may cost. The short run is
`test_targets`; the long one is `python -m tests.fuzz [TARGET…]`, for $MIRRORPY_FUZZ_SECONDS each.
"""
