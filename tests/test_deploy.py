"""What `deploy/` names exists: settings, commands, metrics, files, and limits that fit the program's."""

import configparser
import re
from pathlib import Path

import pytest

from tests.test_documentation import commands
from web.logs import SECRET_PLACES
from web.settings import Settings

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
FILES = sorted(path for path in DEPLOY.iterdir() if path.is_file())
UNITS = [path for path in FILES if path.suffix == ".service"]
KNOWN = {f"AVTALEFLYT_{name.upper()}" for name in Settings.model_fields}
COMMANDS = {path.removeprefix("avtaleflyt ") for path, _ in commands()}


def given(text: str) -> dict[str, str]:
    """Settings with the values that a file gives them, as `NAME=value` or `NAME: "value"`."""
    return dict(re.findall(r'^\s*(?:ENV )?(AVTALEFLYT_\w+)(?:=|: )"?([^"\n]*)', text, flags=re.MULTILINE))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_setting_that_is_named_exists(path: Path) -> None:
    assert set(re.findall(r"AVTALEFLYT_[A-Z_]*[A-Z]", path.read_text())) <= KNOWN


@pytest.mark.parametrize("name", ["avtaleflyt.env", "compose.yaml"])
def test_settings_can_be_read_and_are_those_of_real_use(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = given((DEPLOY / name).read_text())
    for setting, value in found.items():
        monkeypatch.setenv(setting, re.sub(r"\$\{\w+:[-?](\w*)\}", r"\1", value))
    read = Settings()
    assert read.secure_cookies
    assert read.trusted_proxies == 1
    assert not read.demo
    assert read.database_url.startswith("postgresql+psycopg://")
    assert {"AVTALEFLYT_BASE_URL", "AVTALEFLYT_SECRET_KEY", "AVTALEFLYT_SMTP_HOST", "AVTALEFLYT_METRICS_TOKEN"} <= set(
        found
    )


def unit(path: Path) -> configparser.SectionProxy:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(path)
    return parser["Service"]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_run_commands_that_exist_and_no_more_than_they_may(path: Path) -> None:
    service = unit(path)
    called = re.search(r"/bin/avtaleflyt ([a-z]+(?: [a-z]+)?)", service["ExecStart"])
    assert called is not None
    assert called[1] in COMMANDS
    assert service["EnvironmentFile"] == "/etc/avtaleflyt/avtaleflyt.env"
    hardened = {"NoNewPrivileges": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "UMask": "0077"}
    assert {name: service[name] for name in hardened} == hardened
    assert service["User"] == "avtaleflyt"
    assert "CapabilityBoundingSet" in service


def test_the_services_have_their_units_and_what_recurs_its_timer() -> None:
    started = {re.search(r"avtaleflyt (\w+)", unit(path)["ExecStart"])[1] for path in UNITS}  # type: ignore[index]
    assert started == {"web", "worker", "backup", "mail"}
    for name in ("backup", "bounces"):
        assert "OnCalendar=" in (DEPLOY / f"avtaleflyt-{name}.timer").read_text()


def test_the_compose_file_runs_commands_that_exist_on_files_that_exist() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    called = re.findall(r'^    command: \["([\w-]+)"', text, flags=re.MULTILINE)
    assert sorted(called) == ["migrate", "web", "worker"]
    assert set(called) <= COMMANDS
    assert (ROOT / re.findall(r"dockerfile: ([\w/.]+)", text)[0]).exists()
    assert (DEPLOY / re.findall(r"- (\./\w+):", text)[0]).exists()


def test_the_image_copies_files_that_exist_and_starts_a_command() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, flags=re.MULTILINE):
        *sources, _target = line.split()
        assert [name for name in sources if not (ROOT / name).exists()] == []
    assert re.findall(r'^CMD \["(\w+)"\]', text, flags=re.MULTILINE)[0] in COMMANDS


@pytest.mark.parametrize(
    ("name", "pattern"), [("nginx.conf", r"client_max_body_size (\d+)m"), ("Caddyfile", r"max_size (\d+)MB")]
)
def test_proxies_let_through_what_the_program_takes_and_nothing_of_metrics(name: str, pattern: str) -> None:
    text = (DEPLOY / name).read_text()
    limit = re.search(pattern, text)
    assert limit is not None
    assert int(limit[1]) > Settings.model_fields["max_upload_mb"].default
    assert f":{Settings.model_fields['port'].default}" in text
    assert "/metrics" in text
    assert name == "Caddyfile" or "X-Forwarded-For $proxy_add_x_forwarded_for" in text


def test_the_proxy_writes_no_secret_address_down() -> None:
    text = (DEPLOY / "nginx.conf").read_text()
    secret = rf"^/({'|'.join(SECRET_PLACES)})/"
    assert f"    ~{secret} 0;\n" in text
    assert f"location ~ {secret} {{\n" in text
    assert text.count("access_log") == text.count("combined if=$logged;")
    assert "request>uri delete" in (DEPLOY / "Caddyfile").read_text()


def test_alarms_ask_for_numbers_that_there_are() -> None:
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    there = set(re.findall(r"^\| `(avtaleflyt_\w+)", page, flags=re.MULTILINE))
    asked = set(re.findall(r"\bavtaleflyt_\w+", (DEPLOY / "alarms.yaml").read_text()))
    assert len(asked) >= 7
    assert {name.removesuffix("_count") for name in asked} <= there
