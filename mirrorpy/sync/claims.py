"""Who of the repositories under way downloads a file that several of them want."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mirrorpy.rpmmd.model import Checksum


class Claims:
    """Files being downloaded, by strong checksum.

    Nobody waits for others' files while holding claims of its own, so nobody waits in a circle.
    """

    def __init__(self, *, shared: bool = True) -> None:
        self.shared = shared
        """Whether several repositories may make claims."""
        self._changed = threading.Condition()
        self._claimed: set[Checksum] = set()

    def claim(self, checksum: Checksum) -> bool:
        """Take a file, unless somebody else has it; a weak checksum concerns one repository only."""
        if not checksum.strong:
            return True
        with self._changed:
            if checksum in self._claimed:
                return False
            self._claimed.add(checksum)
            return True

    def release(self, checksums: Iterable[Checksum]) -> None:
        """Give files back, whether they are in the pool now or could not be had."""
        with self._changed:
            self._claimed.difference_update(checksums)
            self._changed.notify_all()

    def wait(self, checksums: Iterable[Checksum]) -> None:
        """Wait until nobody holds any of these."""
        wanted = set(checksums)
        with self._changed:
            self._changed.wait_for(lambda: self._claimed.isdisjoint(wanted))
