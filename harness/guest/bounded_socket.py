"""A connection on which the machine may send only so much: whatever it sends beyond that ends the connection."""

from __future__ import annotations

import errno
import socket

READ_BYTES = 1 << 16  # at a time; paramiko asks for as much as a packet claims to hold


class BoundedSocket(socket.socket):
    """Takes over a connected socket. It counts what arrives, so that no reader above it holds more than is allowed.

    `exceeded` tells afterwards whether the machine sent more.
    """

    def __init__(self, connected: socket.socket) -> None:
        timeout_s = connected.gettimeout()
        super().__init__(fileno=connected.detach())
        self.settimeout(timeout_s)
        self.exceeded, self.allowed_bytes, self._left = False, 0, 0

    def allow(self, size: int) -> None:
        """Let the machine send `size` bytes from now on, however many were left."""
        self.allowed_bytes = self._left = size

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Return what arrived, as `socket.recv` does. Raises OSError when it is more than allowed."""
        received = super().recv(min(size, READ_BYTES), flags)
        self._left -= len(received)
        if self._left < 0:
            self.exceeded = True
            raise OSError(errno.EMSGSIZE, f"the machine sent more than {self.allowed_bytes} bytes")
        return received

    def hang_up(self) -> None:
        """End the connection in both directions; whoever waits for it goes on."""
        try:
            self.shutdown(socket.SHUT_RDWR)
        except OSError:  # already closed
            return
