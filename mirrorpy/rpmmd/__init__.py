"""The formats of RPM-MD repositories: bytes in, values out, no I/O of its own."""
