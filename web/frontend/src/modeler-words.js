// The drawing tool's own words in Bokmål. What is missing here stays in English.

const KINDS = {
  Message: "Melding", Timer: "Tid", Signal: "Signal", Conditional: "Betingelse", Escalation: "Eskalering", Error: "Feil",
  Compensation: "Kompensering", Cancel: "Avbrudd", Link: "Lenke", Terminate: "Avslutning av alt",
};
const PLACES = {
  "start event": "start", "end event": "slutt", "boundary event": "kanthendelse",
  "intermediate catch event": "ventepunkt", "intermediate throw event": "mellomhendelse",
};
const NON_INTERRUPTING = " (non-interrupting)";

const WORDS = {
  " + shift + ": " + shift + ",
  "Activate create/remove space tool": "Lag eller fjern plass",
  "Activate global connect tool": "Tegn flyt",
  "Activate hand tool": "Flytt tegneflaten",
  "Activate lasso tool": "Velg flere",
  "Add lane above": "Ny rolle over",
  "Add lane below": "Ny rolle under",
  "Add text annotation": "Legg til merknad",
  "Append compensation activity": "Kompenserende oppgave etter",
  "Append conditional intermediate catch event": "Vent på betingelse etter",
  "Append end event": "Slutt etter",
  "Append gateway": "Veivalg etter",
  "Append intermediate/boundary event": "Hendelse etter",
  "Append message intermediate catch event": "Vent på melding etter",
  "Append receive task": "Mottaksoppgave etter",
  "Append signal intermediate catch event": "Vent på signal etter",
  "Append task": "Oppgave etter",
  "Append timer intermediate catch event": "Vent på tid etter",
  "Change element": "Bytt type",
  Collection: "Samling",
  "Connect to other element": "Tegn flyt til et annet element",
  "Connect using association": "Knytt til",
  "Connect using data input association": "Knytt data til",
  "Create data object reference": "Nytt dataobjekt",
  "Create data store reference": "Nytt datalager",
  "Create end event": "Ny slutt",
  "Create expanded sub-process": "Ny delprosess",
  "Create gateway": "Nytt veivalg",
  "Create group": "Ny ramme",
  "Create intermediate/boundary event": "Ny hendelse",
  "Create pool/participant": "Ny deltaker",
  "Create start event": "Ny start",
  "Create task": "Ny oppgave",
  Delete: "Slett",
  "Divide into three lanes": "Del i tre roller",
  "Divide into two lanes": "Del i to roller",
  Loop: "Gjenta",
  "Open {element}": "Åpne {element}",
  "Parallel multi-instance": "Flere samtidig",
  "Participant multiplicity": "Flere deltakere",
  "Search in diagram": "Søk i diagrammet",
  "Sequential multi-instance": "Flere etter tur",
  "Toggle non-interrupting": "Avbryter ikke",
  "Ad-hoc": "Fri rekkefølge",
  "Ad-hoc sub-process": "Fri delprosess",
  "Ad-hoc sub-process (collapsed)": "Fri delprosess (lukket)",
  "Ad-hoc sub-process (expanded)": "Fri delprosess (åpen)",
  "Boundary event": "Kanthendelse",
  "Business rule task": "Regeloppgave",
  "Call activity": "Kall til prosess",
  "Complex gateway": "Sammensatt port",
  "Conditional flow": "Flyt med betingelse",
  "Data object reference": "Dataobjekt",
  "Data store reference": "Datalager",
  "Default flow": "Standardvei",
  "Empty pool/participant": "Tom deltaker",
  "Empty pool/participant (removes content)": "Tom deltaker (fjerner innholdet)",
  "End event": "Slutt",
  "Event sub-process": "Delprosess for hendelse",
  "Event-based gateway": "Hendelsesport",
  "Exclusive gateway": "Veivalg",
  "Expanded pool/participant": "Deltaker med innhold",
  "Inclusive gateway": "Åpent veivalg",
  "Intermediate throw event": "Mellomhendelse",
  "Manual task": "Manuell oppgave",
  "Parallel gateway": "Parallell port",
  "Receive task": "Mottaksoppgave",
  "Script task": "Skriptoppgave",
  "Send task": "Sendeoppgave",
  "Sequence flow": "Flyt",
  "Service task": "Tjenesteoppgave",
  "Start event": "Start",
  "Sub-process": "Delprosess",
  "Sub-process (collapsed)": "Delprosess (lukket)",
  "Sub-process (expanded)": "Delprosess (åpen)",
  Task: "Oppgave",
  Transaction: "Transaksjon",
  "User task": "Brukeroppgave",
};

function event(template) {
  const plain = template.replace(NON_INTERRUPTING, "");
  const kind = Object.keys(KINDS).find((known) => plain.startsWith(`${known} `));
  const place = kind && PLACES[plain.slice(kind.length + 1)];
  if (!place) return null;
  return `${KINDS[kind]}: ${place}${plain === template ? "" : " som ikke avbryter"}`;
}

/** The tool's text in Bokmål, with what its braces name filled in. */
export function translate(template, replacements = {}) {
  const words = WORDS[template] || event(template) || template;
  return words.replace(/{([^}]+)}/g, (whole, key) => replacements[key] || whole);
}
