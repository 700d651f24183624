"""uvicorn's HTTP/1.1 with less patience: a connection that asks for nothing, or never to the end, is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

IDLE_SECONDS = 30


class Protocol(H11Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to look after it."""
        super().connection_made(transport)
        self.loop.call_later(IDLE_SECONDS, self._look, None)

    def _look(self, last: Any) -> None:
        """Close it, if no request is being answered and none was begun since the last look."""
        if self.transport.is_closing():
            return
        answered = self.cycle is None or self.cycle.response_complete
        if answered and self.cycle is last:
            self.transport.close()
            return
        self.loop.call_later(IDLE_SECONDS, self._look, self.cycle)
