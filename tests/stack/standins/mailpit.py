#!/usr/bin/python3
"""Keeps every mail it is sent, and hands it out over the part of Mailpit's API that the stack's test reads."""

import json
import os
import sqlite3
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiosmtpd.controller import Controller

MAILS = sqlite3.connect(os.environ["MP_DATABASE"], isolation_level=None, check_same_thread=False)
MAILS.execute("PRAGMA synchronous = OFF")
MAILS.execute("CREATE TABLE IF NOT EXISTS mails (id INTEGER PRIMARY KEY, content BLOB NOT NULL)")
LOCK = threading.Lock()


def ask(query: str, *given: Any) -> list[Any]:
    with LOCK:
        return MAILS.execute(query, given).fetchall()


class Keeper:
    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        ask("INSERT INTO mails (content) VALUES (?)", envelope.content)
        return "250 kept"


class Api(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        url = urlsplit(self.path)
        match url.path.strip("/").split("/"):
            case ["readyz" | "livez"]:
                self._answer(b"ok", "text/plain")
            case ["api", "v1", "messages"]:
                asked = parse_qs(url.query)
                start, limit = int(asked.get("start", ["0"])[0]), int(asked.get("limit", ["50"])[0])
                newest_first = ask("SELECT id FROM mails ORDER BY id DESC LIMIT ? OFFSET ?", limit, start)
                ((total,),) = ask("SELECT count(*) FROM mails")
                answer = {"total": total, "messages": [{"ID": str(name)} for (name,) in newest_first]}
                self._answer(json.dumps(answer).encode(), "application/json")
            case ["api", "v1", "message", name, "raw"] if found := ask(
                "SELECT content FROM mails WHERE id = ?", name
            ):
                self._answer(found[0][0], "text/plain")
            case _:
                self.send_error(404)

    def _answer(self, body: bytes, content_type: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """A test reads mails by the hundred."""


Controller(Keeper(), hostname="0.0.0.0", port=1025).start()
ThreadingHTTPServer(("0.0.0.0", 8025), Api).serve_forever()
