"""Mails are readable by everyone, on a phone and on a wide screen."""

from pathlib import Path

from playwright.sync_api import Browser

from tests.browser.conftest import axe

SNAPSHOTS = Path(__file__).parents[1] / "notifications" / "snapshots"
MAILS = [
    f"{name}{locale}"
    for name in ("assigned_to_group", "reminder_3", "overdue", "escalation", "bundle_tasks", "bundle_messages")
    for locale in ("", ".nn", ".en")
]


def test_every_mail_is_readable_by_everyone_on_a_phone_and_a_wide_screen(browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    for width in (360, 800):
        page.set_viewport_size({"width": width, "height": 900})
        for name in MAILS:
            page.set_content((SNAPSHOTS / f"{name}.html").read_text())
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
            assert axe(page) == [], name
    context.close()
