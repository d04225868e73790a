"""A case's time as one drawing: where every bar, line and word stands. Pure geometry; `cases/timeline.html` draws it.

Outline = planned, fill = actual, hatch = days to spare, red line = today, dashed line and diamond = meeting.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate

WIDTH = 1100
ROW = 36
#: Where the bars begin; the steps' names stand to the left.
LEFT = 237
#: Lines for months, for today and for meetings, before the first row.
HEADER = 70
BAR = 18
#: Average width of a letter at the drawing's text size.
LETTER = 7.8
MONTHS_Y, TODAY_Y, MEETINGS_Y = 18, 38, 58
#: A month needs this much room for its name.
_MONTH_ROOM = 62
_GAP = 8


@dataclass(frozen=True, kw_only=True)
class Span:
    """From one day to another, both included."""

    start: date
    end: date


@dataclass(frozen=True, kw_only=True)
class Row:
    """One step, or several in a row. `state` is ferdig, naa or empty; `spare` is the last day to spare."""

    name: str
    state: str
    planned: Span | None
    actual: Span | None
    spare: date | None = None
    note: str = ""
    #: What stands on a line of its own above the row; nothing where it is empty.
    heading: str = ""

    @property
    def first(self) -> date:
        """The day on which anything of it begins."""
        return min(span.start for span in (self.planned, self.actual) if span)

    @property
    def last(self) -> date:
        """The day on which everything of it is over."""
        return max(d for d in (*(s.end for s in (self.planned, self.actual) if s), self.spare) if d)


@dataclass(frozen=True, kw_only=True)
class Meeting:
    """A meeting that the case hangs on."""

    label: str
    day: date


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A rectangle; `kind` is its class."""

    kind: str
    x: float
    y: float
    width: float
    height: float = BAR


@dataclass(frozen=True, kw_only=True)
class Label:
    """Words at a place; `anchor` is start, middle or end."""

    text: str
    x: float
    y: float
    kind: str = ""
    anchor: str = "start"


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line from top to bottom; `kind` is its class."""

    kind: str
    x: float
    y: float


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """Everything to be drawn, back to front: stripes, lines, diamonds, bars, labels."""

    height: float
    bottom: float
    stripes: tuple[float, ...]
    lines: tuple[Line, ...]
    diamonds: tuple[tuple[float, float], ...]
    bars: tuple[Bar, ...]
    labels: tuple[Label, ...]


@dataclass(frozen=True)
class _Scale:
    start: date
    end: date

    def x(self, day: date) -> float:
        """The left edge of a day."""
        return round(LEFT + (WIDTH - LEFT) * (day - self.start).days / (self.end - self.start).days, 1)


def draw(
    rows: Sequence[Row],
    meetings: Sequence[Meeting],
    today: date,
    *,
    month: Callable[[date], str],
    today_label: str,
) -> Drawing | None:
    """The drawing of these rows; None when there is nothing to draw."""
    if not rows:
        return None
    scale = _scale(rows, meetings, today)
    places = _places(rows)
    bottom = HEADER + ROW * (len(rows) + sum(bool(row.heading) for row in rows)) - 2
    in_view = scale.start <= today <= scale.end
    crossings = [scale.x(m.day) for m in meetings] + ([scale.x(today)] if in_view else [])
    lines, labels = _months(scale, month)
    marks = [Line(kind="tl-mote", x=scale.x(m.day), y=MEETINGS_Y + 8) for m in meetings]
    if in_view:
        marks.append(Line(kind="tl-idag", x=scale.x(today), y=TODAY_Y + 6))
        labels.append(_today(today_label, scale.x(today)))
    labels += _meetings(scale, meetings, scale.x(today) if in_view else None)
    bars: list[Bar] = []
    for top, row in zip(places, rows, strict=True):
        if row.heading:
            labels.append(Label(text=row.heading, x=8, y=top - ROW + 14, kind="tl-merke"))
            # The meetings' lines would run through its letters.
            bars.append(Bar(kind="tl-flate", x=0, y=top - ROW, width=16 + len(row.heading) * LETTER))
        bars += _bars(row, top, scale)
        labels += _row_labels(row, top, scale, crossings)
    return Drawing(
        height=bottom + 8,
        bottom=bottom,
        stripes=tuple(top - _GAP - (ROW if row.heading else 0) for top, row in zip(places, rows, strict=True)),
        lines=(*lines, *marks),
        diamonds=tuple((scale.x(m.day), MEETINGS_Y - 5) for m in meetings),
        bars=tuple(bars),
        labels=tuple(labels),
    )


def _places(rows: Sequence[Row]) -> list[float]:
    """Where each row's bar begins from above, below its heading where it has one."""
    ends = accumulate(ROW * (2 if row.heading else 1) for row in rows)
    return [HEADER + end - ROW + _GAP for end in ends]


