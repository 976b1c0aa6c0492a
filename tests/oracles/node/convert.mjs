// Runs a list of jobs with programs of others, in one process because Node takes its time to start.
// node convert.mjs JOBS.json: [{"tool": "splat-transform", "input", "output", "spzVersion"?} |
//   {"tool": "adobe-read", "input", "output", "to"} | {"tool": "adobe-write", "input", "output", "version", "from"}]
// Input and output are paths. "adobe" writes and reads JSON of flat arrays: positions, scales, rotations (x y z w),
// alphas, colors, sh.
import { readFileSync, writeFileSync, readdirSync, mkdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

import createSpz from '@adobe/spz';
import {
    MemoryFileSystem, MemoryReadFileSystem, ZipReadFileSystem, getInputFormat, getOutputFormat, logger, readFile, writeFile
} from '@playcanvas/splat-transform';

logger.setVerbosity?.('quiet');

const ATTRIBUTES = ['positions', 'scales', 'rotations', 'alphas', 'colors', 'sh'];
const OPTIONS = { iterations: 10, lodSelect: [], unbundled: false, lodChunkCount: 512, lodChunkExtent: 16 };

const splatTransform = async ({ input, output, spzVersion }) => {
    const files = new MemoryReadFileSystem();
    const unbundled = basename(input) === 'meta.json';
    const names = unbundled ? readdirSync(dirname(input)) : [basename(input)];
    for (const name of names) files.set(name, new Uint8Array(readFileSync(join(dirname(input), name))));
    const filename = basename(input);
    const [dataTable] = await readFile({
        filename, inputFormat: getInputFormat(filename), options: OPTIONS, params: [], fileSystem: files
    });
    const made = new MemoryFileSystem();
    const options = { ...OPTIONS, ...(spzVersion && { spzVersion }) };
    await writeFile({ filename: basename(output), outputFormat: getOutputFormat(basename(output), options), dataTable, options }, made);
    mkdirSync(dirname(output), { recursive: true });
    for (const [name, data] of made.results) writeFileSync(join(dirname(output), basename(name)), data);
};

let spz;
const adobe = async ({ tool, input, output, to, from, version }) => {
    spz ??= await createSpz();
    if (tool === 'adobe-read') {
        const cloud = spz.loadSpzFromBuffer(new Uint8Array(readFileSync(input)), { to: spz.CoordinateSystem[to] });
        const about = { numPoints: cloud.numPoints, shDegree: cloud.shDegree, antialiased: cloud.antialiased };
        for (const name of ATTRIBUTES) about[name] = Array.from(cloud[name], (value) =>
            (Number.isFinite(value) ? value : value > 0 ? 1e30 : -1e30));
        writeFileSync(output, JSON.stringify(about));
    } else {
        const cloud = JSON.parse(readFileSync(input));
        for (const name of ATTRIBUTES) cloud[name] = new Float32Array(cloud[name]);
        cloud.extensions = [];
        const options = { version, from: spz.CoordinateSystem[from], sh1Bits: 8, shRestBits: 8 };
        writeFileSync(output, spz.saveSpzToBuffer(cloud, options));
    }
};

for (const job of JSON.parse(readFileSync(process.argv[2]))) {
    try {
        await (job.tool === 'splat-transform' ? splatTransform(job) : adobe(job));
    } catch (error) {
        console.error(`${JSON.stringify(job)}: ${error?.stack ?? error}`);
        process.exitCode = 1;
    }
}
