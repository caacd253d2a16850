"""Tell people what a sync could not do, and what to do about it. Taught in chapter 3.

By log, webhook and e-mail, as ``etl.notify`` says. A channel is told what it was not told before: a
document that stays broken is reported once, and again when its reason changes or when it breaks
anew. What each channel knows stands in ``paths.state/notified.json``. A channel that fails is
logged, is tried again after the next sync, and never makes a sync fail.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentops_ref.errors import ConfigError, OperatorError, about
from agentops_ref.files import write_whole
from agentops_ref.records import SyncReport
from agentops_ref.settings import EmailConfig, NotifyConfig, WebhookConfig
from agentops_ref.wiring import App

log = logging.getLogger(__name__)
SHOWN = 20
"""Documents that a text names; the webhook's JSON has them all."""
WHOLE = ""
"""Stands for the sync as a whole where a document's name is expected."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What failed and was not told before."""

    source: str
    version: int | None
    """The index version that readers see; None when the sync ended with an error."""
    failed: Mapping[str, str]
    """Document → reason; the key is empty for what stopped the whole sync."""

    @property
    def subject(self) -> str:
        """One line without any document's name, which may hold anything."""
        documents = len(self.failed.keys() - {WHOLE})
        whole = ["the sync changed nothing"] if WHOLE in self.failed else []
        count = [f"{documents} document{'s' * (documents != 1)} failed"] if documents else []
        return f"agentops: {', '.join(whole + count)}"

    @property
    def text(self) -> str:
        """What failed and what to do, in plain text."""
        lines = [f"Source: {self.source}"]
        if WHOLE in self.failed:
            lines += [
                f"Nothing was changed: {self.failed[WHOLE]}",
                "To do: mend the source or the configuration and sync again. "
                "The index serves what it served before.",
            ]
        documents = sorted(self.failed.keys() - {WHOLE})
        if documents:
            lines.append(f"Documents that could not be used: {len(documents)}")
            lines += [f"- {about(name, self.failed[name])}" for name in documents[:SHOWN]]
            if len(documents) > SHOWN:
                lines.append(f"- and {len(documents) - SHOWN} more: agentops ingest status")
            lines.append(
                "To do: mend or delete each one at its source; the next sync takes it up. Until "
                "then the index serves its last good version, if there is one."
            )
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """Return the webhook's body; ``text`` is what chat programs show."""
        documents = sorted(self.failed.keys() - {WHOLE})
        return {
            "text": f"{self.subject}\n{self.text}",
            "source": self.source,
            "version": self.version,
            "refused": self.failed.get(WHOLE, ""),
            "failed": [{"document": d, "reason": self.failed[d]} for d in documents],
        }


Send = Callable[[Notice], None]


def sync(app: App, **options: Any) -> SyncReport:
    """Sync, and tell what failed; ``options`` are those of `App.sync`.

    Raises
    ------
    OperatorError
        As `App.sync` does; it was told as well.
    """
    settings, state = app.config.etl.notify, app.config.path(app.config.paths.state)
    try:
        report = app.sync(**options)
    except OperatorError as error:
        # Which documents fail is not known, so what was told of them stays.
        tell(settings, state, _place(app), None, {WHOLE: str(error)}, keep=True)
        raise
    failed = dict(report.quarantined)
    if report.refused:
        failed[WHOLE] = report.refused
    tell(settings, state, report.source, report.index_version, failed)
    return report


def tell(
    settings: NotifyConfig,
    state: Path,
    source: str,
    version: int | None,
    failed: Mapping[str, str],
    *,
    keep: bool = False,
) -> None:
    """Tell each channel what of ``failed`` it was not told before. Never raises.

    Parameters
    ----------
    state
        Folder of ``notified.json``.
    failed
        Document → reason, everything that fails now; what is not in it counts as mended.
    keep
        Nothing counts as mended.
    """
    try:
        file = state / "notified.json"
        told = _read(file)
        before = json.dumps(told)
        for channel, send in _channels(settings).items():
            known = told.setdefault(channel, {}).get(source, {})
            new = {name: why for name, why in failed.items() if known.get(name) != why}
            current = {**known, **failed} if keep else dict(failed)
            if new:
                try:
                    send(Notice(source, version, new))
                except Exception as error:  # whatever a channel raises, the sync was done
                    log.warning("cannot notify by %s: %s", channel, _safe(error))
                    current = {name: why for name, why in current.items() if name not in new}
            told[channel][source] = current
            if not current:
                del told[channel][source]
        if json.dumps(told) != before:
            _write(file, told)
    except Exception as error:
        log.warning("cannot notify: %s", _safe(error))


# --- the channels -----------------------------------------------------------------------------


def _channels(settings: NotifyConfig) -> dict[str, Send]:
    channels: dict[str, Send] = {}
    if settings.log:
        channels["log"] = lambda notice: log.warning("%s\n%s", notice.subject, notice.text)
    if settings.webhook is not None:
        webhook = settings.webhook
        channels["webhook"] = lambda notice: _post(webhook, notice)
    if settings.email is not None:
        email = settings.email
        channels["email"] = lambda notice: _mail(email, notice)
    return channels


def _post(settings: WebhookConfig, notice: Notice) -> None:
    import httpx

    headers = {}
    if settings.token_env:
        headers["Authorization"] = f"Bearer {_secret(settings.token_env, 'webhook.token_env')}"
    url = settings.url or _secret(settings.url_env or "", "webhook.url_env")
    response = httpx.post(url, json=notice.as_json(), headers=headers, timeout=settings.timeout)
    if not response.is_success:
        raise OperatorError(f"etl.notify.webhook: the server answered {response.status_code}")


def _mail(settings: EmailConfig, notice: Notice) -> None:
    import smtplib
    import ssl
    from email.message import EmailMessage

    message = EmailMessage()
    message["From"], message["To"] = settings.sender, ", ".join(settings.to)
    message["Subject"] = notice.subject
    message.set_content(notice.text.encode("utf-8", "replace").decode())
    with smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout) as server:
        if settings.starttls:
            server.starttls(context=ssl.create_default_context())
        if settings.username:
            server.login(
                settings.username, _secret(settings.password_env or "", "email.password_env")
            )
        server.send_message(message)


def _secret(variable: str, key: str) -> str:
    value = os.environ.get(variable, "")
    if not value:
        raise ConfigError(f"etl.notify.{key}: no environment variable '{variable}'")
    return value


def _safe(error: Exception) -> str:
    """Say what is wrong without an address or an answer, which may hold a secret."""
    if isinstance(error, ConfigError | OperatorError):
        return str(error)
    return type(error).__name__ + (f" {error.errno}" if isinstance(error, OSError) else "")


# --- what each channel was told ---------------------------------------------------------------

Told = dict[str, dict[str, dict[str, str]]]
"""channel → source → document → reason"""


def _read(file: Path) -> Told:
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        log.warning("%s is damaged and made anew: what fails is told once more", file)
        return {}
    return told if isinstance(told, dict) else {}


def _write(file: Path, told: Told) -> None:
    write_whole(file, json.dumps(told, indent=1))


def _place(app: App) -> str:
    """Return the source's name; what cannot even be made is named by its configuration."""
    try:
        return str(app.source.name)
    except (OperatorError, ConfigError):
        return f"{app.config.etl.source.kind} source"
