"""Answers leave compressed, without a proxy: built files as they were compressed when built, pages as they are made."""

import gzip
import mimetypes
import secrets
from io import BytesIO
from pathlib import Path

from flask import Flask, Response, request, send_from_directory
from werkzeug.security import safe_join

#: Whoever reads a smaller page gains nothing.
_SMALLEST = 1_000
#: More than this makes pages a few per cent smaller, and takes twice as long.
_LEVEL = 5
#: A page's size must not tell whether a guess that stands in it is right: so many random letters stand there too.
_MOST_NOISE = 100
_PAGES = ("text/html", "application/xml")
#: How a browser may want built files, and how they then end; the smallest first.
_BUILT = (("br", ".br"), ("gzip", ".gz"))


def register(app: Flask, folder: Path) -> None:
    """Let the application compress its pages, and hand out the folder's files as they were compressed."""
    app.after_request(_compressed)
    app.view_functions["static"] = lambda filename: _file(folder, filename)


# --- built files ------------------------------------------------------------------------------------------------------


def _file(folder: Path, filename: str) -> Response:
    """The file as small as the browser takes it; cached for ever, because its name changes with its content."""
    encoding, ending = _wanted(folder, filename)
    found = send_from_directory(folder, filename + ending, mimetype=mimetypes.guess_type(filename)[0])
    if encoding:
        found.content_encoding = encoding
    found.vary.add("Accept-Encoding")
    found.cache_control.immutable = True
    return found


def _wanted(folder: Path, filename: str) -> tuple[str, str]:
    for encoding, ending in _BUILT:
        path = safe_join(str(folder), filename + ending)
        if request.accept_encodings[encoding] > 0 and path is not None and Path(path).is_file():
            return encoding, ending
    return "", ""


# --- pages ------------------------------------------------------------------------------------------------------------


def _compressed(response: Response) -> Response:
    if response.mimetype not in _PAGES or response.direct_passthrough or response.content_encoding:
        return response
    response.vary.add("Accept-Encoding")
    page = response.get_data()
    if len(page) >= _SMALLEST and request.accept_encodings["gzip"] > 0:
        response.set_data(_zipped(page))
        response.content_encoding = "gzip"
    return response


def _zipped(page: bytes) -> bytes:
    packed, noise = BytesIO(), "x" * (1 + secrets.randbelow(_MOST_NOISE))
    with gzip.GzipFile(filename=noise, mode="wb", compresslevel=_LEVEL, fileobj=packed, mtime=0) as file:
        file.write(page)
    return packed.getvalue()
