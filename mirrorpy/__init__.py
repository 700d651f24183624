"""mirrorpy: an incremental, rsync-free mirrorer of RPM-MD repositories."""

__version__ = "0.1.0"
