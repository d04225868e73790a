"""What the import gate says of a model and of its forms, sentence by sentence, in Bokmål. The gate speaks English.

Each line is the gate's sentence, with `*` for what changes, then what a reader gets: what is wrong, and what to do.
`{0}` is what stood at the first `*`. tests/web/test_model_sentences.py finds every sentence of the gate here.
"""

import re
from collections.abc import Mapping

_MODELER = "Åpne modellen i modelleringsverktøyet og lagre den på nytt."
_ELEMENTS = {
    "The id * is used more than once.": ("Id-en {0} er brukt to ganger.", "Gi hvert element sin egen id."),
    "A * has no id.": ("Et element ({0}) mangler id.", _MODELER),
    "The process has no id.": ("Prosessen mangler id.", "Gi den en id, for eksempel filens navn."),
    "The id * is not one that XML allows.": (
        "Id-en {0} har tegn som ikke kan brukes.", "Bruk bokstaver, tall, bindestrek, understrek og punktum.",
    ),
    "The ids of the sub-processes around it come to more than * characters.": (
        "Delprosessene ligger for dypt i hverandre.", "La den innerste være en egen prosess som kalles.",
    ),
    "The form's key has more than * characters.": ("Skjemaets nøkkel er lengre enn {0} tegn.", "Kort den ned."),
    "The * has more than * characters.": ("{0} er lengre enn {1} tegn.", "Kort den ned."),
    "* is no element of BPMN.": ("«{0}» finnes ikke i BPMN.", "Fjern det."),
    "* does not run: choreographies and conversations are not executed.": (
        "Koreografier og samtaler ({0}) kan ikke kjøres.", "Tegn prosesser som sender meldinger til hverandre.",
    ),
    "Compensation does not run.": (
        "Kompensasjon kan ikke kjøres.", "Tegn en egen vei for det som skal gjøres om.",
    ),
    "A receive task that starts a process does not run.": (
        "En mottaksoppgave kan ikke starte en prosess.", "Tegn en start som venter på meldingen.",
    ),
    "An event-based gateway that starts a process, or waits for all its events, does not run.": (
        "Hendelsesporten kan ikke starte en prosess eller vente på alle hendelsene.",
        "Tegn starter, eller en parallell port.",
    ),
    "* other than 1 does not run.": ("{0} kan bare være 1.", "Fjern verdien."),
    "The process has nothing to run.": ("Prosessen er tom.", "Tegn en start og en oppgave."),
    "Nothing here begins: every element has a flow that leads to it.": (
        "Ingenting begynner her: en flyt fører til hvert element.", "Tegn en start.",
    ),
    "The model has no diagram.": ("Modellen er ikke tegnet.", _MODELER),
    "The diagram draws *, which is not in the model.": ("Diagrammet viser {0}, som ikke er i modellen.", _MODELER),
    "The element is not drawn.": ("Elementet er ikke tegnet i diagrammet.", _MODELER),
}  # fmt: skip
_EVENTS = {
    "The conditional event has no condition.": ("Hendelsen mangler en betingelse.", "Skriv en i «Skjer når»."),
    "A cancel end event stands only inside a transaction that has a cancel boundary event.": (
        "En slutt som avbryter, må stå i en transaksjon med en kanthendelse som fanger det.",
        "Tegn transaksjonen og kanthendelsen.",
    ),
    "An event with several definitions does not run.": (
        "Hendelsen venter på flere ting på en gang.", "Tegn én hendelse for hver.",
    ),
    "An event definition that stands elsewhere in the file does not run.": (
        "Hendelsens innhold står et annet sted i filen.", "Fyll ut hendelsen selv.",
    ),
    "* needs something to wait for.": ("Hendelsen venter ikke på noe.", "Velg type, for eksempel tid eller melding."),
    "* does not run as *.": ("Hendelsen ({0}) kan ikke stå her, som {1}.", "Velg en annen type."),
    "It refers to *, which the file does not declare.": (
        "Den viser til {0}, som ikke finnes i modellen.", "Velg en melding, et signal eller en feil som finnes.",
    ),
    "It names no *.": ("Det står ikke hvilken hendelse det gjelder ({0}).", "Gi den et navn."),
    "The link has no name.": ("Lenken mangler navn.", "Gi begge endene samme navn."),
    "Several link events catch *.": ("Flere lenker tar imot {0}.", "Behold én."),
    "No link event leads to *.": ("Ingen lenke fører til {0}.", "Tegn den, eller fjern denne."),
    "No link event catches * in the same process or sub-process.": (
        "Ingen lenke tar imot {0} i samme prosess.", "Tegn den, eller gi begge endene samme navn.",
    ),
    "The timer needs one date, duration or cycle.": (
        "Tidspunktet mangler.", "Skriv en dato, eller en varighet som PT1H for én time.",
    ),
    "The date that starts a process can't hang on a case: there is none yet.": (
        "En dato som starter prosessen, kan ikke regnes fra en sak. Den finnes ikke ennå.",
        "Skriv en dato, en varighet eller noe som gjentas.",
    ),
    "Only a boundary event on a user task can wait for ${due}, the task's due date.": (
        "Bare en kanthendelse på en brukeroppgave kan vente på ${{due}}.", "Skriv datoen, eller flytt hendelsen.",
    ),
    "The due date is a date, not a duration or cycle.": ("${{due}} er en dato.", "Velg «Dato»."),
    "A timer at ${due} that does not interrupt its task does not run.": (
        "En hendelse ved fristen må avbryte oppgaven.", "La den avbryte, eller skriv datoen selv.",
    ),
    "A timer at ${due} does not run on a task with a standard loop: each turn has its own due date.": (
        "En hendelse ved fristen kan ikke sitte på en oppgave som gjentas.", "Tegn gjentakelsen med et veivalg.",
    ),
    "It is not attached to a task, sub-process or call beside it.": (
        "Kanthendelsen sitter ikke på noe.", "Fest den til en oppgave, en delprosess eller et kall.",
    ),
    "A boundary event of * always interrupts.": ("Denne kanthendelsen ({0}) avbryter alltid.", "La den avbryte."),
    "A cancel event sits on a transaction only.": (
        "Hendelsen kan bare sitte på en transaksjon.", "Fest den til en transaksjon.",
    ),
    "It never happens: a * raises no *.": ("Den skjer aldri: elementet gir ingen slik hendelse ({1}).", "Fjern den."),
    "It never happens: no cancel end event is in the transaction.": (
        "Den skjer aldri: transaksjonen har ingen slutt som avbryter.", "Tegn en, eller fjern hendelsen.",
    ),
    "An event sub-process has one start event; this one has *.": (
        "En delprosess som en hendelse starter, skal ha én start. Denne har {0}.", "Behold én.",
    ),
    "An error always interrupts.": ("En feil avbryter alltid.", "La starten avbryte."),
    "A transaction is not begun by an event.": (
        "En hendelse kan ikke starte en transaksjon.", "Bruk en delprosess.",
    ),
    "Nothing can be attached to an event sub-process.": (
        "Ingenting kan festes til en delprosess som en hendelse starter.", "Legg hendelsen inni den.",
    ),
    "Behind an event-based gateway stand catching events and plain receive tasks only.": (
        "Etter en hendelsesport må det stå en hendelse.", "Sett inn en hendelse mellom dem.",
    ),
    "Only its event-based gateway can lead to this event.": (
        "Bare hendelsesporten kan føre hit.", "Fjern den andre flyten, eller tegn en egen hendelse for den.",
    ),
}  # fmt: skip
_FLOWS = {
    "The flow's * lies in another process or sub-process.": (
        "Flyten går ut av prosessen eller delprosessen.", "La den bli inne, og send en hendelse i stedet.",
    ),
    "The flow's * names nothing that flows run to.": ("Flyten henger løst i en ende.", "Tegn den på nytt."),
    "No flow can lead to this element.": ("Ingen flyt kan føre hit.", "Fjern flyten."),
    "No flow can lead on from this element.": ("Ingen flyt kan føre videre herfra.", "Fjern flyten."),
    "An event-based gateway needs events behind it.": ("Hendelsesporten har ingen hendelser etter seg.", "Tegn dem."),
    "A condition counts only after a task, or an exclusive or inclusive gateway.": (
        "Betingelsen gjelder ikke her.", "Fjern den, eller tegn et veivalg.",
    ),
    "The default flow has a condition.": (
        "Standardveien har en betingelse.", "Fjern betingelsen. Veien gjelder når ingen andre passer.",
    ),
    "The flow has no condition and is not the default.": (
        "Flyten har ingen betingelse og er ikke standardvei.", "Skriv en betingelse, eller gjør den til standardvei.",
    ),
    "The default flow * does not leave this element.": (
        "Standardveien går ikke ut herfra.", "Marker en flyt som gjør det.",
    ),
    "It has no default flow: where no condition is met, the case stops with an incident.": (
        "Veivalget har ingen standardvei. Passer ingen betingelse, står saken stille.",
        "Marker én av flytene som standardvei.",
    ),
    "Nothing leads here.": ("Ingenting fører hit.", "Tegn en flyt hit, eller fjern elementet."),
    "Nothing leads on from here: the path ends without an end event.": (
        "Herfra går det ikke videre.", "Tegn en flyt videre, for eksempel til en slutt.",
    ),
    "It waits for ever: only one of the paths that lead here is taken.": (
        "Den venter for alltid: bare én av veiene hit blir tatt.", "Bruk samme type port der veiene skiltes.",
    ),
    "It runs once for each of the parallel paths that lead here.": (
        "Den kjører én gang for hver av veiene hit.", "Samle veiene i en parallell port først.",
    ),
}  # fmt: skip
_TASKS = {
    "Nobody performs the task.": ("Ingen har oppgaven.", "Legg den i en rolle, eller skriv hvem som har den."),
    "Who performs a task is not read from *.": (
        "Hvem som har oppgaven, leses ikke herfra ({0}).", "Bruk rolle, bestemt person eller bestemt gruppe.",
    ),
    "The task names several groups.": ("Oppgaven har flere grupper.", "Velg én."),
    "There is no group * that could start it.": ("Gruppen {0}, som kan starte saker, finnes ikke.", "Velg en annen."),
    "There is no group *.": ("Gruppen {0} finnes ikke.", "Velg en gruppe som finnes."),
    "A timer closes the task at a due date it does not have.": (
        "Oppgaven lukkes når fristen er ute, men har ingen frist.", "Skriv en frist.",
    ),
    "The task has no due date.": ("Oppgaven mangler frist.", "Skriv en frist."),
    "The priority * is no whole number; the task gets the usual one.": (
        "Prioriteten {0} er ikke et helt tall.", "Skriv et helt tall, eller la feltet stå tomt.",
    ),
    "When people are written to can't be *.": (
        "Når vi skriver, kan ikke være {0}.", "Skriv «at once», «daily 15» eller «weekly 0 8».",
    ),
    "The reminders * are no numbers of working days.": (
        "Påminnelsene ({0}) er ikke antall virkedager.", "Skriv hele tall med komma, for eksempel 10,3,0.",
    ),
    "* is *, which is no whole number.": ("{0} er {1}, som ikke er et helt tall.", "Skriv et helt tall."),
    "There is no role * that could be told who is silent.": (
        "Rollen {0}, som skal få vite hvem som ikke svarer, finnes ikke.", "Skriv id-en til en rolle.",
    ),
    "* stands without *.": ("{0} er skrevet uten {1}.", "Skriv teksten på bokmål også."),
    "* means nothing in *.": ("{0} kan ikke brukes i {1}.", "Bruk {name}, {due}, {case} og {party}."),
    "There is no form *.": ("Skjemaet {0} finnes ikke.", "Velg et skjema som ligger i utkastet, eller lag det."),
    "The service task names no function.": (
        "Tjenesteoppgaven sier ikke hva den skal gjøre.", "Skriv en funksjon eller et uttrykk.",
    ),
    "A topic needs camunda:type external.": ("Funksjonen er skrevet på en ukjent måte.", "Fyll ut «Funksjon» på nytt."),
    "There is no function *.": ("Funksjonen {0} finnes ikke.", "Velg en som er registrert."),
    "The script task has no script.": ("Skriptoppgaven er tom.", "Skriv et skript, eller bruk en vanlig oppgave."),
    "Scripts in * do not run.": ("Skript i {0} kan ikke kjøres.", "Skriv én tilordning per linje i uttrykksspråket."),
    "The business rule task names no decision.": ("Oppgaven sier ikke hvilken beslutning.", "Skriv beslutningens id."),
    "There is no decision *.": ("Beslutningen {0} finnes ikke.", "Skriv id-en til en som ligger i modellen."),
    "mapDecisionResult * does not run.": (
        "Resultatet kan ikke hentes på denne måten ({0}).", "Velg singleEntry eller singleResult.",
    ),
    "The process calls itself.": ("Prosessen kaller seg selv.", "Tegn gjentakelsen med et veivalg."),
    "It calls *, which is not deployed.": (
        "Prosessen som kalles ({0}), er ikke tatt i bruk.", "Velg en som er i bruk, eller ta den i bruk først.",
    ),
    "An event sub-process runs once per event.": ("Delprosessen kan ikke gjentas.", "Fjern gjentakelsen."),
    "The element has two markers.": ("Elementet gjentas på to måter.", "Behold én."),
    "The loop never ends.": ("Gjentakelsen tar aldri slutt.", "Skriv hvor lenge den skal gjenta."),
    "The task does not say whom to ask.": ("Det står ikke hvem som skal spørres.", "Fyll ut «Hvem som spørres»."),
    "It does not say how many.": ("Det står ikke hvor mange ganger.", "Fyll ut «Hvem som spørres»."),
    "Answers of several people are not collected in a variable.": (
        "Svar fra flere samles ikke i en variabel.", "Bruk «Variabel med antall svar».",
    ),
    "loopDataOutputRef and outputDataItem only work together.": (
        "Svarene samles bare når både liste og navn er oppgitt.", "Oppgi begge, eller ingen av dem.",
    ),
    "The behavior * does not run.": ("Hendelser underveis ({0}) kan ikke kjøres.", "Tegn en hendelse etterpå."),
}  # fmt: skip
_EXTENSIONS = {
    "A camunda:* needs a source and a target.": ("Noe som går inn eller ut, mangler navn.", "Oppgi både fra og til."),
    "All variables come back, or those that are named; not both.": (
        "Enten kommer alle variabler tilbake, eller de som er nevnt.", "Fjern det ene.",
    ),
    "A parameter that holds a * does not run.": ("En verdi inn eller ut er satt sammen av {0}.", "Skriv et uttrykk."),
    "A parameter needs a name and an expression.": ("En verdi inn eller ut mangler navn eller uttrykk.", "Skriv det."),
    "Parameters of an event sub-process do not run.": (
        "Delprosessen kan ikke ha verdier inn og ut.", "Legg dem på starten i den.",
    ),
    "A boundary event takes nothing in.": ("En kanthendelse tar ingen verdier inn.", "Bruk verdier ut."),
    "A listener that is no inline script does not run.": ("Lytteren har ikke et skript.", "Skriv skriptet i den."),
    "A listener on * does not run.": ("Lytteren venter på noe ukjent ({0}).", "Bruk start eller end."),
    "A listener does not run here.": ("Lytteren kan ikke stå her.", "Legg den på elementet etter hendelsen."),
    "Data associations document; their assignments and transformations do not run.": (
        "Datakoblingen flytter ingen verdier.", "Bruk verdier inn og ut.",
    ),
    "*:* does not run on *.": ("Tillegget {1} ({0}) kan ikke brukes her.", "Fjern det."),
    "Expressions in * do not run.": ("Uttrykk i {0} kan ikke brukes.", "Skriv det i uttrykksspråket."),
    "*: nothing sets *.": (
        "{0}: ingenting gir «{1}» en verdi.", "Rett navnet, eller la et skjema spørre om det.",
    ),
    # After those that say more.
    "* does not run.": ("Elementet ({0}) kan ikke kjøres.", "Bytt type, eller fjern det."),
    "* is *.": ("{0} har verdien {1}, som ikke kan brukes.", "Rett verdien, eller fjern den."),
}  # fmt: skip
_TIMES = {
    "* is no date.": ("{0} er ikke en dato.", "Skriv den som 2026-11-27, eller skriv et uttrykk."),
    "* is not on the calendar.": ("{0} finnes ikke i kalenderen.", "Rett dagen eller klokkeslettet."),
    "* is outside what the calendar can reckon with.": ("{0} er for langt unna.", "Rett årstallet."),
    "* is no duration.": ("{0} er ikke en varighet.", "Skriv for eksempel PT1H for én time eller P14D for 14 dager."),
    "* is a negative duration.": ("{0} går bakover i tid.", "Skriv den uten minus."),
    "* is longer than * years.": ("{0} er lengre enn {1} år.", "Rett tallene."),
    "* is no repetition.": ("{0} er ikke noe som gjentas.", "Skriv for eksempel R/P1Y for hvert år."),
    "* repeats zero times.": ("{0} skjer aldri.", "Skriv hvor mange ganger, eller bare R for alltid."),
    "* has no duration.": ("{0} mangler hvor lenge det er mellom hver gang.", "Skriv for eksempel R/P1Y."),
    "* is less than a second to repeat after.": ("{0} er for kort.", "Skriv en lengre varighet."),
    "A repetition has at most * characters.": ("Teksten er lengre enn {0} tegn.", "Kort den ned."),
    "* is not cron.": ("{0} er ikke cron.", "Skriv fem felt, for eksempel 0 9 * * MON-FRI."),
    "* names a day that its months don't have.": ("{0} er en dag månedene ikke har.", "Velg en annen dag, eller L."),
    "* is not understood as *.": ("{0} kan ikke leses.", "Skriv et tall, et spenn, en liste eller * med et steg."),
    "* is outside *, which goes from * to *.": ("{0} må være fra {2} til {3}.", "Rett tallene."),
    "Both day fields are ?.": ("Begge dagfeltene er ?.", "Skriv * i det ene."),
    "The weekday * is a number, which means different days in different tools.": (
        "Ukedagen {0} er et tall, og det betyr ulike dager i ulike verktøy.", "Skriv MON, TUE og så videre.",
    ),
    "Both a day of the month and a weekday are given.": ("Både dato og ukedag er oppgitt.", "Skriv ? for den ene."),
    "* counts back over more than a month.": ("{0} teller tilbake mer enn en måned.", "Skriv høyst L-30."),
}  # fmt: skip
_FILES = {
    "The file has a DOCTYPE or entities.": ("Filen har DOCTYPE eller entiteter.", "Fjern dem."),
    "The file's elements are nested too deeply.": (
        "Elementene ligger for dypt i hverandre.", "La de innerste være egne prosesser som kalles.",
    ),
    "The file is not well-formed XML: *": (
        "Filen er ikke gyldig XML.", "Lagre den på nytt fra et modelleringsverktøy.",
    ),
    "The file is not in UTF-8.": ("Filen er ikke i UTF-8.", "Lagre den som UTF-8."),
    "The file is not a BPMN 2.0 model.": ("Filen er ikke en BPMN-modell.", "Lagre den som BPMN 2.0."),
    "The file has no executable process.": (
        "Modellen har ingen prosess som kan kjøres.", "Gjør én prosess kjørbar i modelleringsverktøyet.",
    ),
    "The file has * *.": (
        "Modellen har {0} prosesser som kan kjøres.", "La bare én av dem være kjørbar.",
    ),
    "The process has more than * elements and parts of elements.": (
        "Prosessen har for mange elementer.", "Del den, og la den ene kalle den andre.",
    ),
    "The model is not in UTF-8.": ("Modellen er ikke i UTF-8.", "Lagre den som UTF-8."),
    "The model holds a null character.": ("Modellen har et tegn som ikke kan lagres.", "Lagre den på nytt."),
    "And * more findings.": ("Det er {0} funn til.", "Rett disse først."),
}  # fmt: skip

