"""What a form asks, refuses and says, without pages."""

from datetime import date
from typing import Any

import pytest

from engine.forms import Form, FormError, load


def form(*components: dict[str, Any], **properties: Any) -> Form:
    return load({"id": "prove", "type": "default", "components": list(components), "properties": properties})


def field(kind: str, key: str, label: str = "Merknad", **more: Any) -> dict[str, Any]:
    return {"type": kind, "key": key, "label": label, **more}


def required(kind: str, key: str, label: str = "Merknad", **more: Any) -> dict[str, Any]:
    return field(kind, key, label, validate={"required": True}, **more)


def messages(it: Form, answers: dict[str, Any], inputs: dict[str, Any] | None = None) -> list[str]:
    return [error.message for error in it.validate(answers, inputs or {})]


YES_NO = [{"label": "Ja", "value": "ja"}, {"label": "Nei", "value": "nei"}]
OUTCOME = required("radio", "utfall", "Hva ble utfallet?", values=YES_NO)
CHAPTERS = [{"label": "Kapittel 3", "value": "3"}, {"label": "Kapittel 4", "value": "4"}]


# --- reading definitions ---


def test_a_form_knows_how_many_minutes_it_takes() -> None:
    assert form(OUTCOME, minutes=15).minutes == 15
    assert form(OUTCOME).minutes is None


@pytest.mark.parametrize(
    ("component", "said"),
    [
        ({"type": "signature", "key": "a"}, "unknown component type"),
        (field("textfield", "to-ord"), "letters, digits and underscore"),
        (field("radio", "a"), "values or valuesKey"),
        (field("textfield", "a", validate={"pattern": "("}), "pattern can't be read"),
        (field("textfield", "a", conditional={"hide": "lambda: 1"}), "condition can't be read"),
        (field("datetime", "a", subtype="time"), "only subtype 'date'"),
        (field("textfield", "a", validate={"maxLength": "mange"}), "whole number"),
    ],
)
def test_a_definition_that_cannot_be_used_is_refused_with_its_component(component: dict[str, Any], said: str) -> None:
    with pytest.raises(FormError, match=said):
        form(component)


def test_two_fields_with_one_key_are_refused() -> None:
    with pytest.raises(FormError, match="more than once: a"):
        form(field("textfield", "a"), {"type": "group", "label": "G", "components": [field("number", "a")]})


def test_rows_inside_rows_are_refused() -> None:
    inner = {"type": "dynamiclist", "path": "b", "components": []}
    with pytest.raises(FormError, match="inside another"):
        form({"type": "dynamiclist", "path": "a", "components": [inner]})


# --- required and wrong answers ---


@pytest.mark.parametrize(
    ("component", "said"),
    [
        (required("textarea", "a", "Hva virker ikke?"), "Svar på «Hva virker ikke?»."),
        (required("textfield", "a", "Adresse"), "Fyll ut «Adresse»."),
        (required("number", "a", "Antall"), "Skriv et tall i «Antall»."),
        (OUTCOME, "Velg et svar på «Hva ble utfallet?»."),
        (required("select", "a", "Kapittel", values=YES_NO), "Velg fra lista under «Kapittel»."),
        (required("checklist", "a", "Grupper", values=YES_NO), "Velg minst ett alternativ under «Grupper»."),
        (required("checkbox", "a", "Jeg slutter meg til"), "Kryss av for «Jeg slutter meg til»."),
        (required("datetime", "a", "Nytt møte"), "Velg en dato for «Nytt møte»."),
        (required("filepicker", "a", "Vedlegg"), "Legg ved minst én fil under «Vedlegg»."),
    ],
)
def test_a_missing_answer_is_named_with_what_to_do(component: dict[str, Any], said: str) -> None:
    assert messages(form(component), {}) == [said]


def test_a_definition_may_word_what_is_missing_itself() -> None:
    it = form(required("textarea", "a", "Hva virker ikke?", properties={"missing": "Skriv hva som ikke virker."}))
    assert messages(it, {"a": "  \n "}) == ["Skriv hva som ikke virker."]


