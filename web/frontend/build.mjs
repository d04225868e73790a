// Bundles the pages' script and style to web/static/dist/ and writes manifest.json (plain name -> hashed name).
// `--watch` rebuilds on change. Names carry a hash, so that files may be cached for ever.
import { context } from "esbuild";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const source = path.join(here, "src");
const target = path.join(here, "..", "static", "dist");
const entries = [
  "page.css", "page.js", "diagram.css", "diagram.js", "compare.css", "compare.js", "modeler.css", "modeler.js", "icon.svg",
];

const manifest = {
  name: "manifest",
  setup(build) {
    build.onEnd(async (result) => {
      if (result.errors.length > 0) return;
      const names = namesByEntry(result.metafile);
      await writeFile(path.join(target, "manifest.json"), `${JSON.stringify(names, null, 2)}\n`);
      await removeAllBut(new Set([...Object.keys(result.metafile.outputs).map((name) => path.basename(name)), "manifest.json"]));
    });
  },
};

function namesByEntry(metafile) {
  const pairs = Object.entries(metafile.outputs)
    .filter(([, output]) => output.entryPoint)
    .map(([name, output]) => [path.basename(output.entryPoint), path.basename(name)]);
  return Object.fromEntries(pairs.sort());
}

async function removeAllBut(kept) {
  const stale = (await readdir(target)).filter((name) => !kept.has(name));
  await Promise.all(stale.map((name) => rm(path.join(target, name), { recursive: true })));
}

await mkdir(target, { recursive: true });
const build = await context({
  entryPoints: entries.map((name) => path.join(source, name)),
  outdir: target,
  entryNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  chunkNames: "chunk-[hash]",
  splitting: true,
  bundle: true,
  minify: true,
  metafile: true,
  format: "esm",
  target: ["chrome115", "firefox115", "safari16.4"],
  loader: { ".svg": "copy", ".woff2": "file", ".woff": "empty", ".ttf": "empty", ".eot": "empty" },
  legalComments: "linked",
  logLevel: "info",
  plugins: [manifest],
});

if (process.argv.includes("--watch")) {
  await build.watch();
} else {
  await build.rebuild();
  await build.dispose();
}
