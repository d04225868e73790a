// Bundles the pages' script and style to web/static/dist/ and writes manifest.json (plain name -> hashed name).
// `--watch` rebuilds on change. Names carry a hash, so that files may be cached for ever;
// beside each lies what it is compressed.
import { context } from "esbuild";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

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
      const built = Object.keys(result.metafile.outputs).map((name) => path.basename(name));
      const packed = await Promise.all(built.filter((name) => /\.(css|js|svg)$/.test(name)).map(pack));
      await writeFile(path.join(target, "manifest.json"), `${JSON.stringify(names, null, 2)}\n`);
      await removeAllBut(new Set([...built, ...packed.flat(), "manifest.json"]));
    });
  },
};

function namesByEntry(metafile) {
  const pairs = Object.entries(metafile.outputs)
    .filter(([, output]) => output.entryPoint)
    .map(([name, output]) => [path.basename(output.entryPoint), path.basename(name)]);
  return Object.fromEntries(pairs.sort());
}

// Compressed once, as small as it gets: the server hands these out as they are. Fonts are compressed already.
async function pack(name) {
  const content = await readFile(path.join(target, name));
  const sizes = { params: { [constants.BROTLI_PARAM_SIZE_HINT]: content.length } };
  await writeFile(path.join(target, `${name}.br`), brotliCompressSync(content, sizes));
  await writeFile(path.join(target, `${name}.gz`), gzipSync(content, { level: 9 }));
  return [`${name}.br`, `${name}.gz`];
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
