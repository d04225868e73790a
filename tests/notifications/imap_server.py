"""A small IMAP server on this machine: as much of RFC 3501 as reading a mailbox takes."""

import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

PASSWORD = "hemmelig"


@dataclass
class Box:
    """The mails by UID, which are read, and what the clients said."""

    mails: dict[int, bytes] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    said: list[str] = field(default_factory=list)
    port: int = 0


class _Session(socketserver.StreamRequestHandler):
    server: Any

    def handle(self) -> None:
        """One conversation."""
        self._say(b"* OK ready")
        for line in self.rfile:
            tag, command, rest = [*line.decode().strip().split(" ", 2), ""][:3]
            self.server.box.said.append(command.upper() if command.upper() != "UID" else f"UID {rest.split()[0]}")
            answer = getattr(self, f"_{command.lower()}")(rest)
            self._say(f"{tag} {answer}".encode())
            if command.upper() == "LOGOUT":
                return

    def _say(self, line: bytes) -> None:
        self.wfile.write(line + b"\r\n")

    def _capability(self, rest: str) -> str:
        self._say(b"* CAPABILITY IMAP4rev1")
        return "OK done"

    def _login(self, rest: str) -> str:
        return "OK done" if rest.endswith(f'"{PASSWORD}"') else "NO wrong password"

    def _select(self, rest: str) -> str:
        if rest != '"INBOX"':
            return "NO no such folder"
        self._say(f"* {len(self.server.box.mails)} EXISTS".encode())
        return "OK [READ-WRITE] done"

    def _logout(self, rest: str) -> str:
        self._say(b"* BYE")
        return "OK done"

    def _uid(self, rest: str) -> str:
        box: Box = self.server.box
        verb, arguments = rest.split(" ", 1)
        if verb == "SEARCH":
            asked = re.fullmatch("UNSEEN (NOT )?HEADER Content-Type multipart/report", arguments)
            assert asked is not None
            heads = {uid: raw.partition(b"\r\n\r\n")[0].lower() for uid, raw in box.mails.items()}
            reports = {uid: b"multipart/report" in head for uid, head in heads.items() if uid not in box.seen}
            found = [uid for uid, is_report in reports.items() if is_report is (asked[1] is None)]
            self._say(" ".join(["* SEARCH", *map(str, found)]).encode())
            return "OK done"
        uid = int(arguments.split(" ", 1)[0])
        if verb == "STORE":
            box.seen.add(uid)
            return "OK done"
        length = re.search(r"BODY\.PEEK\[\]<0\.(\d+)>", arguments)
        assert length is not None
        raw = box.mails[uid][: int(length[1])]
        self.wfile.write(f"* 1 FETCH (UID {uid} BODY[]<0> {{{len(raw)}}}\r\n".encode() + raw + b")\r\n")
        return "OK done"


@contextmanager
def serving(**mails: bytes) -> Iterator[Box]:
    """A mailbox with these mails, by name in no order that matters."""
    box = Box(mails=dict(enumerate(mails.values(), start=1)))
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Session)
    server.daemon_threads, server.box = True, box  # type: ignore[attr-defined]
    box.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield box
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
