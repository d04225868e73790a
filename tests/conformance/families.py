"""What a family of tests proves about one row of the table in docs/reference/bpmn.md."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from engine import deployments
from engine.deployments import Source


@dataclass(frozen=True, kw_only=True)
class Row:
    """One element or marker in one place."""

    element: str
    where: str
    #: BPMN's meaning in one sentence.
    meaning: str
    runs: bool


def family(
    element: str,
    where: str,
    meaning: str,
    *models: bytes,
    together: Sequence[bytes] = (),
    decisions: Mapping[str, str] | None = None,
) -> Callable[[type], type]:
    """The class tests what runs. `models` must each pass the gate, with the ones they call in `together`."""

    def made(cls: type) -> type:
        def test_the_gate_accepts_it(self: object) -> None:
            for model in models:
                assert errors_in(model, *together, decisions=decisions) == []

        cls.row = Row(element=element, where=where, meaning=meaning, runs=True)  # type: ignore[attr-defined]
        cls.test_the_gate_accepts_it = test_the_gate_accepts_it  # type: ignore[attr-defined]
        return cls

    return made


def refused(element: str, where: str, meaning: str, **models: bytes) -> Callable[[type], type]:
    """The class tests what the gate refuses: each model, at the element that is its name."""

    def made(cls: type) -> type:
        def test_the_gate_refuses_it_with_element_line_and_remedy(self: object) -> None:
            for name, model in models.items():
                found = [f for _, findings in deployments.check([_source(model)]) for f in findings]
                located = [f for f in found if f.severity == "error" and f.element == name]
                assert located, f"{name} is not refused: {found}"
                assert all(f.line and f.message and f.remedy for f in located)

        cls.row = Row(element=element, where=where, meaning=meaning, runs=False)  # type: ignore[attr-defined]
        cls.test_the_gate_refuses_it_with_element_line_and_remedy = (  # type: ignore[attr-defined]
            test_the_gate_refuses_it_with_element_line_and_remedy
        )
        return cls

    return made


def errors_in(*models: bytes, decisions: Mapping[str, str] | None = None) -> list[str]:
    """What the gate refuses in models that may call each other, with those decisions beside them."""
    checked = deployments.check([_source(xml, decisions) for xml in models])
    return [f"{f.rule} {f.element}: {f.message}" for _, found in checked for f in found if f.severity == "error"]


def _source(xml: bytes, decisions: Mapping[str, str] | None = None) -> Source:
    return Source(xml=xml, forms={}, decisions=decisions or {})
