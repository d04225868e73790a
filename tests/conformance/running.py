"""One case in motion, at the level of the engine's interpreter; saved and restored before every act."""

import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

import zstandard

from engine.bpmn.decisions import Decision
from engine.bpmn.execution import Execution, Thrown
from engine.bpmn.parsing import Specification, compile_models
from engine.bpmn.reading import read
from engine.calendar import Calendar

#: Ten in the morning in Oslo, a Monday.
NOW = datetime(2026, 5, 18, 8, 0, tzinfo=UTC)
_CALENDAR = Calendar()


@lru_cache(maxsize=64)
def compiled(*models: bytes, process: str | None = None) -> Specification:
    """The specification of the first model, or of that process in it; the others are those it calls."""
    main, *called = models
    return compile_models(read(main, process), [read(xml) for xml in called])


class Run:
    """A case on the virtual clock. `Run(model, called, x=1)` starts it with the variable x and lets it advance."""

    def __init__(
        self, *models: bytes, event: str | None = None, payload: Mapping[str, Any] | None = None,
        decisions: Mapping[str, Decision] | None = None, facts: Mapping[str, date] | None = None,
        process: str | None = None, **variables: Any,
    ) -> None:  # fmt: skip
        drawn = compiled(*models, process=process)
        self.specification = dataclasses.replace(drawn, decisions={drawn.process_id: decisions or {}})
        self.facts = dict(facts or {})
        self.now = NOW
        self.thrown: list[Thrown] = []
        start = {"log": [], **variables}
        self.execution = Execution.start(self.specification, start, event=event, payload=payload, **self._context())
        self._advance()

    def _context(self) -> dict[str, Any]:
        return {"facts": self.facts, "calendar": _CALENDAR, "now": self.now}

    def _advance(self) -> None:
        self.execution.advance()
        self.thrown += self.execution.thrown
        self.execution.thrown.clear()

    def _restored(self) -> Execution:
        """What a save and a restore leave; it would be saved the same."""
        saved = self.execution.save()
        restored = self.restore(saved)
        assert contents(restored.save()) == contents(saved)
        return restored

    def restore(self, document: bytes) -> Execution:
        """Go on from a document."""
        self.execution = Execution.restore(self.specification, document, **self._context())
        return self.execution

    # --- acts ---------------------------------------------------------------------------------------------------------

    def do(self, place: str, **variables: Any) -> "Run":
        """Complete the user task at a place such as `inner/a` or `a`; of several there, the first."""
        self._restored().complete(self.token(place), variables)
        self._advance()
        return self

    def serve(self, place: str, **results: Any) -> "Run":
        """The function that a service task asked for answers."""
        self._restored()
        self.execution.complete(self.service(place).token, results)
        self._advance()
        return self

    def fail(self, place: str, code: str) -> "Run":
        """The function that a service task asked for ends with a BPMN error."""
        self._restored()
        self.execution.fail(self.service(place).token, code, "it went wrong")
        self._advance()
        return self

    def message(self, name: str, correlation: str = "", **payload: Any) -> bool:
        """A message comes from outside; answers whether anybody took it."""
        return self._deliver(Thrown(kind="message", name=name, correlation=correlation, payload=payload))

    def signal(self, name: str, **payload: Any) -> bool:
        """A signal comes from outside; answers whether anybody heard it."""
        return self._deliver(Thrown(kind="signal", name=name, correlation="", payload=payload))

    def _deliver(self, thrown: Thrown) -> bool:
        heard = self._restored().deliver(thrown)
        self._advance()
        return heard

    def wait(self, **duration: float) -> "Run":
        """Time passes."""
        return self.until(self.now + timedelta(**duration))

    def until(self, moment: datetime) -> "Run":
        """Time passes up to that moment."""
        self.now = moment
        self._restored()
        self._advance()
        return self

    def set_fact(self, **facts: date) -> "Run":
        """Dates of the case change."""
        self.facts.update(facts)
        self._restored().rederive_timers()
        self._advance()
        return self

    # --- what is seen -------------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> list[str]:
        """Where people are waited for, sorted."""
        return sorted(_shown(w.call_path, w.element.id) for w in self.execution.waiting())

    @property
    def services(self) -> list[str]:
        """Where functions are waited for, sorted."""
        return sorted(_shown(w.call_path, w.element_id) for w in self.execution.waiting_services())

    def service(self, place: str) -> Any:
        """The service task that waits at a place."""
        return next(w for w in self.execution.waiting_services() if _shown(w.call_path, w.element_id) == place)

    def token(self, place: str) -> str:
        """The token of the user task that waits at a place."""
        return next(w.token for w in self.execution.waiting() if _shown(w.call_path, w.element.id) == place)

    @property
    def standing(self) -> list[str]:
        """Every place where a token stands, sorted."""
        return sorted(_shown(t.call_path, t.element_id) for t in self.execution.tokens())

    @property
    def log(self) -> list[str]:
        """What the script tasks noted, in order."""
        return list(self.variables["log"])

    @property
    def variables(self) -> dict[str, Any]:
        """The outermost process's variables."""
        return self.execution.variables()

    @property
    def next_wake(self) -> datetime | None:
        """When the earliest timer is due."""
        return self.execution.next_wake()

    @property
    def listens_to(self) -> list[tuple[str, str]]:
        """Messages and signals that are waited for, sorted."""
        return sorted((kind, name) for kind, name, _, _ in self.execution.subscriptions())

    @property
    def size(self) -> int:
        """Characters of the saved document."""
        return len(json.dumps(contents(self.execution.save())))

    def assert_over(self) -> "Run":
        """The case has ended and left nothing behind."""
        self._restored()
        self._advance()
        assert self.execution.completed, f"still at {self.standing}"
        assert (self.standing, self.listens_to, self.next_wake) == ([], [], None)
        assert [scope["host"] for scope in contents(self.execution.save())["scopes"]] == [None]
        return self


def contents(document: bytes) -> Any:
    """What a saved document says."""
    return json.loads(zstandard.decompress(document))


def _shown(call_path: str, element_id: str) -> str:
    return f"{call_path}/{element_id}" if call_path else element_id