def test_a_scale_asks_for_a_number_or_no_opinion() -> None:
    it = form(required("radio", "a", "Kapittel 3", properties={"display": "scale"}))
    assert messages(it, {}) == ["Velg et tall fra 1 til 5, eller «Vet ikke», på «Kapittel 3»."]
    assert messages(it, {"a": 4}) == messages(it, {"a": "vet_ikke"}) == []
    assert it.summary({"a": "4"}, {}) == [("Kapittel 3", "4 av 5")]


def test_a_text_is_at_most_ten_thousand_characters_unless_the_form_says_otherwise() -> None:
    long = form(field("textarea", "a"))
    assert messages(long, {"a": "x" * 10_000}) == []
    assert messages(long, {"a": "x" * 10_001}) == ["Kort ned «Merknad» til høyst 10000 tegn. Nå er det 10001."]
    assert len(messages(form(field("textfield", "a", validate={"maxLength": 3})), {"a": "fire"})) == 1


@pytest.mark.parametrize(
    ("given", "read"), [("3,5", 3.5), ("1 200", 1200), ("-2", -2), ("1\u00a0000", 1000), (7, 7), ("0", 0)]
)
def test_numbers_are_read_as_people_write_them(given: object, read: float) -> None:
    it = form(field("number", "a", "Antall"))
    assert it.clean({"a": given}, {}) == {"a": read}
    assert messages(it, {"a": given}) == []


@pytest.mark.parametrize("given", ["tolv", "1e9", True, float("nan"), float("inf"), [1], "9" * 5000])
def test_what_is_no_number_is_refused_and_kept(given: object) -> None:
    it = form(field("number", "a", "Antall"))
    assert messages(it, {"a": given}) == ["Skriv et tall i «Antall», for eksempel 12 eller 3,5."]
    assert "a" in it.clean({"a": given}, {})


def test_a_number_outside_its_bounds_is_refused_with_the_bound() -> None:
    it = form(field("number", "a", "Antall", validate={"min": 0, "max": 46}))
    assert messages(it, {"a": -1}) == ["Skriv et tall som er 0 eller høyere i «Antall»."]
    assert messages(it, {"a": 47}) == ["Skriv et tall som er 46 eller lavere i «Antall»."]
    assert messages(it, {"a": 46}) == []


def test_dates_are_read_in_both_forms_and_stored_as_iso() -> None:
    it = form(field("datetime", "a", "Nytt møte", subtype="date"))
    assert it.clean({"a": "2026-11-27"}, {}) == it.clean({"a": "27.11.2026"}, {}) == {"a": "2026-11-27"}
    assert messages(it, {"a": "2026-02-30"}) == ["Skriv en dato som finnes i «Nytt møte», for eksempel 30.09.2026."]


def test_only_offered_choices_are_accepted() -> None:
    it = form(field("checklist", "grupper", "Grupper", valuesKey="bodies"))
    inputs = {"bodies": ["au", {"label": "SSU", "value": "ssu"}]}
    assert it.clean({"grupper": ["ssu", "au"]}, inputs) == {"grupper": ["au", "ssu"]}
    assert messages(it, {"grupper": ["fsu"]}, inputs) == ["Velg blant alternativene under «Grupper»."]


def test_a_choice_made_in_a_browser_gets_the_type_of_the_definition() -> None:
    it = form(field("radio", "a", values=[{"label": "To", "value": 2}]))
    assert it.clean({"a": "2"}, {}) == {"a": 2}


def test_a_file_must_be_one_that_is_stored() -> None:
    it = form(field("filepicker", "fil", "Signert avtale"))
    inputs = {"files": {"f1": "avtale.pdf", "f2": "kopi.pdf"}}
    assert messages(it, {"fil": ["f1"]}, inputs) == []
    assert messages(it, {"fil": ["f1", "f2"]}, inputs) == ["Legg ved høyst 1 fil under «Signert avtale»."]
    assert len(messages(it, {"fil": ["f9"]}, inputs)) == 1
    assert it.summary({"fil": ["f1"]}, inputs) == [("Signert avtale", "avtale.pdf")]


