"""An SMTP server that delivers to a folder, and a page on which a person can read what was sent.

    python -m deploy.local.mailcatcher --port 2525 --folder .run/mail --http-port 8025

Both listen on 127.0.0.1 only. A mail is on disk before its sender hears 250.
"""

from __future__ import annotations

import argparse
import asyncio
import email
import email.policy
import html
import os
import secrets
import signal
import time
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path

import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route

MAX_MAIL_BYTES = 10 * 1024 * 1024


def read_mails(folder: Path) -> list[EmailMessage]:
    """The mails that were kept, in order of arrival; none when there is no such folder.

    Every mail has `Return-Path` and one `Delivered-To` a recipient: the SMTP envelope, which need not agree
    with From and To.
    """
    return [_parse(path) for path in _kept(folder)]


def _kept(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.eml"))


def _parse(path: Path) -> EmailMessage:
    content = path.read_bytes().replace(b"\r\n", b"\n")  # the wire's line ends are not the reader's
    return email.message_from_bytes(content, policy=email.policy.default)


def keep(folder: Path, sender: str, recipients: Sequence[str], content: bytes) -> Path:
    """Writes one mail so that it survives a crash once this returns. Raises OSError when it cannot."""
    envelope = [f"Return-Path: <{sender}>", *(f"Delivered-To: {recipient}" for recipient in recipients)]
    name = f"{time.time_ns():020d}-{secrets.token_hex(3)}.eml"
    draft = folder / f".{name}"
    with draft.open("xb") as file:
        file.write("".join(f"{line}\r\n" for line in envelope).encode() + content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / name)
    entry = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(entry)
    finally:
        os.close(entry)
    return folder / name


class _Keeper:
    """What aiosmtpd calls for every mail."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        try:
            await asyncio.to_thread(keep, self._folder, envelope.mail_from or "", envelope.rcpt_tos, content)
        except OSError as error:
            return f"451 not kept, try again later: {error.strerror}"
        return "250 kept"


def page(folder: Path) -> Starlette:
    """A read-only web page over the kept mails: `/` lists them, `/mail/<file>` shows one, `/ready` answers."""

    def index(_: Request) -> HTMLResponse:
        rows = []
        for path in reversed(_kept(folder)):
            mail = _parse(path)
            subject = html.escape(_header(mail, "Subject") or "(no subject)")
            rows.append(
                f"<tr><td>{html.escape(_when(mail))}<td>{html.escape(_header(mail, 'To'))}"
                f'<td><a href="/mail/{path.stem}">{subject}</a>'
            )
        table = f"<table><tr><th>Time<th>To<th>Subject{''.join(rows)}</table>"
        return _html("Mail", f"<h1>{len(rows)} mails</h1>{table if rows else '<p>Nothing was sent yet.</p>'}")

    def show(request: Request) -> HTMLResponse:
        wanted = request.path_params["name"]
        path = next((path for path in _kept(folder) if path.stem == wanted), None)
        if path is None:
            raise HTTPException(404, "no such mail")
        mail = _parse(path)
        headers = "".join(
            f"<tr><th>{name}<td>{html.escape(', '.join(map(str, mail.get_all(name, []))))}"
            for name in ("Date", "From", "To", "Delivered-To", "Subject", "Message-ID")
        )
        body = f'<p><a href="/">All mails</a></p><table>{headers}</table>'
        rich, plain = _text(mail, "html"), _text(mail, "plain")
        if rich is not None:
            body += f'<h2>HTML</h2><iframe sandbox srcdoc="{html.escape(rich)}"></iframe>'
        if plain is not None:
            body += f"<h2>Text</h2><pre>{html.escape(plain)}</pre>"
        return _html(_header(mail, "Subject"), body)

    def ready(_: Request) -> PlainTextResponse:
        return PlainTextResponse("ready")

    return Starlette(routes=[Route("/", index), Route("/mail/{name}", show), Route("/ready", ready)])


def _header(mail: EmailMessage, name: str) -> str:
    return str(mail.get(name, ""))


def _when(mail: EmailMessage) -> str:
    try:
        return parsedate_to_datetime(_header(mail, "Date")).strftime("%Y-%m-%d %H:%M:%S %z")
    except ValueError:
        return ""


def _text(mail: EmailMessage, kind: str) -> str | None:
    part = mail.get_body((kind,))
    return None if part is None else str(part.get_content())


_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { border-bottom: 1px solid #ccc; padding: .3rem .6rem; text-align: left; vertical-align: top }
iframe { border: 1px solid #ccc; height: 32rem; width: 100% }
pre { background: #f4f4f4; padding: 1rem; white-space: pre-wrap }
"""
# A mail may not load or run anything, nor may what it puts in a header.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'"


def _html(title: str, body: str) -> HTMLResponse:
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style>{body}</html>",
        headers={"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"},
    )


def _prepare(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for draft in folder.glob(".*.eml"):  # of a mail whose sender never heard 250
        draft.unlink()


async def serve(folder: Path, port: int, http_port: int | None) -> None:
    """Catches mail until SIGTERM or SIGINT. Raises OSError when a port is taken."""
    _prepare(folder)
    loop = asyncio.get_running_loop()
    keeper = _Keeper(folder)
    smtp = await loop.create_server(
        lambda: SMTP(
            keeper, hostname="localhost", enable_SMTPUTF8=True, data_size_limit=MAX_MAIL_BYTES, loop=loop
        ),
        "127.0.0.1",
        port,
    )
    async with smtp:
        if http_port is None:
            stopped = asyncio.Event()
            for order in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(order, stopped.set)
            await stopped.wait()
        else:
            config = uvicorn.Config(page(folder), host="127.0.0.1", port=http_port, log_level="warning")
            await uvicorn.Server(config).serve()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.mailcatcher", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="SMTP port")
    parser.add_argument("--folder", type=Path, required=True, help="where mails are kept, one .eml file each")
    parser.add_argument("--http-port", type=int, help="port of the page; without it there is none")
    options = parser.parse_args()
    asyncio.run(serve(options.folder, options.port, options.http_port))


if __name__ == "__main__":
    main()
