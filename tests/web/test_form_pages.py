"""Forms as pages: what a browser sends becomes answers, and what is shown has its labels and errors in place."""

import json
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from lxml import html
from werkzeug.datastructures import MultiDict

from engine.calendar import Calendar
from web import forms
from web.formatting import Formatter, jinja_filters

ROOT = Path(__file__).resolve().parents[2]
INPUTS = {"chapters": [{"label": "Kapittel 3", "value": "3"}, {"label": "Kapittel 4", "value": "4"}]}


def form(*components: dict[str, Any], **properties: Any) -> forms.Form:
    return forms.load({"id": "prove", "components": list(components), "properties": properties})


PROPOSALS = {
    "type": "dynamiclist",
    "path": "forslag",
    "label": "Forslag",
    "components": [
        {"type": "select", "key": "kapittel", "label": "Kapittel", "valuesKey": "chapters"},
        {"type": "textarea", "key": "tekst", "label": "Tekst", "validate": {"required": True}},
    ],
}
OUTCOME = {
    "type": "radio",
    "key": "utfall",
    "label": "Utfall",
    "values": ["ja", "nei"],
    "validate": {"required": True},
}
REASON = {
    "type": "textfield",
    "key": "grunn",
    "label": "Grunn",
    "conditional": {"hide": "${utfall not in ['nei'] or not party}"},
}


def rendered(view: forms.FormView) -> html.HtmlElement:
    environment = Environment(
        loader=FileSystemLoader(ROOT / "web" / "templates"), autoescape=True, undefined=StrictUndefined
    )
    environment.globals["_"] = lambda text, **values: text % values if values else text
    formatter = Formatter(today=date(2026, 9, 14), zone=ZoneInfo("Europe/Oslo"), calendar=Calendar())
    environment.filters.update(jinja_filters(lambda: formatter))
    template = (
        '{% from "form.html" import form_fields with context %}<form>{{ form_fields(view, "Ikke sendt.") }}</form>'
    )
    return html.fromstring(environment.from_string(template).render(view=view))


def test_sent_rows_become_a_list_in_their_order_whatever_their_numbers() -> None:
    sent = MultiDict([("forslag-7-tekst", "B"), ("forslag-2-tekst", "A"), ("forslag-2-kapittel", "3"), ("x", "y")])
    assert forms.parse(form(PROPOSALS), sent, INPUTS) == {"forslag": [{"kapittel": "3", "tekst": "A"}, {"tekst": "B"}]}


def test_without_script_the_row_buttons_add_and_remove_a_row() -> None:
    sent = MultiDict([("forslag-0-tekst", "A"), ("forslag-1-tekst", "B")])
    added = MultiDict([*sent.items(multi=True), ("_legg_til", "forslag")])
    removed = MultiDict([*sent.items(multi=True), ("_fjern", "forslag-0")])
    assert forms.parse(form(PROPOSALS), added, INPUTS)["forslag"] == [{"tekst": "A"}, {"tekst": "B"}, {}]
    assert forms.parse(form(PROPOSALS), removed, INPUTS)["forslag"] == [{"tekst": "B"}]
    assert (forms.is_row_button(added), forms.is_row_button(sent)) == (True, False)


def test_fixed_rows_come_back_to_their_item() -> None:
    fixed = {**PROPOSALS, "properties": {"rowsFrom": "chapters"}}
    sent = MultiDict([("forslag-0-item", "4"), ("forslag-0-tekst", "Fire")])
    assert forms.parse(form(fixed), sent, INPUTS) == {"forslag": [{"item": "3"}, {"item": "4", "tekst": "Fire"}]}


def test_what_a_hidden_field_sent_is_left_out() -> None:
    sent = MultiDict([("utfall", "ja"), ("grunn", "gammel")])
    assert forms.parse(form(OUTCOME, REASON), sent, {"party": "Larvik"}) == {"utfall": "ja"}


def test_an_error_is_told_first_as_a_link_and_at_its_field() -> None:
    it = form(OUTCOME, PROPOSALS)
    answers: dict[str, object] = {"forslag": [{"kapittel": "3"}]}
    page = rendered(forms.layout(it, answers, INPUTS, it.validate(answers, INPUTS)))
    links = page.xpath("//ds-error-summary//a/@href")
    assert links == ["#f-utfall-0", "#f-forslag-0-tekst"]
    assert page.xpath("//ds-error-summary/h2")[0].text_content().split() == [
        "Ikke",
        "sendt.",
        "To",
        "ting",
        "må",
        "rettes:",
    ]
    for link in links:
        assert page.xpath(f"//*[@id='{link[1:]}'][@aria-invalid='true']")
    assert page.xpath("//*[@id='f-forslag-0-tekst-feil']/text()") == ["Forslag nr. 1: Fyll ut «Tekst»."]


def test_every_label_names_a_field_and_ids_are_unique() -> None:
    for path in sorted((ROOT / "workflows" / "forms").glob("*.json")):
        it = forms.load(json.loads(path.read_text()))
        page = rendered(forms.layout(it, {}, INPUTS, it.validate({}, INPUTS)))
        ids = page.xpath("//@id")
        assert len(ids) == len(set(ids)), path.name
        assert set(page.xpath("//label/@for")) <= set(ids), path.name
        assert not page.xpath("//@style"), path.name


def test_a_condition_reaches_the_browser_with_what_the_engine_knows_filled_in() -> None:
    [field] = forms.layout(form(OUTCOME, REASON), {}, {"party": "Larvik"}).sections[0].parts[1:]
    assert json.loads(field.hide) == [
        "or",
        ["not in", ["name", "utfall"], ["value", ["nei"]]],
        ["not", ["value", "Larvik"]],
    ]


def test_a_field_that_no_answer_can_show_is_left_out() -> None:
    only_inputs = {**REASON, "conditional": {"hide": "len(questions) == 0"}}
    [section] = forms.layout(form(OUTCOME, only_inputs), {}, {"questions": []}).sections
    assert len(section.parts) == 1


@pytest.mark.parametrize(("properties", "warns"), [({}, True), ({"patientData": False}, False)])
def test_free_text_brings_the_patient_data_warning_once_in_full_and_at_the_field(
    properties: dict[str, Any], warns: bool
) -> None:
    area = {"type": "textarea", "key": "a", "label": "Hva skjedde?", "description": "Kort."}
    page = rendered(forms.layout(form(area, **properties), {}, {}))
    assert len(page.xpath("//div[@class='ds-alert']")) == warns
    [description] = page.xpath("//p[@data-field='description']/text()")
    assert description == ("Kort. Ikke skriv pasientopplysninger." if warns else "Kort.")


def test_a_warning_that_the_definition_words_itself_is_not_repeated() -> None:
    text = {"type": "text", "text": "**Ikke skriv pasientopplysninger.** Alle leser svarene."}
    area = {"type": "textarea", "key": "a", "label": "Hva skjedde?"}
    page = rendered(forms.layout(form(text, area), {}, {}))
    assert [alert.xpath("h2/text()") for alert in page.xpath("//div[@class='ds-alert']")] == [
        ["Ikke skriv pasientopplysninger"]
    ]


def test_what_people_wrote_is_escaped() -> None:
    area = {"type": "textarea", "key": "a", "label": "<b>Hva</b>"}
    page = rendered(forms.layout(form(area), {"a": "</textarea><script>x</script>"}, {}))
    assert not page.xpath("//script | //b")
    assert "</textarea><script>" in page.xpath("//textarea")[0].text