def test_a_pattern_must_match_the_whole_text() -> None:
    it = form(field("textfield", "lenke", "Lenke", validate={"pattern": r"^https?://\S+$"}))
    assert messages(it, {"lenke": "https://example.org"}) == []
    assert messages(it, {"lenke": "se https://example.org"}) == ["Skriv «Lenke» slik det står i forklaringen."]


def test_an_unticked_box_answers_no() -> None:
    assert form(field("checkbox", "a")).clean({}, {}) == {"a": False}


# --- conditions ---

REASON = required("textarea", "grunn", "Hvorfor?", conditional={"hide": "${utfall != 'nei'}"})


def test_a_hidden_field_is_neither_asked_for_nor_kept() -> None:
    it = form(OUTCOME, REASON)
    assert messages(it, {"utfall": "ja", "grunn": "gammel tekst"}) == []
    assert it.clean({"utfall": "ja", "grunn": "gammel tekst"}, {}) == {"utfall": "ja"}
    assert messages(it, {"utfall": "nei"}) == ["Svar på «Hvorfor?»."]


def test_what_is_hidden_counts_as_unanswered_further_down() -> None:
    later = required("textfield", "hvem", "Hvem?", conditional={"hide": "not grunn"})
    it = form(OUTCOME, REASON, later)
    assert messages(it, {"utfall": "ja", "grunn": "gammel tekst"}) == []


def test_a_hidden_group_hides_all_it_holds() -> None:
    group = {"type": "group", "label": "G", "components": [required("textfield", "a")]}
    it = form(OUTCOME, {**group, "conditional": {"hide": "utfall == 'ja'"}})
    assert messages(it, {"utfall": "ja"}) == []
    assert messages(it, {"utfall": "nei"}) == ["Fyll ut «Merknad»."]


def test_a_condition_that_cannot_be_decided_shows_the_field() -> None:
    it = form(field("number", "a", "A"), required("textfield", "b", "B", conditional={"hide": "a < 3"}))
    assert messages(it, {}) == ["Fyll ut «B»."]


def test_a_condition_may_read_what_the_engine_gives() -> None:
    it = form(required("textfield", "a", conditional={"hide": "len(questions) == 0"}))
    assert messages(it, {}, {"questions": []}) == []
    assert messages(it, {}, {"questions": ["x"]}) == ["Fyll ut «Merknad»."]


# --- rows ---


def proposals(**more: Any) -> dict[str, Any]:
    parts = [
        field("select", "kapittel", "Kapittel", valuesKey="chapters"),
        required("textarea", "tekst", "Tekst"),
    ]
    return {"type": "dynamiclist", "path": "forslag", "label": "Forslag", "components": parts, **more}


def test_empty_rows_are_dropped_and_others_checked_one_by_one() -> None:
    it = form(proposals())
    answers = {"forslag": [{"tekst": "A"}, {"tekst": " "}, {"kapittel": "4"}]}
    inputs = {"chapters": CHAPTERS}
    assert it.clean(answers, inputs) == {"forslag": [{"tekst": "A"}, {"kapittel": "4"}]}
    [error] = it.validate(answers, inputs)
    assert (error.key, error.message) == ("forslag-2-tekst", "Forslag nr. 3: Fyll ut «Tekst».")


def test_a_required_list_needs_one_row() -> None:
    assert messages(form(proposals(validate={"required": True})), {"forslag": [{}]}) == [
        "Fyll ut minst én rad under «Forslag»."
    ]


@pytest.mark.parametrize(("properties", "most"), [({}, 50), ({"maxRows": 2}, 2), ({"maxRows": 9999}, 200)])
def test_a_list_has_a_highest_number_of_rows(properties: dict[str, Any], most: int) -> None:
    it = form(proposals(properties=properties))
    assert messages(it, {"forslag": [{"tekst": "A"}] * most}) == []
    assert messages(it, {"forslag": [{"tekst": "A"}] * (most + 3)}) == [
        f"«Forslag» kan ha høyst {most} rader. Fjern 3."
    ]


