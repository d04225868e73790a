"""What the demo's people write: answers a community like this gives, about no patient.

Keys of parties, chapters and questions are those of the demo's community.
"""

# ruff: noqa: E501

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OFTEN, SOMETIMES, NO = "ja_ofte", "ja_av_og_til", "nei"


@dataclass(frozen=True, kw_only=True)
class Survey:
    """One party's answers. `scores` follow the chapters 3, 4, 4.1.2, 4.6 and 5; `proposals` are chapter, problem, proposal."""

    scores: tuple[str, ...]
    works: str
    does_not_work: str
    proposals: tuple[tuple[str, str, str], ...]
    #: Question -> recognised, comment.
    known: Mapping[str, tuple[str, str]]
    wants_dialogue_meeting: str


SURVEYS: Mapping[str, Survey] = {
    "siv": Survey(
        scores=("4", "3", "2", "4", "3"),
        works="Sengepostene og tildelingskontorene snakker bedre sammen enn før. Innleggelsesrapporten kommer oftere "
        "innen fristen, og flere spørsmål blir avklart på telefon samme dag.",
        does_not_work="Tidspunktet for melding om utskrivningsklar pasient blir tolket ulikt. Noen regner fra meldingen "
        "ble sendt, andre fra den ble lest. Det gir uenighet om betaling i etterkant.",
        proposals=(
            ("4.1.2", "Det er uklart om sendt eller lest melding gjelder.",
             "Skriv at tidspunktet meldingen ble sendt, gjelder, og at kommunen svarer samme dag."),
            ("4", "Utskrivning i helgen blir varslet sent på fredag.",
             "Kommunen varsles innen torsdag kl. 14 når vi venter utskrivning i helgen."),
        ),
        known={
            "preterminal": (SOMETIMES, "Vi melder noen ganger for tidlig. En felles huskeliste før meldingen sendes, ville hjulpet."),
            "short_term": (OFTEN, "Det er uklart hvem som melder fra når pasienten kommer fra et korttidsopphold."),
            "akutt24": (OFTEN, "Oppholdet varer ofte under et døgn. Da rekker vi ikke tidligmelding."),
            "unsound": (NO, ""),
        },
        wants_dialogue_meeting="ja",
    ),
    "holmestrand": Survey(
        scores=("4", "3", "3", "vet_ikke", "4"),
        works="Tidligmeldingen fungerer. Vi får vite om nye pasienter samme dag og kan planlegge korttidsplasser i tide.",
        does_not_work="Opplysninger om hjelpemidler mangler ofte i utskrivningsmeldingen, og vi må ringe for å få dem.",
        proposals=(
            ("4", "Behov for hjelpemidler er ikke avklart når pasienten reiser hjem.",
             "Ergoterapeut på sykehuset og kommunen avklarer hjelpemidler før dagen for utskrivning."),
        ),
        known={
            "preterminal": (SOMETIMES, "Gjelder få, men er krevende. Vi trenger en samtale før melding, ikke bare meldingen."),
            "short_term": (SOMETIMES, "Pasienten beholder plassen hos oss, men sykehuset vet det ikke alltid."),
            "akutt24": (NO, ""),
            "unsound": (SOMETIMES, "Uenighet bør tas på ledernivå samme dag, ikke i meldingen."),
        },
        wants_dialogue_meeting="ja",
    ),
    "horten": Survey(
        scores=("3", "2", "2", "4", "3"),
        works="Samarbeidet om mor og barn etter fødsel er godt. Helsestasjonen får melding før hjemreise.",
        does_not_work="Vi får flere meldinger om utskrivningsklar pasient etter kl. 15. Da er tildelingskontoret stengt.",
        proposals=(
            ("4.1.2", "Meldinger etter kontortid gir betalingsplikt før noen hos oss har lest dem.",
             "Melding etter kl. 15 regnes som mottatt neste virkedag kl. 8."),
            ("5", "Uenighet om utskrivning finner ingen fast vei videre.",
             "Navngi hvem som ringer hvem i hver part når avdelingene ikke blir enige."),
        ),
        known={
            "preterminal": (OFTEN, "Vi ønsker at sykehuset avklarer behandlingsnivå med fastlegen før melding."),
            "short_term": (OFTEN, "Innleggelsesrapporten går fra korttidsavdelingen, men svaret går til hjemmetjenesten."),
            "akutt24": (SOMETIMES, "Vi oppdager oppholdet først når pasienten er hjemme igjen."),
            "unsound": (SOMETIMES, "Vurderingen må begrunnes skriftlig, så vi kan rette på tilbudet."),
        },
        wants_dialogue_meeting="ja",
    ),
    "faerder": Survey(
        scores=("4", "4", "3", "5", "4"),
        works="Avtalen er lettere å finne fram i enn den forrige. Nyansatte bruker den som oppslagsverk.",
        does_not_work="Retningslinjen og avtalen sier ikke helt det samme om frister. Det bør stå ett sted.",
        proposals=(
            ("3", "Fristen for innleggelsesrapport står ulikt i avtalen og retningslinjen.",
             "La fristen stå bare i retningslinjen, og vis til den fra avtalen."),
        ),
        known={
            "preterminal": (NO, ""),
            "short_term": (SOMETIMES, "Vi foreslår et eget felt i innleggelsesrapporten for korttidsopphold."),
            "akutt24": (SOMETIMES, "Kort melding ved ankomst holder for oss."),
            "unsound": (NO, ""),
        },
        wants_dialogue_meeting="nei",
    ),
    "tonsberg": Survey(
        scores=("3", "3", "2", "3", "2"),
        works="De faste møtene mellom tildelingskontoret og sengepostene løser det meste før det blir en sak.",
        does_not_work="Mange pasienter blir meldt utskrivningsklare før nødvendige undersøkelser er gjort. Meldingen blir "
        "trukket og sendt på nytt, og vi planlegger to ganger.",
        proposals=(
            ("4.1.2", "Meldinger blir trukket og sendt på nytt.",
             "Melding sendes når siste undersøkelse er vurdert. En trukket melding skal begrunnes."),
            ("4", "Medisinlisten er ikke oppdatert når pasienten reiser.",
             "Oppdatert legemiddelliste følger alltid pasienten ved hjemreise."),
            ("5", "Saker om uenighet blir ikke oppsummert.",
             "Sekretariatet legger fram en oversikt for AU hvert halvår."),
        ),
        known={
            "preterminal": (OFTEN, "Pårørende opplever flyttingen som en belastning. Vi ønsker tydelige kriterier."),
            "short_term": (OFTEN, "Her trengs det egne regler. Plassen er opptatt også når pasienten er innlagt."),
            "akutt24": (OFTEN, "Oppholdene kommer ikke med i tallene, så vi ser ikke omfanget."),
            "unsound": (SOMETIMES, "Vi ber om at faglig uenighet løftes til kommuneoverlegen."),
        },
        wants_dialogue_meeting="ja",
    ),
    "sandefjord": Survey(
        scores=("4", "3", "3", "4", "3"),
        works="Meldingene kommer fram og blir besvart. Rutinen for mor og barn er en tydelig forbedring.",
        does_not_work="Det er for lite tid mellom melding og hjemreise når pasienten trenger plass samme dag.",
        proposals=(
            ("4.6", "Barselhjem og helsestasjon får ulik informasjon.",
             "Send samme melding til jordmor og helsestasjon."),
        ),
        known={
            "preterminal": (SOMETIMES, "Palliativt team bør kobles inn før melding sendes."),
            "short_term": (SOMETIMES, "Vi løser det på telefon, men det bør stå i retningslinjen."),
            "akutt24": (SOMETIMES, "En kort beskjed til legevakten ville vært nok."),
            "unsound": (NO, ""),
        },
        wants_dialogue_meeting="nei",
    ),
    "larvik": Survey(
        scores=("3", "3", "2", "4", "3"),
        works="Kontaktpersonene er kjente, og vi får raskt svar når vi ringer sengepostene.",
        does_not_work="Avstanden gjør at transport ofte avgjør når pasienten kommer. Avtalen sier lite om det.",
        proposals=(
            ("4", "Hjemreise sent på kvelden gir dårlig mottak hos oss.",
             "Pasienter som skal til en kommunal plass, er framme innen kl. 18."),
        ),
        known={
            "preterminal": (SOMETIMES, "Vi ønsker at lege ringer lege før pasienten flyttes."),
            "short_term": (SOMETIMES, "Svaret bør gå til avdelingen som sendte rapporten."),
            "akutt24": (SOMETIMES, ""),
            "unsound": (SOMETIMES, "Be om et felles møte samme dag når noen mener tilbudet ikke holder."),
        },
        wants_dialogue_meeting="ja",
    ),
}  # fmt: skip

