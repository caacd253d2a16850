"""Notification of a sync: once, by every channel, to a real web and mail server on loopback."""

from __future__ import annotations

import datetime
import ipaddress
import json
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from agentops_ref import load_config
from agentops_ref.errors import ConfigError, OperatorError
from agentops_ref.ops import notify
from agentops_ref.wiring import App, build


class Hook:
    """A web server that keeps what is posted to it."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.tokens: list[str | None] = []
        self.status = 200
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.bodies.append(json.loads(body))
                hook.tokens.append(self.headers["Authorization"])
                self.send_response(hook.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/services/s3cret"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


class Mailbox:
    """What a mail server hands its messages to."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.envelopes: list[tuple[str, list[str]]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        message = message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        self.mails.append(message)
        self.envelopes.append((envelope.mail_from, envelope.rcpt_tos))
        return "250 OK"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    for n in range(4):
        (tmp_path / "docs" / f"good{n}.md").write_text(f"# Torque\n\n18 Nm for {n}.")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "base.yaml").write_text(
        "models: {mode: scripted}\npaths: {state: state, cache: cache}\n"
        "etl:\n  source: {root: docs}\n  sink: {kind: memory}\n  tables: {root: null}\n"
    )
    return tmp_path


Make = Callable[..., App]


@pytest.fixture
def app(project: Path) -> Make:
    """Apps over one index, as if each sync ran in a process of its own."""
    first: list[App] = []

    def make(**settings: Any) -> App:
        made = build(load_config(overrides={f"etl.notify.{k}": v for k, v in settings.items()}))
        if first:
            made.__dict__["sink"] = first[0].sink
        first.append(made)
        return made

    return make


def broken(project: Path, *names: str) -> None:
    for name in names:
        (project / "docs" / name).write_bytes(b"")


def test_what_fails_is_posted_once_and_again_when_it_is_new(
    project: Path, hook: Hook, app: Make
) -> None:
    webhook = {"url": hook.url}
    notify.sync(app(webhook=webhook))
    assert hook.bodies == [], "nothing failed"
    broken(project, "bad.pdf")
    notify.sync(app(webhook=webhook))
    ((body),) = hook.bodies
    reason = "bad.pdf: the file is empty (0 bytes)"
    assert body["failed"] == [{"document": "bad.pdf", "reason": reason}]
    assert (body["source"], body["refused"]) == (str(project / "docs"), "")
    assert "1 document failed" in body["text"]
    assert "To do: mend or delete each one" in body["text"]
    notify.sync(app(webhook=webhook))
    assert len(hook.bodies) == 1, "it still fails, which was told"
    broken(project, "worse.pdf")
    notify.sync(app(webhook=webhook))
    assert [one["document"] for one in hook.bodies[1]["failed"]] == ["worse.pdf"]
    (project / "docs" / "bad.pdf").write_bytes(b"%PDF- nothing")
    notify.sync(app(webhook=webhook))
    assert "not a readable pdf" in hook.bodies[2]["failed"][0]["reason"], "another reason is news"
    (project / "docs" / "bad.pdf").unlink()
    notify.sync(app(webhook=webhook))
    assert len(hook.bodies) == 3
    broken(project, "bad.pdf")
    notify.sync(app(webhook=webhook))
    assert hook.bodies[3]["failed"] == [{"document": "bad.pdf", "reason": reason}], "it broke anew"


def test_a_refused_sync_is_told_with_what_to_do(project: Path, hook: Hook, app: Make) -> None:
    for name in "abc":
        (project / "docs" / f"{name}.md").write_text(f"# {name}\n\ntext")
    notify.sync(app(webhook={"url": hook.url}))
    for path in (project / "docs").glob("[abc].md"):
        path.unlink()
    report = notify.sync(app(webhook={"url": hook.url}))
    assert report.refused
    assert hook.bodies[0]["refused"] == report.refused
    assert "--allow-mass-deletion" in hook.bodies[0]["text"]


def test_a_sync_that_ends_with_an_error_is_told_and_still_raises(
    project: Path, hook: Hook, app: Make
) -> None:
    broken(project, "bad.pdf")
    notify.sync(app(webhook={"url": hook.url}))
    (project / "docs").rename(project / "away")
    for _ in range(2):
        with pytest.raises(OperatorError, match="no folder"):
            notify.sync(app(webhook={"url": hook.url}))
    assert len(hook.bodies) == 2
    assert "no folder" in hook.bodies[1]["refused"]
    assert hook.bodies[1]["version"] is None
    (project / "away").rename(project / "docs")
    notify.sync(app(webhook={"url": hook.url}))
    assert len(hook.bodies) == 2, "what was told of bad.pdf was not forgotten"