def test_fixed_rows_are_one_per_item_with_the_items_name() -> None:
    it = form(proposals(properties={"rowsFrom": "chapters"}))
    inputs = {"chapters": CHAPTERS}
    assert [e.message for e in it.validate({}, inputs)] == [
        "Kapittel 3: Fyll ut «Tekst».",
        "Kapittel 4: Fyll ut «Tekst».",
    ]
    answers = {"forslag": [{"item": "4", "tekst": "Fire"}, {"item": "9", "tekst": "finnes ikke"}]}
    assert it.clean(answers, inputs) == {"forslag": [{"item": "3"}, {"item": "4", "tekst": "Fire"}]}
    assert it.summary(answers, inputs) == [("Kapittel 4: Tekst", "Fire")]


def test_a_row_with_one_question_bears_the_items_name_alone() -> None:
    scores = {
        "type": "dynamiclist",
        "path": "p",
        "label": "Kapitler",
        "components": [required("radio", "score", "Hvor godt?", properties={"display": "scale"})],
        "properties": {"rowsFrom": "chapters"},
    }
    it = form(scores)
    inputs = {"chapters": CHAPTERS}
    assert messages(it, {"p": [{"item": "3", "score": 2}]}, inputs) == [
        "Velg et tall fra 1 til 5, eller «Vet ikke», på «Kapittel 4»."
    ]
    assert it.summary({"p": [{"item": "3", "score": 2}]}, inputs) == [("Kapittel 3", "2 av 5")]


def test_conditions_in_a_row_read_that_row_first() -> None:
    why = required("textfield", "hvorfor", "Hvorfor?", conditional={"hide": "svar != 'nei'"})
    rows = {
        "type": "dynamiclist",
        "path": "r",
        "label": "Punkt",
        "components": [field("radio", "svar", "Svar", values=YES_NO), why],
    }
    [error] = form(rows).validate({"r": [{"svar": "ja"}, {"svar": "nei"}]}, {})
    assert error.key == "r-1-hvorfor"


def test_rows_of_the_wrong_shape_are_refused() -> None:
    assert messages(form(proposals()), {"forslag": "tekst"}) == ["«Forslag» må være en liste med rader."]


# --- answers from the API, and answers as text ---


def test_unknown_keys_are_refused_from_the_api() -> None:
    it = form(OUTCOME, proposals())
    answers, errors = it.validate_json({"utfall": "ja", "x": 1, "forslag": [{"tekst": "A", "y": 2}]}, {})
    assert [error.key for error in errors] == ["x", "forslag-0-y"]
    assert "Feltene er utfall, forslag" in errors[0].message
    assert answers == {"utfall": "ja", "forslag": [{"tekst": "A"}]}


def test_the_summary_reads_as_text_and_skips_what_is_unanswered() -> None:
    it = form(OUTCOME, field("datetime", "dag", "Dag"), field("number", "n", "Tall"), field("textarea", "t"))
    assert it.summary({"utfall": "ja", "dag": "2026-09-30", "n": 4.8}, {}) == [
        ("Hva ble utfallet?", "Ja"),
        ("Dag", "30.\u00a0september\u00a02026"),
        ("Tall", "4,8"),
    ]


def test_the_words_of_a_form_may_name_what_it_is_about() -> None:
    it = form(required("radio", "a", "Vil {party} ha et {ukjent}?", values=YES_NO))
    assert messages(it, {}, {"party": {"key": "larvik", "name": "Larvik kommune"}}) == [
        "Velg et svar på «Vil Larvik kommune ha et {ukjent}?»."
    ]


def test_answered_dates_become_the_facts_they_set() -> None:
    it = form(
        OUTCOME,
        field("datetime", "ny", "Ny dato", properties={"setsFact": "au"}, conditional={"hide": "utfall == 'ja'"}),
    )
    assert it.facts({"utfall": "nei", "ny": "11.11.2026"}, {}) == {"au": date(2026, 11, 11)}
    assert it.facts({"utfall": "ja", "ny": "11.11.2026"}, {}) == {}
