// Everything here is an addition: each page works as plain HTML without it.
import "@digdir/designsystemet-web";
import "htmx.org";
import { showConditions } from "./conditions.js";
import { loadDiagrams } from "./diagrams.js";
import { growRows } from "./rows.js";

growRows(document);
showConditions(document);
loadDiagrams(document);