#: What expressions and scripts may not be, and what it is called; column and line are said with it.
_EXPRESSIONS = {
    "Not a valid *: it ends too early": "det slutter for tidlig",
    "Not a valid *: values are compared with ==": "verdier sammenlignes med ==",
    "Not a valid *: the lines are not indented alike": "linjene har ulikt innrykk",
    "Not a valid *": "det er skrevet feil",
    "An expression is missing here": "her mangler et uttrykk",
    "The expression is empty": "det er tomt",
    "The expression is nested *": "det er for mye inni hverandre",
    "The script is nested *": "det er for mye inni hverandre",
    "The expression has more than * parts": "det er for langt",
    "* has at most * characters, this one has *": "det er lengre enn {1} tegn",
    "The script has more than *": "det er for langt",
    "The text has the invisible character * in it": "det har et usynlig tegn",
    "Expected an operator or a comma between two texts": "det mangler et komma eller tegn mellom to tekster",
    "The word * is not part of the language; write *": "ordet {0} kan ikke brukes; skriv {1}",
    "The word * is not part of the language": "ordet {0} kan ikke brukes",
    "The name * has letters that only look like others; write *": "navnet {0} har bokstaver som ligner; skriv {1}",
    "Text with ${…} in it is not an expression*": "${{…}} må stå rundt hele uttrykket",
    "A text must end with the quote it began with*": "en tekst mangler anførselstegn på slutten",
    "Expected a decimal number*": "tallet er skrevet feil; skriv for eksempel 12 eller 0.5",
    "Unexpected character *": "tegnet {0} kan ikke stå her",
    "The name * is not allowed, because it begins with __": "navnet {0} kan ikke begynne med __",
    "The operator * is not part of the language": "regnetegnet {0} kan ikke brukes",
    "After is and is not, only None is allowed; use ==": "bruk == for å sammenligne",
    "Methods are not part of the language*": "bare funksjoner kan kalles, med navnet alene",
    "Only functions are called*": "bare funksjoner kan kalles, med navnet alene",
    "There is no function *": "funksjonen {0} finnes ikke",
    "* is given the same argument twice": "{0} får samme verdi to ganger",
    "One statement sets one name": "hver linje setter ett navn",
    "Only a plain name is set*": "bare et enkelt navn kan settes",
    "Only = , += and -= set a name": "et navn settes med =, += eller -=",
    "A name is set with =, without a type": "et navn settes med =, uten type",
    "An expression on its own does nothing*": "skriv navn = uttrykk",
    "Only name = expression*": "bare navn = uttrykk, if, elif, else og pass kan brukes",
    "* is a value, and can't be given another": "{0} kan ikke settes",
    "* is not part of the language": "dette er ikke med i uttrykksspråket",
    "*: missing a required argument*": "{0} får for få verdier",
    "*: too many positional arguments": "{0} får for mange verdier",
    "*: got an unexpected keyword argument *": "{0} kjenner ikke {1}",
}  # fmt: skip
#: Where an expression stands, as the modeller's fields call it.
_PLACES = {
    "camunda:dueDate": "Fristen", "camunda:assignee": "Bestemt person", "camunda:candidateGroups": "Bestemt gruppe",
    "conditionExpression": "Betingelsen", "condition": "Betingelsen", "loopCondition": "Gjentakelsen",
    "camunda:collection": "Hvem som spørres", "loopCardinality": "Antallet", "script": "Skriptet",
    "completionCondition": "Når steget er ferdig", "timeDate": "Datoen", "timeDuration": "Varigheten",
    "timeCycle": "Gjentakelsen", "camunda:expression": "Uttrykket", "correlation": "Hvilken sak meldingen gjelder",
    "camunda:in": "En verdi inn", "camunda:out": "En verdi ut", "camunda:inputParameter": "En verdi inn",
    "camunda:outputParameter": "En verdi ut", "camunda:executionListener": "Lytteren",
    "property approver": "Godkjenneren", "property title": "Tittelen", "property form": "Valget av skjema",
    "message name": "Meldingens navn", "signal name": "Signalets navn", "error name": "Feilens navn",
    "escalation name": "Eskaleringens navn",
}  # fmt: skip
#: Words of the gate that stand inside its sentences.
_WORDS = {
    "none": "uten type", "message": "melding", "signal": "signal", "timer": "tid", "error": "feil",
    "escalation": "eskalering", "conditional": "betingelse", "cancel": "avbrudd", "terminate": "stans",
    "link": "lenke", "compensate": "kompensasjon", "multiple": "flere",
    "the start of a process": "start av en prosess", "the start of a sub-process": "start av en delprosess",
    "the start of an event sub-process": "start av en delprosess som venter på noe",
    "a catching event between two elements": "ventepunkt", "a throwing event between two elements": "mellomhendelse",
    "a boundary event": "kanthendelse", "an end event": "slutt", "something": "noe", "nothing": "ingenting",
    "id": "Id-en", "name": "Navnet", "message name": "Meldingens navn", "signal name": "Signalets navn",
    "error name": "Feilens navn", "escalation name": "Eskaleringens navn", "link name": "Lenkens navn",
    "complexGateway": "sammensatt port", "adHocSubProcess": "fri delprosess", **_PLACES,
}  # fmt: skip
_FORMS = {
    "The form is no JSON: *line * column *": "Skjemaet er ikke gyldig JSON. Se på linje {1}.",
    "The form is no JSON*": "Skjemaet er ikke gyldig JSON. Sjekk anførselstegn og komma.",
    "The form must be a JSON object.": "Skjemaet må begynne med { og slutte med }.",
    "* is no form key.*": "Nøkkelen kan bare ha bokstaver, tall og understrek.",
    "The form is larger than * kB.": "Skjemaet er større enn {0} kB.",
    "A form has at most * components.": "Et skjema kan ha høyst {0} felt.",
    "Groups stand in each other at most * levels deep.": "Grupper kan ligge høyst {0} nivåer inni hverandre.",
    "Keys used more than once: *.": "Disse nøklene er brukt flere ganger: {0}.",
    "*: unknown component type *.": "«{0}» har en type som ikke finnes: {1}.",
    "*: a key has letters*": "Nøkkelen «{0}» må begynne med en bokstav og bare ha bokstaver, tall og understrek.",
    "*: give values or valuesKey.": "«{0}» mangler valg (values).",
    "*: the condition can't be read: *": "Betingelsen til «{0}» kan ikke leses.",
    "*: the pattern can't be read: *": "Mønsteret til «{0}» kan ikke leses.",
    "*: a dynamiclist can't stand inside another.": "«{0}» er en liste inni en liste. Det går ikke.",
    "*: the key * is taken, it names the row.": "Nøkkelen {1} i «{0}» er opptatt. Velg en annen.",
    "*: only subtype 'date' is supported.": "«{0}» kan bare være en dato, uten klokkeslett.",
    "*: an option needs a value*": "Et av valgene i «{0}» mangler verdi.",
    "*: * must be *": "«{0}»: {1} har en verdi som ikke kan brukes.",
    "*: *": "Noe er galt ved «{0}».",
}  # fmt: skip

