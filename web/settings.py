"""Every setting, read once from the environment (`AVTALEFLYT_*`), frozen and passed down."""

import secrets
from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """How this installation runs. docs/reference/settings.md has the same table."""

    model_config = SettingsConfigDict(env_prefix="AVTALEFLYT_", frozen=True, extra="ignore")

    database_url: str = Field("sqlite:///var/avtaleflyt.db", description="SQLAlchemy address of the database")
    base_url: str = Field("", description="Public address, used in mails; empty: http://host:port")
    host: str = Field("127.0.0.1", description="Address the web server listens on")
    port: int = Field(8000, description="Port the web server listens on")
    secret_key: SecretStr = Field(
        SecretStr(""), description="Signs sessions and links; empty: a file in var_dir, demo only"
    )
    secret_key_fallbacks: str = Field("", description="Former secret keys, comma-separated, still accepted")
    var_dir: Path = Field(Path("var"), description="Where local files lie")
    smtp_host: str = Field("", description="Mail server; empty: the demo's own")
    smtp_port: int = Field(587, description="Mail server's port")
    smtp_user: str = Field("", description="User at the mail server, where it wants one")
    smtp_password: SecretStr = Field(SecretStr(""), description="Password at the mail server")
    smtp_starttls: bool = Field(True, description="Encrypt the connection to the mail server")
    # Twelve of these, and the two minutes for a verdict, must fit into a mail's lease.
    smtp_timeout: float = Field(20, gt=0, le=30, description="Seconds to wait for the mail server")
    mail_per_minute: int = Field(600, ge=1, description="Mails that all processes together send in any minute")
    mail_late_minutes: int = Field(
        10, ge=1, description="Minutes after its time at which a mail that has not left is late"
    )
    bounce_imap_host: str = Field("", description="IMAP server of the mailbox to which mails come back; empty: none")
    bounce_imap_port: int = Field(993, description="Its port")
    bounce_imap_tls: bool = Field(True, description="Encrypt the connection to it")
    bounce_imap_user: str = Field("", description="User at the IMAP server")
    bounce_imap_password: SecretStr = Field(SecretStr(""), description="Password at the IMAP server")
    bounce_imap_folder: str = Field("INBOX", description="Folder with what came back")
    bounce_secret: SecretStr = Field(
        SecretStr(""), description="Signs what a mail provider reports to /e-post/retur; empty: nothing is received"
    )
    demo: bool = Field(False, description="Show the page where one chooses who one is; never where data is real")
    trusted_proxies: int = Field(
        0, ge=0, description="Proxies in front that tell the reader's address; 0: none is believed"
    )
    database_pooler: bool = Field(False, description="A pooler hands connections on after each transaction")
    dispatcher: Literal["polling", "procrastinate"] = Field(
        "polling", description="How a worker hears of what other processes make due: by looking, or by Procrastinate"
    )
    secure_cookies: bool = Field(False, description="Cookies over https only; set it behind https")
    max_upload_mb: int = Field(20, description="Largest file, in MB")
    community: str = Field("vestfold", description="Key of the community this installation serves")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    log_format: Literal["text", "json"] = Field("text", description="How log lines look: text for people, or json")
    metrics_token: SecretStr = Field(
        SecretStr(""), description="Whoever has it may read /metrics from elsewhere; empty: only this machine"
    )

    @property
    def mail_late_after(self) -> timedelta:
        """How long after its time a mail that has not left raises the alarm."""
        return timedelta(minutes=self.mail_late_minutes)

    @property
    def address(self) -> str:
        """The public address without a slash at its end."""
        return self.base_url.rstrip("/") or f"http://{self.host}:{self.port}"

    def signing_keys(self) -> tuple[str, ...]:
        """The former keys that are still accepted, and last the present one."""
        return (*(key for key in self.secret_key_fallbacks.split(",") if key), self.signing_key())

    def signing_key(self) -> str:
        """The secret key, made once into a file when none is set."""
        given = self.secret_key.get_secret_value()
        if given:
            return given
        path = self.var_dir / "secret_key"
        if not path.exists():
            self.var_dir.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(secrets.token_hex(32))
        return path.read_text().strip()