def _scale(rows: Sequence[Row], meetings: Sequence[Meeting], today: date) -> _Scale:
    first = min([*(row.first for row in rows), *(m.day for m in meetings)])
    last = max([*(row.last for row in rows), *(m.day for m in meetings)])
    # Today is shown while the case lasts; long afterwards it would only press everything to the left.
    if first <= today <= last + timedelta(days=31):
        last = max(last, today)
    length = (last - first).days
    # The last rows' words stand to the right of their bars.
    return _Scale(first - timedelta(days=max(3, length // 40)), last + timedelta(days=max(7, length // 5)))


def _months(scale: _Scale, month: Callable[[date], str]) -> tuple[list[Line], list[Label]]:
    lines: list[Line] = []
    labels: list[Label] = []
    starts = list(_month_starts(scale))
    every = max(1, round(_MONTH_ROOM / ((WIDTH - LEFT) / max(1, len(starts)))))
    for number, first in enumerate(starts):
        x = scale.x(max(first, scale.start))
        if first > scale.start:
            lines.append(Line(kind="tl-maaned", x=x, y=8))
        following = scale.x(min(starts[number + 1], scale.end)) if number + 1 < len(starts) else WIDTH
        name = month(first)
        if number % every == 0 and following - x >= min(len(name) * LETTER + 6, _MONTH_ROOM):
            labels.append(Label(text=name, x=x + (5 if first > scale.start else 0), y=MONTHS_Y, kind="tl-dempet"))
    return lines, labels


def _month_starts(scale: _Scale) -> Iterator[date]:
    first = scale.start.replace(day=1)
    while first < scale.end:
        yield first
        first = (first + timedelta(days=32)).replace(day=1)


def _today(text: str, x: float) -> Label:
    half = len(text) * LETTER / 2
    anchor = "middle"
    if x + half > WIDTH:
        anchor = "end"
    elif x - half < 0:
        anchor = "start"
    return Label(text=text, x=x, y=TODAY_Y, kind="tl-merke", anchor=anchor)


def _meetings(scale: _Scale, meetings: Sequence[Meeting], today: float | None) -> Iterator[Label]:
    """Names beside their diamonds, where there is room and rather not across today's line; the list has them all."""
    places = sorted((scale.x(m.day), m.label) for m in meetings)
    taken = float(LEFT)
    for number, (x, text) in enumerate(places):
        is_last = number + 1 == len(places)
        room = len(text) * LETTER + 26
        left, right = (x - room, x), (x, x + room)
        following = WIDTH if is_last else places[number + 1][0] - 10
        free = [
            side for side in ((right, left) if is_last else (left, right)) if taken <= side[0] and side[1] <= following
        ]
        side = min(free, key=lambda side: today is not None and side[0] < today < side[1], default=None)
        if side == left:
            yield Label(text=text, x=x - 12, y=MEETINGS_Y, kind="tl-merke", anchor="end")
        elif side == right:
            yield Label(text=text, x=x + 12, y=MEETINGS_Y, kind="tl-merke")
        taken = x + room if side == right else x + 10


def _bars(row: Row, top: float, scale: _Scale) -> Iterator[Bar]:
    end = row.planned.end if row.planned else None
    if end and row.spare and row.spare > end:
        x = scale.x(end + timedelta(days=1))
        width = scale.x(row.spare + timedelta(days=1)) - x
        yield Bar(kind="tl-slakk", x=x, y=top + 2, width=round(width, 1), height=14)
    if row.planned:
        yield _bar("tl-plan", row.planned, top, scale)
    if row.actual:
        yield _bar("tl-faktisk tl-faktisk--naa" if row.state == "naa" else "tl-faktisk", row.actual, top, scale)


def _bar(kind: str, span: Span, top: float, scale: _Scale) -> Bar:
    x = scale.x(span.start)
    width = scale.x(span.end + timedelta(days=1)) - x
    return Bar(kind=kind, x=x, y=top, width=round(max(width, 5), 1))


def _row_labels(row: Row, top: float, scale: _Scale, crossings: Sequence[float]) -> Iterator[Label]:
    y = top + 14
    yield Label(text=row.name, x=8, y=y, kind="tl-naa" if row.state == "naa" else "")
    if not row.note:
        return
    width = len(row.note) * LETTER
    left, right = scale.x(row.first) - _GAP, scale.x(row.last + timedelta(days=1)) + _GAP
    # A line that would run through the first letters is stepped over.
    right = max([right, *(x + _GAP for x in crossings if right - 4 < x < right + 2 * _GAP)])
    fits_right = right + width <= WIDTH
    fits_left = left - width >= LEFT - _GAP
    crossed_right = any(right - 4 < x < right + width + 4 for x in crossings)
    crossed_left = any(left - width - 4 < x < left + 4 for x in crossings)
    # A word that a line runs through has a halo; one that runs out of the drawing is lost.
    if fits_right and (not crossed_right or not fits_left or crossed_left):
        yield Label(text=row.note, x=right, y=y, kind="tl-dempet")
    elif fits_left:
        yield Label(text=row.note, x=left, y=y, kind="tl-dempet", anchor="end")
