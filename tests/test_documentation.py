"""The documentation says what the code does: every command, setting, kind of history and table, and no dead link."""

import ast
import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path

import click
import pytest

import agreements.model
import notifications.model
from agreements import register_file
from engine.bpmn.expressions import parse
from engine.bpmn.lint import lint
from engine.bpmn.reading import read
from engine.forms import load
from engine.model import Base
from web.cli import main
from web.settings import Settings

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
#: Imported for their tables.
TABLES = (agreements.model, notifications.model)
PACKAGES = ("engine", "agreements", "notifications", "web")
WIDTH = 140
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")])

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def without_code(text: str) -> str:
    return re.sub(r"`[^`]*`", "", _FENCE.sub("", text))


def first_cells(text: str) -> list[str]:
    """What stands in backticks in the first cell of each table row."""
    rows = (line.split("|")[1] for line in text.splitlines() if line.startswith("|"))
    return [code for cell in rows for code in re.findall(r"`([^`]+)`", cell)]


# --- commands ---------------------------------------------------------------------------------------------------------


def commands(group: click.Group = main, path: str = "avtaleflyt") -> Iterator[tuple[str, click.Command]]:
    """Every command with the words that call it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def options(command: click.Command) -> set[str]:
    """The long names of a command's options."""
    found = [option for option in command.params if isinstance(option, click.Option)]
    return {name for option in found for name in option.opts if name.startswith("--")}


@cache
def command_sections() -> dict[str, str]:
    """Each command's section in the reference, by the words that call it."""
    text = (REFERENCE / "commands.md").read_text().split("\n## Make\n")[0]
    parts = re.split(r"^### `(avtaleflyt [^`]+)`$", text, flags=re.MULTILINE)[1:]
    titles = (re.split(r" (?=[A-Z])", title)[0] for title in parts[::2])
    return dict(zip(titles, parts[1::2], strict=True))


def test_every_command_has_its_section_and_no_section_is_left_over() -> None:
    assert set(command_sections()) == {path for path, _ in commands()}


@pytest.mark.parametrize("path", [path for path, _ in commands()])
def test_every_option_of_a_command_is_documented_and_no_other(path: str) -> None:
    documented = {cell.split()[0] for cell in first_cells(command_sections()[path])}
    assert documented == options(dict(commands())[path])


def shown_commands() -> list[tuple[str, list[str]]]:
    """Every `avtaleflyt …` that a page shows in a block of shell commands."""
    shown = []
    for sheet in PAGES:
        for language, block in _FENCE.findall(sheet.read_text()):
            if language in ("sh", "bash", "console"):
                lines = block.replace("\\\n", " ").splitlines()
                calls = (shlex.split(line.removeprefix("$ "), comments=True) for line in lines)
                shown += [(named(sheet), words) for words in calls if words and words[0].endswith("avtaleflyt")]
    return shown


def test_pages_show_commands_at_all() -> None:
    assert len(shown_commands()) >= 10


@pytest.mark.parametrize(("sheet", "words"), shown_commands(), ids=str)
def test_every_command_shown_on_a_page_can_be_called_so(sheet: str, words: list[str]) -> None:
    known = dict(commands())
    path = next((p for n in (4, 3, 2) if (p := " ".join(["avtaleflyt", *words[1:n]])) in known), None)
    assert path is not None, f"{sheet}: there is no command {words}"
    arguments = words[len(path.split()) :]
    command = known[path]
    # Only the words are looked at here; what they name need not exist.
    given = [name.split("=")[0] for name in arguments if name.startswith("--")]
    assert set(given) <= options(command), f"{sheet}: {words}"
    required = {max(p.opts, key=len) for p in command.params if isinstance(p, click.Option) and p.required}
    assert required <= set(given), f"{sheet}: {words} lacks {required - set(given)}"


def test_every_make_verb_is_documented_and_every_verb_on_a_page_exists() -> None:
    verbs = set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    text = (REFERENCE / "commands.md").read_text()
    assert verbs == set(re.findall(r"^\| `make ([a-z]+)`", text, flags=re.MULTILINE))
    for sheet in PAGES:
        used = set(re.findall(r"(?:`|^)make ([a-z]+)\b", sheet.read_text(), flags=re.MULTILINE))
        assert used <= verbs, f"{named(sheet)}: {used - verbs}"


# --- settings ---------------------------------------------------------------------------------------------------------


