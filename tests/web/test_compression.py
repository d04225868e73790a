"""What leaves the program is compressed, without a proxy before it."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DIST = Path(__file__).parents[2] / "web" / "static" / "dist"


@pytest.mark.parametrize(("accepted", "encoding"), [("gzip, deflate, br", "br"), ("gzip", "gzip"), ("", None)])
def test_a_built_file_comes_as_small_as_the_browser_takes_it_and_is_kept_for_ever(
    app: Any, accepted: str, encoding: str | None
) -> None:
    name = json.loads((DIST / "manifest.json").read_text())["page.css"]
    with app.test_client().get(f"/static/dist/{name}", headers={"Accept-Encoding": accepted}) as answer:
        assert (answer.status_code, answer.mimetype, answer.content_encoding) == (200, "text/css", encoding)
        assert (answer.cache_control.immutable, answer.cache_control.max_age) == (True, 365 * 24 * 3600)
        assert "Accept-Encoding" in answer.vary
        assert len(answer.data) == (DIST / name).stat().st_size if encoding is None else len(answer.data) < 40_000


@pytest.mark.parametrize("path", ["../app.py", "dist/../../app.py", "dist/finnes-ikke.css", "dist"])
def test_nothing_else_lies_there(app: Any, path: str) -> None:
    assert app.test_client().get(f"/static/{path}", headers={"Accept-Encoding": "br"}).status_code == 404


def test_a_page_is_compressed_and_its_size_tells_nothing(client_for: Callable[[str], Any]) -> None:
    browser = client_for("sekretariatet")
    plain = browser.get("/moter")
    assert (plain.content_encoding, "Accept-Encoding" in plain.vary) == (None, True)
    answers = [browser.get("/moter", headers={"Accept-Encoding": "gzip"}) for _ in range(12)]
    assert {answer.content_encoding for answer in answers} == {"gzip"}
    assert gzip.decompress(answers[0].data).startswith(plain.data[:200])
    assert len(answers[0].data) < len(plain.data) / 2
    assert len({len(answer.data) for answer in answers}) > 1


def test_a_first_visit_weighs_little(client_for: Callable[[str], Any]) -> None:
    names = json.loads((DIST / "manifest.json").read_text())
    packed = sum((DIST / f"{names[name]}.br").stat().st_size for name in ("page.css", "page.js", "icon.svg"))
    fonts = sum(path.stat().st_size for path in DIST.glob("inter-*.woff2"))
    page = client_for("sekretariatet").get("/oppgaver", headers={"Accept-Encoding": "gzip"})
    assert packed + fonts + len(page.data) < 150_000
