from __future__ import annotations

import asyncio
import smtplib
import sys
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import httpx
import pytest

from deploy.local.mailcatcher import read_mails
from deploy.local.processes import Supervisor, free_port


class Catcher:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.smtp_port = free_port()
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{free_port()}", trust_env=False)


@pytest.fixture(scope="module")
def catcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catcher]:
    folder = tmp_path_factory.mktemp("post")
    caught = Catcher(folder / "mail")
    supervisor = Supervisor(folder)
    options = ["--port", str(caught.smtp_port), "--http-port", str(caught.http.base_url.port)]
    supervisor.start(
        "mailcatcher",
        [sys.executable, "-m", "deploy.local.mailcatcher", "--folder", str(caught.folder), *options],
        {},
        f"{caught.http.base_url}/ready",
    )
    try:
        supervisor.wait_ready(["mailcatcher"], timeout=30)
        yield caught
    finally:
        supervisor.stop_all()
        caught.http.close()


def a_mail(subject: str, text: str = "Beste collega,\n", rich: str | None = None) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = "bus@praktijkbus.example"
    mail["To"] = "coach@wsp.example"
    mail["Subject"] = subject
    mail["Date"] = "Mon, 02 Mar 2026 09:30:00 +0100"
    mail.set_content(text)
    if rich is not None:
        mail.add_alternative(rich, subtype="html")
    return mail


def test_an_accepted_mail_is_on_disk_with_its_envelope(catcher: Catcher) -> None:
    with smtplib.SMTP("127.0.0.1", catcher.smtp_port) as smtp:
        smtp.send_message(a_mail("Erkenning gevraagd"), to_addrs=["coach@wsp.example", "kopie@wsp.example"])

    (kept,) = [mail for mail in read_mails(catcher.folder) if mail["Subject"] == "Erkenning gevraagd"]
    assert kept.get_all("Delivered-To") == ["coach@wsp.example", "kopie@wsp.example"]
    assert kept["Return-Path"] == "<bus@praktijkbus.example>"
    assert kept.get_content() == "Beste collega,\n"
    assert {path.suffix for path in catcher.folder.iterdir()} == {".eml"}


async def test_mails_come_back_in_the_order_they_were_sent(catcher: Catcher) -> None:
    for number in range(3):
        await aiosmtplib.send(
            a_mail(f"Herinnering {number}"), hostname="127.0.0.1", port=catcher.smtp_port, start_tls=False
        )

    mails = await asyncio.to_thread(read_mails, catcher.folder)
    subjects = [mail["Subject"] for mail in mails if mail["Subject"].startswith("Herinnering")]
    assert subjects == ["Herinnering 0", "Herinnering 1", "Herinnering 2"]


def test_a_person_can_look_at_what_was_sent(catcher: Catcher) -> None:
    with smtplib.SMTP("127.0.0.1", catcher.smtp_port) as smtp:
        smtp.send_message(a_mail("<b>Factuur</b>", "Als tekst", '<p title="x">Als HTML</p>'))

    index = catcher.http.get("/")
    assert "<td>coach@wsp.example<td>" in index.text
    assert "2026-03-02 09:30:00 +0100" in index.text
    assert "&lt;b&gt;Factuur&lt;/b&gt;" in index.text

    link = index.text.split('href="')[1].split('"')[0]
    shown = catcher.http.get(link)
    assert "<b>Factuur" not in shown.text
    assert '<iframe sandbox srcdoc="&lt;p title=&quot;x&quot;&gt;Als HTML' in shown.text
    assert "<pre>Als tekst" in shown.text
    assert shown.headers["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("name", ["does-not-exist", "..%2F..%2Fetc%2Fpasswd"])
def test_the_page_shows_nothing_but_mails(catcher: Catcher, name: str) -> None:
    assert catcher.http.get(f"/mail/{name}").status_code == 404


def test_a_folder_that_does_not_exist_has_no_mails(tmp_path: Path) -> None:
    assert read_mails(tmp_path / "mail") == []
