#!/usr/bin/python3
"""Takes OTLP over HTTP: metrics go on to Prometheus, traces and logs are kept in /data.

Debian's Prometheus is built without its OTLP receiver. Debian's vmagent stands in for that: it gives metrics the
same names, and with RELABEL the same labels, and writes them to Prometheus.
"""

import http.client
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

DATA = Path("/data")
RELABEL = """
- source_labels: [service_namespace, service_name]
  separator: /
  target_label: job
- source_labels: [service_instance_id]
  target_label: instance
- regex: (service|telemetry)_.+
  action: labeldrop
"""
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
        agent = http.client.HTTPConnection("127.0.0.1", 8429, timeout=10)
        about = ("Content-Type", "Content-Encoding")
        headers = {name: self.headers[name] for name in about if name in self.headers}
        try:
            agent.request("POST", "/opentelemetry/v1/metrics", body, headers)
            answer = agent.getresponse()
            return answer.status, answer.read()
        except OSError:
            return 503, b""
        finally:
            agent.close()

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
        "--web.enable-remote-write-receiver",
        "--web.listen-address=0.0.0.0:9090",
    ]
)
(DATA / "relabel.yaml").write_text(RELABEL)
agent = subprocess.Popen(
    [
        "/usr/bin/vmagent",
        "-httpListenAddr=127.0.0.1:8429",
        "-opentelemetry.usePrometheusNaming",
        "-remoteWrite.url=http://127.0.0.1:9090/api/v1/write",
        "-remoteWrite.forcePromProto",
        f"-remoteWrite.relabelConfig={DATA / 'relabel.yaml'}",
        f"-remoteWrite.tmpDataPath={DATA / 'vmagent'}",
    ]
)


def stop(*_: Any) -> None:
    """What waits for Prometheus below goes on when it has ended."""
    agent.terminate()
    prometheus.terminate()


for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, stop)
threading.Thread(target=ThreadingHTTPServer(("0.0.0.0", 4318), Receiver).serve_forever, daemon=True).start()
sys.exit(prometheus.wait())