def test_every_setting_is_documented_with_its_default() -> None:
    text = (REFERENCE / "settings.md").read_text()
    rows = re.findall(r"^\| `(AVTALEFLYT_\w+)` \| ([^|]+) \|", text, flags=re.MULTILINE)
    documented = {name: default.strip().strip("`") for name, default in rows}
    assert documented == {f"AVTALEFLYT_{name.upper()}": default_of(name) for name in Settings.model_fields}


def default_of(name: str) -> str:
    """The default as the reference writes it."""
    default = Settings.model_fields[name].default
    if isinstance(default, bool):
        return str(default).lower()
    value = default.get_secret_value() if hasattr(default, "get_secret_value") else default
    return str(value) or "empty"


def test_every_setting_a_page_names_exists() -> None:
    known = {f"AVTALEFLYT_{name.upper()}" for name in Settings.model_fields}
    known.add("AVTALEFLYT_TEST_DATABASE_URL")
    for sheet in PAGES:
        named_there = set(re.findall(r"AVTALEFLYT_[A-Z_]*[A-Z]", sheet.read_text()))
        assert named_there <= known, f"{named(sheet)}: {named_there - known}"


# --- history ----------------------------------------------------------------------------------------------------------


class Recorded:
    """The kinds that code gives to `history.record`, followed back through parameters and local names."""

    def __init__(self) -> None:
        files = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
        nodes = (node for path in files for node in ast.walk(ast.parse(path.read_text())))
        functions = (node for node in nodes if isinstance(node, ast.FunctionDef))
        #: Every call, with the function it stands in and the name it calls.
        self.calls = [(function, call, ast.unparse(call.func)) for function in functions for call in calls(function)]

    def kinds(self) -> set[str]:
        found: set[str] = set()
        for function, call, called in self.calls:
            if called in ("history.record", "engine_history.record"):
                found |= self.values(call.args[2], function)
        return found

    def values(self, node: ast.expr, function: ast.FunctionDef) -> set[str]:
        """Every text that `node` can be inside `function`."""
        if isinstance(node, ast.Constant):
            return {str(node.value)}
        if isinstance(node, ast.IfExp):
            return self.values(node.body, function) | self.values(node.orelse, function)
        if isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.FormattedValue) else part for part in node.values)
            return {"".join(texts) for texts in product(*(self.values(part, function) for part in parts))}
        assert isinstance(node, ast.Name), f"{function.name} records {ast.unparse(node)}: write the kind plainly"
        return self.of_parameter(node.id, function) or self.of_local(node.id, function)

    def of_local(self, name: str, function: ast.FunctionDef) -> set[str]:
        assigned = (node for node in ast.walk(function) if isinstance(node, ast.Assign))
        targets = ((target, node.value) for node in assigned for target in node.targets)
        values = [value for target, value in targets if isinstance(target, ast.Name) and target.id == name]
        return set().union(*(self.values(value, function) for value in values))

    def of_parameter(self, name: str, function: ast.FunctionDef) -> set[str]:
        names = [argument.arg for argument in function.args.args]
        if name not in names:
            return set()
        found: set[str] = set()
        for caller, call, called in self.calls:
            if called.rpartition(".")[2] == function.name and len(call.args) > names.index(name):
                found |= self.values(call.args[names.index(name)], caller)
        return found


def calls(function: ast.FunctionDef) -> Iterator[ast.Call]:
    return (node for node in ast.walk(function) if isinstance(node, ast.Call))


def test_every_kind_of_history_is_documented_and_no_other() -> None:
    text = (REFERENCE / "history.md").read_text()
    documented = set(first_cells(text[text.index("## The case") :]))
    recorded = Recorded().kinds()
    assert {"started", "step-closed", "claimed", "answered-on-behalf"} <= recorded  # all the ways of naming a kind
    assert documented == recorded


# --- tables, rules and findings ---------------------------------------------------------------------------------------


def test_every_table_has_its_place_in_the_architecture_and_its_retention() -> None:
    tables = set(Base.metadata.tables)
    privacy = (DOCS / "explanation" / "privacy.md").read_text()
    assert set(first_cells(privacy)) == tables
    section = (DOCS / "architecture.md").read_text().split("## Tables")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    assert {code for row in rows for code in re.findall(r"`([^`]+)`", row)} == tables


def test_every_rule_of_the_import_gate_is_documented_and_no_other() -> None:
    text = (REFERENCE / "bpmn.md").read_text()
    documented = set(first_cells(text[text.index("## What is refused") :]))
    gate = (ROOT / "engine" / "bpmn").glob("lint*.py")
    others = (ROOT / "engine" / "bpmn" / f"{name}.py" for name in ("documents", "reading", "parsing"))
    code = "".join(path.read_text() for path in (*gate, *others))
    given = re.findall(r"\b(?:finding|refusal)\(\s*\"([a-z-]+)\"", code) + re.findall(r"\brule=\"([a-z-]+)\"", code)
    assert documented == set(given)


