"""Every mail is readable by everyone, on a phone and on a wide screen."""

from pathlib import Path

from playwright.sync_api import Browser

from tests.browser.conftest import axe

SNAPSHOTS = Path(__file__).parents[1] / "notifications" / "snapshots"


def test_every_mail_is_readable_by_everyone_on_a_phone_and_a_wide_screen(browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    mails = sorted(SNAPSHOTS.glob("*.html"))
    assert mails
    for mail in mails:
        page.set_content(mail.read_text())
        for width in (800, 360):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, mail.name
        # One column at every width, tightest on the phone.
        assert axe(page) == [], mail.name
    context.close()
