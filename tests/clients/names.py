"""A name server that says what a test tells it to."""

import contextlib
import socket
import struct
import threading

HEADER_BYTES, TYPE_A, NO_SUCH_NAME = 12, 1, 3


class NameServer:
    """Answers each question for an IPv4 address (RFC 1035, section 4), and has no other records."""

    def __init__(self) -> None:
        self.answer: str | None = None
        """The address, or several with a comma between; None: there is no such name."""
        self.asked = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        with contextlib.suppress(
            OSError
        ):  # It is connected to nobody, which says so and wakes the thread all the same.
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            question, client = self._socket.recvfrom(512)
            if not question:
                return
            self._socket.sendto(self._reply(question), client)

    def _reply(self, question: bytes) -> bytes:
        end = question.index(0, HEADER_BYTES) + 5
        (kind,) = struct.unpack(">H", question[end - 4 : end - 2])
        addresses = [] if self.answer is None else self.answer.split(",")
        count = len(addresses) if kind == TYPE_A else 0
        flags = 0x8180 | (0 if addresses else NO_SUCH_NAME)
        reply = question[:2] + struct.pack(">HHHHH", flags, 1, count, 0, 0) + question[HEADER_BYTES:end]
        if not count:
            return reply
        self.asked += 1
        # That name, with a life of 0 seconds.
        head = struct.pack(">HHHIH", 0xC000 | HEADER_BYTES, TYPE_A, 1, 0, 4)
        return reply + b"".join(head + socket.inet_aton(address) for address in addresses)