#: Indicators a party delivers; the hospital's own are not quality-checked yet.
INDICATORS: Mapping[str, list[dict[str, str]]] = {
    "siv": [
        {
            "indicator": "Liggedøgn etter utskrivningsklar, per kommune",
            "period": "siste tolv måneder",
            "quality_checked": "nei",
        },
        {
            "indicator": "Andel innleggelser med tidligmelding innen 24 timer",
            "period": "siste tolv måneder",
            "quality_checked": "ja",
        },
    ],
    "": [
        {
            "indicator": "Andel innleggelsesrapporter sendt innen fristen",
            "period": "siste tolv måneder",
            "quality_checked": "ja",
        },
        {"indicator": "Reinnleggelser innen 30 dager", "period": "siste tolv måneder", "quality_checked": "ja"},
    ],
}

#: Form -> answers that fit it as they are; what does not fit the moment's conditions is dropped.
ANSWERS: Mapping[str, Mapping[str, Any]] = {
    "plan_and_clarify": {
        "respondent_groups": [{"name": "Sengeposter"}, {"name": "Tildelingskontor"}, {"name": "Korttidsavdelinger"}],
        "data_needs": "Liggedøgn etter utskrivningsklar, andel tidligmeldinger innen 24 timer og reinnleggelser innen "
        "30 dager, siste tolv måneder. Analyseavdelingen ved sykehuset og kommunene har hver sine tall.",
    },
    "anchor_plan": {
        "changes": "Legg dialogmøtene før høstferien.",
        "remark": "AU ber om at kommunene får tallene før dialogmøtene.",
    },
    "inform_and_start": {
        "text": "Vi evaluerer delavtalen om helhetlige pasientforløp. Undersøkelsen åpner om en måned, og hver part svarer "
        "samlet. Snakk med dem som jobber etter avtalen før dere svarer.",
        "links": [{"name": "Delavtale om helhetlige pasientforløp", "url": "https://www.example.org/helhetlige-pasientforlop"}],
    },
    "analyse": {
        "assessments": [
            {"input": "Sendt, ikke lest melding skal gjelde (sykehuset).", "assessment": "tatt_inn",
             "reason": "Tidspunktet kan etterprøves av begge parter."},
            {"input": "Melding etter kl. 15 regnes som mottatt neste virkedag (Horten).", "assessment": "delvis",
             "reason": "Tas inn for helg, ikke for hverdager. Lovens frister går foran."},
        ],
        "economic_consequences": "Endringene gir ingen nye utgifter. Klarere tidspunkt gir færre omtvistede døgn.",
        "other_agreements": "Retningslinjen for innlagte pasienter må endres samtidig.",
    },
    "anchor_findings": {
        "changes": [{"chapter": "4.1.2", "change": "Skriv klokkeslettet inn i selve regelen."}],
        "send_back_reason": "Konsekvensene for små kommuner må beskrives.",
        "remark": "AU takker for et tydelig grunnlag.",
    },
    "finish_case": {
        "decision_points": [
            {"text": "SSU vedtar endringene i kapittel 4.1.2 slik de er foreslått."},
            {"text": "SSU ber sekretariatet følge opp uenighetssaker og rapportere hvert halvår."},
        ],
    },
    "hold_dialogue_meetings": {},
    "behandle_saken": {
        "vedtak": [
            {"punkt": "Endringene i kapittel 4.1.2 vedtas.", "avgjorelse": "vedtatt"},
            {"punkt": "Sekretariatet rapporterer om uenighetssaker hvert halvår.", "avgjorelse": "vedtatt"},
        ],
        "disagreement": "Partene er ikke enige om fristen for melding på kveldstid.",
    },
    "draft_mandate": {
        "name": "Samhandlingsforum for ledere psykisk helse og rus",
        "background": "SSU ønsker et fast møtested for ledere i kommunene og sykehuset. I dag møtes de uten mandat.",
        "purpose": "Forumet skal sikre helhetlige tjenester til innbyggere med psykiske lidelser og rusproblemer.",
        "tasks": "1. Følge opp delavtalene på feltet.\n2. Dele erfaringer og foreslå forbedringer til FSU.\n"
        "3. Beholde ansatte i et krevende arbeidsmarked.",
        "composition": "Én leder fra hver kommune, tre ledere fra sykehuset, én brukerrepresentant og én fastlege.",
        "meeting_frequency": "Ved behov, minst to møter i året.",
        "term": "Medlemmene sitter i to år. Mandatet vurderes på nytt etter fire år.",
        "economy": "Hver part dekker utgiftene til egne medlemmer.",
        "reporting": "Årsrapport til FSU i november og til SSU om våren.",
        "questions_to_ssu": [{"name": "Skal ledelsen veksle mellom sykehuset og kommunene?"}],
    },
    "give_input": {
        "general_input": "Vi støtter utkastet. Gjør det tydelig hvordan forumet skal samarbeide med FSU, og begrens "
        "antallet oppgaver til det medlemmene rekker.",
    },
    "revise_draft": {
        "assessments": [
            {"input": "Gjør forholdet til FSU tydelig (FSU).", "assessment": "tatt_inn",
             "reason": "Ny setning om at saker går til FSU før SSU."},
            {"input": "Færre oppgaver (Lederforum Helse).", "assessment": "delvis",
             "reason": "To oppgaver er slått sammen. Punkt 3 er et ønske fra SSU."},
        ],
    },
    "clarify_in_au": {"change": "Skriv hvem som leder det første møtet."},
    "send_innkalling": {
        "agenda": "1. Godkjenning av innkalling og saksliste\n2. Mandat for Samhandlingsforum for ledere psykisk helse og "
        "rus\n3. Orientering om handlingsplanen\n4. Eventuelt",
        "absence_contact": "sekretariatet",
    },
    "behandle_mandatet": {
        "decision": "Mandatet godkjennes.",
        "changes": [{"field": "meeting_frequency", "old_text": "Ved behov.",
                     "new_text": "Ved behov. Anbefalt minst to møter i året."}],
    },
    "send_minutes": {"present": "Sykehuset og alle seks kommuner.", "absent": "Ingen meldt."},
    "publish": {"version": "Versjon 2.0", "link": "https://www.example.org/avtaler/helhetlige-pasientforlop"},
    "publish_mandate": {"link": "https://www.example.org/mandat/psykisk-helse-og-rus"},
    "appoint_members": {"members": [{"name": "Enhetsleder psykisk helse", "role": "medlem", "term": "to år",
                                     "deputy": "Fagleder psykisk helse"}],
                        "missing": "Vara er ikke oppnevnt. Navnet kommer innen to uker."},
    "constitute": {"leader": "Enhetsleder psykisk helse", "deputy_leader": "Seksjonsleder ved sykehuset"},
    "sign_and_enforce": {"internal_decision": "Formannskapet, sak 88", "remaining": "Saken går til kommunestyret neste måned."},
    "clarify_internally": {"remark": "Vi ber om at økonomien avklares før endringene trer i kraft."},
    "quality_check": {},
    "follow_up": {"status": "Arbeidet er i gang, og fristen holder."},
    "delavtale_evaluering_start": {"commissioning_decision": "17/26", "archive_reference": "26/02136-18"},
    "fagutvalg_mandat_start": {
        "body_name": "Samhandlingsforum for ledere psykisk helse og rus", "commissioning_decision": "2024.27",
    },
    "motesak_start": {"case_number": "19/26", "archive_reference": "26/02136-21", "case_types": ["beslutning"]},
}  # fmt: skip
