"""The import gate's rules in Bokmål, for what `model_sentences` has no sentence of its own for."""

_WORDS = {
    "size": ("Filen er for stor.", "Del prosessen, og la den ene kalle den andre."),
    "doctype": ("Filen har DOCTYPE eller entiteter.", "Fjern dem."),
    "xml": ("Filen er ikke gyldig XML.", "Lagre den på nytt fra et modelleringsverktøy."),
    "bpmn": ("Filen er ikke en BPMN-modell.", "Lagre den som BPMN 2.0."),
    "dmn": ("Beslutningen kan ikke kjøres.", "Rett DMN-filen."),
    "encoding": ("Filen er ikke i UTF-8.", "Lagre den som UTF-8."),
    "id": ("En id mangler, er brukt to ganger eller har feil form.", "Gi hvert element sin egen id."),
    "long": ("En tekst er for lang.", "Kort den ned."),
    "many": ("Det er flere funn enn vi viser.", "Rett disse først."),
    "one-process": ("Modellen har ingen prosess som kan kjøres.", "La prosessen være kjørbar."),
    "element": ("Elementet kan ikke kjøres slik det er tegnet.", "Bytt type, eller fjern det."),
    "extension": ("Elementet har et tillegg som ikke kan kjøres.", "Fjern tillegget."),
    "listener": ("Lytteren kan ikke kjøres.", "Fjern den."),
    "mapping": ("Noe er galt med data inn eller ut.", "Rett navnet eller uttrykket."),
    "start": ("Starten er ikke som den skal.", "La prosessen ha én vanlig start."),
    "event": ("Hendelsen kan ikke kjøres slik den er tegnet.", "Bytt type, eller fyll ut det som mangler."),
    "message": ("Meldingen er ikke som den skal.", "Gi meldingen et navn."),
    "link": ("Lenken fører ikke fram.", "Gi begge endene samme navn."),
    "never": ("Hendelsen kan aldri skje.", "Fjern den, eller tegn det som utløser den."),
    "timer": ("Tidspunktet kan ikke brukes.", "Skriv en dato, en varighet eller et uttrykk."),
    "boundary": ("Kanthendelsen er ikke som den skal.", "Flytt den, bytt type, eller fyll ut det som mangler."),
    "loop": ("Gjentakelsen er ikke som den skal.", "Skriv hvor lenge den skal gjenta."),
    "multi": ("Det er uklart hvem som skal spørres.", "Fyll ut «Hvem som spørres»."),
    "condition": ("Betingelsen mangler eller står feil.", "Skriv en betingelse, eller gjør flyten til standardvei."),
    "default": ("Veivalget mangler en standardvei, eller den er feil.", "Marker én av flytene som standardvei."),
    "flow": ("Flyten er ikke som den skal.", "Tegn den på nytt."),
    "join": ("Veiene møtes på en annen måte enn de skiltes.", "Bruk samme type port der de møtes."),
    "unreachable": ("Ingenting fører hit.", "Tegn en flyt hit, eller fjern elementet."),
    "dead-end": ("Herfra går det ikke videre.", "Tegn en flyt videre, for eksempel til en slutt."),
    "expression": ("Uttrykket kan ikke leses.", "Se eksemplene ved feltet."),
    "script": ("Skriptet kan ikke kjøres.", "Skriv én tilordning per linje."),
    "name": ("Uttrykket leser et navn som ingenting gir verdi.", "Rett navnet, eller la et skjema spørre om det."),
    "value": ("Verdien passer ikke i feltet.", "Skriv et helt tall, eller la feltet stå tomt."),
    "form": ("Skjemaet finnes ikke.", "Velg et skjema som ligger i utkastet, eller lag det."),
    "performer": ("Ingen har oppgaven.", "Legg den i en rolle, eller skriv hvem som har den."),
    "group": ("Gruppen finnes ikke.", "Velg en gruppe som finnes."),
    "telling": ("Noe om e-postene er feil skrevet.", "Rett egenskapen, eller fjern den."),
    "due": ("Oppgaven mangler frist.", "Skriv en frist."),
    "service": ("Tjenesteoppgaven sier ikke hva den skal gjøre.", "Skriv en funksjon eller et uttrykk."),
    "function": ("Funksjonen finnes ikke.", "Velg en funksjon som finnes."),
    "decision": ("Beslutningen finnes ikke, eller er ikke oppgitt.", "Skriv id-en til en beslutning i modellen."),
    "call": ("Prosessen som kalles, er ikke tatt i bruk.", "Velg en som er i bruk, eller ta den i bruk først."),
    "runs": ("Elementet kan ikke leses.", "Endre eller fjern det."),
    "diagram": ("Noe er ikke tegnet i diagrammet.", "Åpne modellen i modelleringsverktøyet og lagre den."),
}


def words(rule: str) -> tuple[str, str]:
    """What is wrong and what to do, for a sentence that `model_sentences` does not know."""
    return _WORDS.get(rule, ("Noe i modellen kan ikke kjøres.", "Endre eller fjern elementet."))


def knows(rule: str) -> bool:
    """Has the rule words of its own?"""
    return rule in _WORDS
