"""A mail server that fails where it is told to: it refuses, hangs up, or says nothing."""

import re
import socketserver
import sys
import threading
from email import message_from_bytes
from types import TracebackType
from typing import Self

#: In place of a reply: the connection ends, or nothing is said until the other side leaves.
DROP, SILENCE = "drop", "silence"
_USUAL = {
    "connect": "220 here", "EHLO": "250-here\r\n250-STARTTLS\r\n250 AUTH PLAIN", "HELO": "250 here",
    "AUTH": "235 welcome", "MAIL": "250 OK", "RCPT": "250 OK", "DATA": "354 go on", ".": "250 accepted",
    "RSET": "250 OK", "NOOP": "250 OK", "QUIT": "221 bye", "STARTTLS": "454 no certificate",
}  # fmt: skip


class FaultyServer:
    """Replies as SMTP does, unless `faults` says otherwise for a word; keeps what came."""

    def __init__(self) -> None:
        self.faults: dict[str, str] = {}
        #: Mails that one connection may carry; after them the server ends it.
        self.most = sys.maxsize
        #: Message-IDs of what was accepted, and of what came and was not.
        self.accepted: list[str] = []
        self.unheard: list[str] = []
        #: How often somebody connected, and how many mails were begun.
        self.knocks = 0
        self.begun = 0
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                outer._converse(self)

        class Server(socketserver.ThreadingTCPServer):
            # Its threads end with the conversation, and conversations end with the mailer's timeout.
            daemon_threads = False
            request_queue_size = 20

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    # --- a conversation ---

    def _converse(self, handler: socketserver.StreamRequestHandler) -> None:
        self.knocks += 1
        word, carried = "connect", 0
        while self._reply(handler, word) and word != "QUIT":
            if word == "DATA" and self._says("DATA").startswith("354"):
                word = "."
                self._read(handler)
                continue
            line = handler.rfile.readline()
            if not line:
                return
            word = line.split()[0].decode().upper()
            self.begun += word == "MAIL"
            carried += word == "MAIL"
            if carried > self.most:
                handler.wfile.write(b"421 too many\r\n")
                return

    def _says(self, word: str) -> str:
        return self.faults.get(word, _USUAL.get(word, "500 what?"))

    def _reply(self, handler: socketserver.StreamRequestHandler, word: str) -> bool:
        says = self._says(word)
        if says == SILENCE:
            handler.rfile.read(1)  # until the other side leaves
        if says in (DROP, SILENCE):
            return False
        handler.wfile.write(f"{says}\r\n".encode())
        return True

    def _read(self, handler: socketserver.StreamRequestHandler) -> None:
        content = b""
        while not content.endswith(b"\r\n.\r\n"):
            content += handler.rfile.readline()
        found = str(message_from_bytes(re.sub(rb"(?m)^\.\.", b".", content))["Message-ID"])
        (self.accepted if self._says(".").startswith("250") else self.unheard).append(found)