def test_every_rule_and_state_of_mails_is_documented() -> None:
    text = (REFERENCE / "notifications.md").read_text()
    told = {path.name for path in (ROOT / "notifications" / "templates" / "nb").iterdir() if path.is_dir()}
    documented = {cell.partition(":")[0] for cell in first_cells(text)}
    assert told <= documented
    assert {"planned", "sending", "sent", "failed", "uncertain", "cancelled"} <= documented


def test_every_request_of_the_api_is_documented_and_no_other() -> None:
    code = "".join(path.read_text() for path in (ROOT / "web" / "api").glob("*.py"))
    found = re.findall(r'@blueprint\.(get|post|put|delete)\("([^"]+)"', code)
    routes = {f"{verb.upper()} /api/v1{path}" for verb, path in found}
    documented = {cell for cell in first_cells((DOCS / "how-to" / "use-the-api.md").read_text()) if " /api/" in cell}
    assert documented == routes


# --- examples ---------------------------------------------------------------------------------------------------------


def blocks(language: str) -> list[tuple[str, str]]:
    """The examples in a language, each with its page's name."""
    found = [(named(sheet), *fence) for sheet in PAGES for fence in _FENCE.findall(sheet.read_text())]
    return [(sheet, block) for sheet, kind, block in found if kind == language]


@pytest.mark.parametrize(("sheet", "block"), blocks("json"), ids=lambda value: value[:40])
def test_every_json_example_is_json_and_every_form_a_form(sheet: str, block: str) -> None:
    document = json.loads(block)
    if "components" in document:
        load(document)
    if "community" in document:
        assert register_file.parse(document).community.key


@pytest.mark.parametrize(("sheet", "block"), blocks("xml"), ids=lambda value: value[:40])
def test_every_expression_in_an_xml_example_can_be_read(sheet: str, block: str) -> None:
    for source in re.findall(r"\$\{[^}]*\}", block):
        parse(source)
    if block.lstrip().startswith("<?xml"):
        documents = [json.loads(text) for beside, text in blocks("json") if beside == sheet]
        forms = {document["id"]: document for document in documents if "id" in document}
        findings = lint(read(block), forms=forms, known_processes=frozenset())
        assert [f.message for f in findings if f.severity == "error"] == []


# --- pages ------------------------------------------------------------------------------------------------------------


def anchor(heading: str) -> str:
    """How a heading is linked to."""
    plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", lambda found: found[1] or "", heading).lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


@pytest.mark.parametrize("sheet", PAGES, ids=named)
def test_every_relative_link_leads_somewhere(sheet: Path) -> None:
    for link in _LINK.findall(without_code(sheet.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, fragment = link.partition("#")
        target = (sheet.parent / path).resolve() if path else sheet
        assert target.exists(), f"{named(sheet)}: {link}"
        if fragment:
            headings = _HEADING.findall(_FENCE.sub("", target.read_text()))
            assert fragment in map(anchor, headings), f"{named(sheet)}: {link}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        sheet = waiting.pop()
        if sheet in reached:
            continue
        reached.add(sheet)
        for link in _LINK.findall(without_code(sheet.read_text())):
            path = link.partition("#")[0]
            if path.endswith(".md") and ":" not in path:
                waiting.append((sheet.parent / path).resolve())
    assert {named(sheet) for sheet in PAGES} <= {named(sheet) for sheet in reached}


#: Folders of somebody's machine, put together here so that this file does not hold them.
_MACHINE = re.compile(r"(?<![\w.:/])/(?:" + "|".join(("home", "root", "Users", "work", "tmp")) + r")/\w|[A-Z]:\\\\\w")


@pytest.mark.parametrize("sheet", PAGES, ids=named)
def test_no_page_names_a_place_on_somebodys_machine(sheet: Path) -> None:
    assert _MACHINE.findall(sheet.read_text()) == []


@pytest.mark.parametrize("sheet", PAGES, ids=named)
def test_lines_are_no_longer_than_an_editor_is_wide(sheet: Path) -> None:
    lines = [line for line in without_code(sheet.read_text()).splitlines() if not line.startswith(("|", "#"))]
    assert [line for line in lines if len(line) > WIDTH] == []