@pytest.mark.parametrize("failure", ["answers 500", "nobody there", "no variable"])
def test_a_webhook_that_fails_fails_no_sync_and_is_told_later(
    project: Path,
    hook: Hook,
    app: Make,
    failure: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    webhook: dict[str, Any] = {"url_env": "HOOK"}
    if failure != "no variable":
        monkeypatch.setenv(
            "HOOK", hook.url if failure == "answers 500" else "http://127.0.0.1:9/s3"
        )
    hook.status = 500
    broken(project, "bad.pdf")
    report = notify.sync(app(webhook=webhook))
    assert [name for name, _ in report.quarantined] == ["bad.pdf"]
    assert "cannot notify by webhook" in caplog.text
    assert "s3" not in caplog.text.replace("https", ""), "the address is a secret"
    hook.bodies.clear()
    hook.status = 200
    monkeypatch.setenv("HOOK", hook.url)
    monkeypatch.setenv("TOKEN", "t0ken")
    notify.sync(app(webhook={**webhook, "token_env": "TOKEN"}))
    assert [one["document"] for one in hook.bodies[0]["failed"]] == ["bad.pdf"]
    assert hook.tokens[-1] == "Bearer t0ken"


def test_a_damaged_memory_tells_once_more(project: Path, hook: Hook, app: Make) -> None:
    broken(project, "bad.pdf")
    notify.sync(app(webhook={"url": hook.url}))
    (project / "state" / "notified.json").write_text("{")
    notify.sync(app(webhook={"url": hook.url}))
    notify.sync(app(webhook={"url": hook.url}))
    assert len(hook.bodies) == 2


def test_the_log_is_told_as_well(
    project: Path, app: Make, caplog: pytest.LogCaptureFixture
) -> None:
    broken(project, "bad.pdf")
    notify.sync(app())
    notify.sync(app())
    told = [r for r in caplog.records if r.name == notify.__name__]
    assert [record.levelno for record in told] == [logging.WARNING]
    assert "bad.pdf: the file is empty" in told[0].getMessage()
    caplog.clear()
    broken(project, "other.pdf")
    notify.sync(app(log=False))
    assert caplog.records == []


def mail_settings(port: int, **more: Any) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": port,
        "starttls": False,
        "sender": "agentops@example.org",
        "to": ["ops@example.org", "owner@example.org"],
        **more,
    }


def test_a_mail_says_what_failed_and_what_to_do(project: Path, app: Make) -> None:
    box = Mailbox()
    server = Controller(box, hostname="127.0.0.1", port=free_port())
    server.start()
    try:
        name = "Wärme\nSubject: forged.pdf"
        broken(project, name, *(f"{n:02}.pdf" for n in range(25)))
        notify.sync(app(email=mail_settings(server.port)))
        notify.sync(app(email=mail_settings(server.port)))
    finally:
        server.stop()
    ((mail),) = box.mails
    assert box.envelopes == [("agentops@example.org", ["ops@example.org", "owner@example.org"])]
    assert mail["Subject"] == "agentops: 26 documents failed"
    text = mail.get_content()
    assert "- 07.pdf: the file is empty (0 bytes)" in text
    assert "and 6 more: agentops ingest status" in text
    assert "To do: " in text
    assert mail.get_all("Subject") == [mail["Subject"]], "a file's name forges no header"


def certificate(folder: Path) -> ssl.SSLContext:
    """A server's certificate that only this test trusts."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def test_a_password_goes_only_to_a_server_that_is_trusted(
    project: Path,
    app: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    box, logins = Mailbox(), []

    def login(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"pa55")

    server = Controller(
        box,
        hostname="127.0.0.1",
        port=free_port(),
        tls_context=certificate(tmp_path),
        require_starttls=True,
        auth_required=True,
        authenticator=login,
    )
    server.start()
    try:
        settings = mail_settings(
            server.port, starttls=True, username="agentops", password_env="MAIL_PASSWORD"
        )
        monkeypatch.setenv("MAIL_PASSWORD", "pa55")
        broken(project, "bad.pdf")
        notify.sync(app(email=settings))
        assert (logins, box.mails) == ([], [])
        assert "cannot notify by email: SSLCertVerificationError" in caplog.text
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        notify.sync(app(email=settings))
    finally:
        server.stop()
    assert logins == [(b"agentops", b"pa55")]
    assert len(box.mails) == 1
    assert "pa55" not in caplog.text


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("webhook", {"timeout": 3}, "either `url` or `url_env`"),
        ("webhook", {"url": "http://a", "url_env": "B"}, "either `url` or `url_env`"),
        ("email", mail_settings(25, username="me"), "`password_env` come together"),
        (
            "email",
            mail_settings(25, username="me", password_env="P"),
            "with `starttls: true` only",
        ),
        ("email", mail_settings(25, to=[]), "at least 1 item"),
    ],
)
def test_a_wrong_setting_is_refused(app: Make, setting: str, value: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        app(**{setting: value})
