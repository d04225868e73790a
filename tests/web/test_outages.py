"""The page that stands in while the database is away."""

from typing import Any

from engine.outages import Outage
from web import outages


def test_trying_again_never_leads_to_another_site(app: Any) -> None:
    with app.test_request_context(environ_overrides={"PATH_INFO": "//evil.example.org/saker", "QUERY_STRING": "a=1"}):
        page, status, headers = outages.answer(Outage.AWAY, as_json=False)
    assert (status, headers) == (503, {"Retry-After": "10"})
    assert 'href="/evil.example.org/saker?a=1"' in page
