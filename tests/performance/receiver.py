"""An OTLP receiver that costs little: `python -m tests.performance.receiver PORT NAME [hangs]`.

It takes everything and decodes nothing; `GET /` tells how often the name of a span was in it. One that hangs reads
what it is sent and never answers.
"""

import asyncio
import re
import sys
from typing import Final

_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Receiver:
    def __init__(self, name: bytes, *, hangs: bool) -> None:
        self._name = name
        self._hangs = hangs
        self._seen = 0

    async def serve(self, port: int) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", port, limit=2**20)
        await server.serve_forever()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                found = _LENGTH.search(head)
                length = int(found[1]) if found else 0
                self._seen += (await reader.readexactly(length)).count(self._name)
                if self._hangs and length:
                    await asyncio.Event().wait()
                answer = str(self._seen).encode() if head.startswith(b"GET") else b""
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


if __name__ == "__main__":
    asyncio.run(Receiver(sys.argv[2].encode(), hangs="hangs" in sys.argv[3:]).serve(int(sys.argv[1])))