_SENTENCES: Mapping[str, tuple[str, str]] = _ELEMENTS | _EVENTS | _FLOWS | _TASKS | _TIMES | _FILES | _EXTENSIONS
_PLACED = re.compile(
    r"(?P<place>[^:]*(?::\w+)?): (?P<said>.*) \((?:line (?P<line>\d+), )?column (?P<column>\d+) of .*\)", re.S
)
_UNUSABLE_FORM = re.compile(r"The form (\S+) can't be used: (.*)", re.S)


def sentence(message: str) -> tuple[str, str] | None:
    """What the gate's sentence says, and what to do; None for one that is not known here."""
    if (form := _UNUSABLE_FORM.fullmatch(message)) is not None:
        return f"Skjemaet {form[1]} kan ikke brukes. {of_form(form[2])}", "Rett skjemaet."
    if (placed := _PLACED.fullmatch(message)) is not None:
        return _of_expression(placed), "Se eksemplene ved feltet."
    for pattern, (text, remedy) in _SENTENCES.items():
        if (found := _pattern(pattern).fullmatch(message)) is not None:
            return _filled(text, found), remedy
    return None


def of_form(message: str) -> str:
    """What is wrong with a form's definition."""
    for pattern, text in _FORMS.items():
        if (found := _pattern(pattern).fullmatch(message)) is not None:
            return text if "{0}" not in text and "{1}" not in text else _filled(text, found)
    return "Skjemaet kan ikke brukes slik det står."


def _of_expression(placed: "re.Match[str]") -> str:
    """`Fristen: det slutter for tidlig (tegn 36).`"""
    where = f"linje {placed['line']}, tegn {placed['column']}" if placed["line"] else f"tegn {placed['column']}"
    for pattern, text in _EXPRESSIONS.items():
        if (found := _pattern(pattern).fullmatch(placed["said"])) is not None:
            said = _filled(text, found)
            break
    else:
        said = "det kan ikke leses"
    return f"{_PLACES.get(placed['place'], 'Uttrykket')}: {said} ({where})."


def _filled(text: str, found: "re.Match[str]") -> str:
    parts = [_WORDS.get(part, part) for part in found.groups()]
    return text.format(*parts)


def _pattern(sentence_: str) -> "re.Pattern[str]":
    """`*` is anything; Python keeps the compiled patterns."""
    return re.compile("(.*?)".join(re.escape(part) for part in sentence_.split("*")), re.S)
