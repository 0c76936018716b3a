#!/usr/bin/python3
"""Takes OTLP over HTTP: metrics go on to Prometheus, traces and logs are counted and kept in /data."""

import http.client
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

DATA = Path("/data")
LOCK = threading.Lock()


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(200, b"ok")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        signal_name = self.path.rsplit("/", 1)[-1]
        if signal_name == "metrics":
            self._answer(*self._pass_on(body))
        elif signal_name in ("traces", "logs"):
            with LOCK, (DATA / f"{signal_name}.otlp").open("ab") as file:  # protobuf, each behind its length
                file.write(len(body).to_bytes(4, "big") + body)
            self._answer(200, b"")
        else:
            self._answer(404, b"")

    def _pass_on(self, body: bytes) -> tuple[int, bytes]:
        prometheus = http.client.HTTPConnection("127.0.0.1", 9090, timeout=10)
        about = ("Content-Type", "Content-Encoding")
        headers = {name: self.headers[name] for name in about if name in self.headers}
        try:
            prometheus.request("POST", "/api/v1/otlp/v1/metrics", body, headers)
            answer = prometheus.getresponse()
            return answer.status, answer.read()
        except OSError:
            return 503, b""
        finally:
            prometheus.close()

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Every service sends every few seconds."""


(DATA / "prometheus").mkdir(parents=True, exist_ok=True)
prometheus = subprocess.Popen(
    [
        "/usr/bin/prometheus",
        "--config.file=/otel-lgtm/prometheus.yaml",
        f"--storage.tsdb.path={DATA / 'prometheus'}",
        "--enable-feature=otlp-write-receiver,exemplar-storage",
        "--web.listen-address=0.0.0.0:9090",
    ]
)


def stop(*_: Any) -> None:
    prometheus.terminate()
    prometheus.wait()
    os._exit(0)


for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, stop)
threading.Thread(target=ThreadingHTTPServer(("0.0.0.0", 4318), Receiver).serve_forever, daemon=True).start()
sys.exit(prometheus.wait())
