// Sluice for JavaScript: say what a plugin reads and writes, and what becomes of a message. README.md
// tells how; sluice.d.ts in ../typescript has every type; the contract underneath is plugin.wit.
//
// QuickJS interprets, so cells are not touched byte by byte: those of a batch are put in front of a
// table's rows, in one buffer, within which native code copies them.
import { find } from 'sluice:plugin/lookup@0.1.0';
import { write } from 'sluice:plugin/log@0.1.0';

/** Writes a line to the host's log. */
export const log = Object.fromEntries(['trace', 'debug', 'info', 'warn', 'error'].map(
  (level) => [level, (line) => write(level, String(line))]));

class Refusal {
  constructor(list, code, reason) { Object.assign(this, { list, code, reason }); }
}
/** What becomes of a message that cannot be used: a dead letter, with a reason for a person. */
export const rejected = (code, reason) => new Refusal('rejected', code, String(reason));
/** What becomes of a message that is left out on purpose. */
export const filtered = (code) => new Refusal('filtered', code);
/** In place of a value: leaves the column as it is in the table. */
export const unset = Symbol('unset');

// Between UTF-16 and bytes stands a "binary" text, of a character a byte: native code converts it.
const toBinary = (bytes) => atob(bytes.toBase64());
const toBytes = (binary) => Uint8Array.fromBase64(btoa(binary));
const isAscii = (text) => /^[\0-\x7f]*$/.test(text);
const toText = (binary) => (isAscii(binary) ? binary : decodeURIComponent(escape(binary)));
const toUtf8 = (text) => toBytes(isAscii(text) ? text : unescape(encodeURIComponent(text)));
const viewOf = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const fail = (value, kind) => { throw new TypeError(`${String(value)} is no ${kind}`); };
const number = (type, size, isOne) => ({
  read: (cells, at) => cells.view[`get${type}`](at),
  write(value, kind) {
    if (!isOne(value)) fail(value, kind);
    const bytes = new Uint8Array(size);
    viewOf(bytes)[`set${type}`](0, value);
    return bytes;
  },
});
const int = (bits) => number(`Int${bits}`, bits / 8,
  (value) => Number.isInteger(value) && -(2 ** (bits - 1)) <= value && value < 2 ** (bits - 1));
const long = number('BigInt64', 8, (value) => typeof value === 'bigint' && BigInt.asIntN(64, value) === value);
const as = (kind, decode, encode) => ({
  read: (cells, at, length) => decode(kind.read(cells, at, length)),
  write: (value, name) => kind.write(encode(value, name), name),
});
const same = (value) => value;
const toLong = (value, kind) => (Number.isInteger(+value) ? BigInt(+value) : fail(value, kind));
const blob = {
  read: (cells, at, length) => cells.bytes.slice(at, at + length),
  write: (value, kind) => (value instanceof Uint8Array ? value : fail(value, kind)),
};
const text = {
  read: (cells, at, length) => toText((cells.binary ??= toBinary(cells.bytes)).slice(at, at + length)),
  write: (value, kind) => (typeof value === 'string' ? toUtf8(value) : fail(value, kind)),
};
const uuid = as(blob, (bytes) => bytes.toHex().replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'),
  (value) => Uint8Array.fromHex(value.replaceAll('-', '')));
const isNumber = (value) => typeof value === 'number';
/** The types of cells, as CQL names them. What has no counterpart in JavaScript stays bytes. */
const kinds = {
  ascii: text, text, blob, uuid, timeuuid: uuid, inet: blob, decimal: blob, varint: blob, duration: blob,
  boolean: as(int(8), Boolean, Number), tinyint: int(8), smallint: int(16), int: int(32),
  bigint: as(long, same, (value) => (isNumber(value) ? toLong(value, 'bigint') : value)), time: long,
  timestamp: as(long, Number, (value) => toLong(value, 'timestamp')),
  date: as(int(32), (days) => days ^ -(2 ** 31), (days) => days ^ -(2 ** 31)),
  float: number('Float32', 4, isNumber), double: number('Float64', 8, isNumber),
};

/** A column of a batch; `at` and `length` say where the current message's cell is, -1 that it has none. */
class Cells {
  /** `base` is where the column begins in the tables' buffers, and `at` counts from there. */
  begin({ bytes, lengths }, base = 0) {
    Object.assign(this, { bytes, lengths, base, view: viewOf(bytes), binary: null, at: base, length: 0, next: base });
    return base + bytes.length;
  }
  read(kind) { return this.length < 0 ? null : kind.read(this, this.at - this.base, this.length); }
  /** The values in a cell of a lookup: `[i32 length][cell]` for each of its columns. */
  readAll(columns) {
    if (this.length < 0) return null;
    let at = this.at - this.base;
    return Object.fromEntries(columns.map(([name, kind]) => {
      const length = this.view.getInt32(at), cell = at + 4;
      at = cell + Math.max(length, 0);
      return [name, length < 0 ? null : kind.read(this, cell, length)];
    }));
  }
}

/** The value of a column that the author gives, as a cell. */
class Given {
  constructor(name, kind) { Object.assign(this, { name, kind, width: 1, reader: kindOf(kind) }); }
  encode(values) {
    const value = values[this.name];
    if (value === undefined) throw new TypeError(`no value for the column ${this.name}`);
    if (value !== null && value !== unset) return this.reader.write(value, `${this.kind}, which ${this.name} is`);
    return { length: value === null ? -1 : -2 };
  }
}

/** The rows of a table. Its buffer is the batch's cells, then the rows, then zeros. */
class Rows {
  constructor(parts) {
    Object.assign(this, { parts, buffer: new Uint8Array(1 << 16), end: 0 });
    this.width = parts.reduce((sum, { width }) => sum + width, 0);
  }
  begin(columns, start, count) {
    if (start > this.buffer.length) this.buffer = new Uint8Array(4 * start);
    for (const { bytes, base } of columns) this.buffer.set(bytes, base);
    this.buffer.fill(0, start, Math.max(start, this.end));
    Object.assign(this, { start, end: start, count: 0, lengths: new Int32Array(count), sources: new Uint32Array(count) });
  }
  add(values, message) {
    let { buffer, end } = this;
    const { parts, width } = this;
    if (end + 2 > buffer.length) buffer = this.grow(end + 2);
    buffer[end++] = width >> 8;
    buffer[end++] = width;
    for (let i = 0; i < parts.length; i++) {
      const part = parts[i], cell = part.at === undefined ? part.encode(values) : part, { length } = cell;
      if (end + 4 * part.width + length > buffer.length) buffer = this.grow(end + 4 * part.width + length);
      if (length < 0) {
        buffer.fill(255, end, end += 4 * part.width);
        buffer[end - 1] = length;
        continue;
      }
      if (!part.isLookup) {
        if (length < 256) buffer[end + 3] = length;
        else viewOf(buffer).setInt32(end, length);
        end += 4;
      }
      if (cell === part) buffer.copyWithin(end, cell.at, cell.at + length);
      else buffer.set(cell, end);
      end += length;
    }
    if (this.count === this.lengths.length) ['lengths', 'sources'].forEach((list) => { this[list] = larger(this[list], 2 * this.count); });
    this.lengths[this.count] = end - this.end;
    this.sources[this.count++] = message;
    this.end = end;
  }
  grow(size) { return (this.buffer = larger(this.buffer, 2 * size)); }
  /** Takes back the rows of the message that was last, and what was written of one more. */
  remove(message) {
    while (this.count > 0 && this.sources[this.count - 1] === message) this.end -= this.lengths[--this.count];
    this.buffer.fill(0, this.end);
  }
  toWit(target) {
    const { buffer, start, end, count, lengths, sources } = this;
    return { target, rows: { bytes: buffer.subarray(start, end), lengths: lengths.subarray(0, count) }, sources: sources.subarray(0, count) };
  }
}
function larger(list, size) {
  const copy = new list.constructor(size);
  copy.set(list);
  return copy;
}

/** What is known of a message beside its fields, as far as `wants` asks for it. */
class Origin {
  packed = { keys: new Cells(), values: new Cells(), headers: new Cells() };
  begin(batch) {
    this.batch = batch;
    Object.entries(this.packed).forEach(([name, cells]) => cells.begin(batch[name]));
    return Object.values(this.packed).filter(({ lengths }) => lengths.length);
  }
  get key() { return this.packed.keys.read(blob); }
  get value() { return this.packed.values.read(blob); }
  get time() { const time = this.batch.timestamps[this.message]; return time === -1 ? null : time; }
  get partition() { return this.batch.partitions[this.message]; }
  get offset() { return this.batch.offsets[this.message]; }
  /** Pairs of a name and bytes, which may be null. */
  get headers() {
    const { view, bytes } = this.packed.headers;
    let at = this.packed.headers.at + 2;
    const next = () => {
      const length = view.getInt32(at), start = at + 4;
      at = start + Math.max(length, 0);
      return length < 0 ? null : bytes.slice(start, at);
    };
    return Array.from({ length: view.getUint16(at - 2) }, () => [textOf(next()), next()]);
  }
  /** An id for a row, which a replay makes again; `row` tells the rows of one message apart. */
  id(row = 0) {
    const name = toUtf8(`${this.batch.topic}/${this.partition}/${this.offset}/${row}`);
    const id = sha1(Uint8Array.of(...POSITIONS, ...name)).slice(0, 16);
    id[6] = id[6] & 15 | 0x50;
    id[8] = id[8] & 63 | 0x80;
    return kinds.uuid.read({ bytes: id }, 0, 16);
  }
}
const POSITIONS = Uint8Array.fromHex('67ffd61662345b16af12c81cbe97856e');

function sha1(message) {
  const bytes = new Uint8Array((message.length + 72) >> 6 << 6), view = viewOf(bytes), w = new Int32Array(80);
  bytes.set(message);
  bytes[message.length] = 128;
  view.setUint32(bytes.length - 4, 8 * message.length);
  const turn = (word, bits) => word << bits | word >>> (32 - bits);
  const hash = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0);
  for (let block = 0; block < bytes.length; block += 64) {
    let [a, b, c, d, e] = hash;
    for (let i = 0; i < 80; i++) {
      w[i] = i < 16 ? view.getInt32(block + 4 * i) : turn(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
      const [mixed, constant] = i < 20 ? [b & c | ~b & d, 0x5a827999] : i < 40 ? [b ^ c ^ d, 0x6ed9eba1]
        : i < 60 ? [b & c | b & d | c & d, 0x8f1bbcdc] : [b ^ c ^ d, 0xca62c1d6];
      [a, b, c, d, e] = [turn(a, 5) + mixed + e + constant + w[i] | 0, a, turn(b, 30), c, d];
    }
    [a, b, c, d, e].forEach((word, i) => { hash[i] += word; });
  }
  const digest = new DataView(new ArrayBuffer(20));
  hash.forEach((word, i) => digest.setInt32(4 * i, word));
  return new Uint8Array(digest.buffer);
}

const kindOf = (name) => kinds[name] ?? fail(name, `type; there are ${Object.keys(kinds).join(', ')}`);
const columnsOf = (types) => Object.entries(types).map(([name, kind]) => ({ name, kind }));

class Plugin {
  constructor({ name, version = '0.1.0', fields = {}, lookups = {}, tables, codes = [], wants = [], transform }) {
    Object.assign(this, { transform, codes: [...codes, 'exception'], message: {}, origin: new Origin() });
    const sources = {}; // what `message` has and a table may name
    const source = (name, cells, columns, get) => {
      if (name in sources) throw new Error(`there are two of the name ${name}`);
      sources[name] = Object.assign(cells, { columns, width: columns.length });
      Object.defineProperty(this.message, name, { get, enumerable: true });
      return cells;
    };
    this.fields = Object.entries(fields).map(([name, type]) => {
      const optional = type.endsWith('?'), kind = optional ? type.slice(0, -1) : type, reader = kindOf(kind);
      const cells = source(name, new Cells(), [{ name, kind }], () => cells.read(reader));
      return Object.assign(cells, { wit: { name, kind, optional } });
    });
    this.lookups = Object.entries(lookups).map(([name, { key, by, columns }]) => {
      const readers = Object.entries(columns).map(([column, kind]) => [column, kindOf(kind)]), [keyed] = columnsOf(key);
      if (typeof by !== 'function' && !(by in fields)) throw new Error(`${name} is looked up by ${by}, which is no field`);
      const wit = { name, key: keyed, columns: columnsOf(columns) };
      const cells = source(name, new Cells(), wit.columns, () => cells.readAll(readers));
      return Object.assign(cells, { isLookup: true, by: sources[by] ?? by, reader: kindOf(keyed.kind), wit });
    });
    this.tables = Object.entries(tables).map(([name, table]) => {
      const { table: inDatabase = name, operation = 'upsert', columns } = Array.isArray(table) ? { columns: table } : table;
      const parts = columns.flatMap((column) => (typeof column === 'string'
        ? sources[column] ?? fail(column, 'field or lookup') : Object.entries(column).map(([name, kind]) => new Given(name, kind))));
      const rows = new Rows(parts), witColumns = parts.flatMap((part) => part.columns ?? [{ name: part.name, kind: part.kind }]);
      return Object.assign(rows, { name, wit: { table: inDatabase, operation, columns: witColumns } });
    });
    this.byName = Object.fromEntries(this.tables.map((rows) => [rows.name, rows]));
    const witOf = (list) => list.map(({ wit }) => wit);
    this.wit = {
      name, version, codes: this.codes, wants: Object.fromEntries(['positions', ...wants].map((want) => [want, true])),
      fields: witOf(this.fields), lookups: witOf(this.lookups), targets: witOf(this.tables),
    };
  }

  /** The contract's `transform`. */
  run(batch) {
    const { fields, lookups, tables, origin, message, transform, byName } = this, { count } = batch;
    this.outcome = { rows: [], rejected: [], filtered: [] };
    this.done = new Set();
    const columns = [...fields, ...origin.begin(batch)];
    let end = 0;
    fields.forEach((cells, i) => { end = cells.begin(batch.fields[i], end); });
    lookups.forEach((cells, i) => {
      end = cells.begin(find(i, this.keysOf(cells, columns, count)), end);
      columns.push(cells);
    });
    tables.forEach((rows) => rows.begin([...fields, ...lookups], end, count));
    this.each(columns, count, (i) => {
      const made = transform(message, origin);
      if (made instanceof Refusal) return this.refuse(i, made);
      let added = 0;
      for (const name in made) {
        const rows = byName[name] ?? fail(name, 'table of this plugin'), values = made[name];
        if (Array.isArray(values)) values.forEach((row) => { rows.add(row, i); added++; });
        else rows.add(values, i, added++);
      }
      if (!added) throw new TypeError('transform returned no row; what is left out on purpose is filtered(code)');
    });
    this.outcome.rows = tables.map((rows, target) => rows.toWit(target)).filter(({ sources }) => sources.length);
    return this.outcome;
  }

  /** Calls `work` for each message that has no outcome yet; what it throws is the message's. */
  each(columns, count, work) {
    const { done, origin } = this;
    for (const cells of columns) cells.next = cells.base;
    for (let i = 0; i < count; i++) {
      for (let c = 0; c < columns.length; c++) {
        const cells = columns[c], length = cells.lengths[i];
        cells.at = cells.next;
        cells.length = length;
        if (length > 0) cells.next += length;
      }
      if (done.size && done.has(i)) continue;
      origin.message = i;
      try {
        work(i);
      } catch (error) {
        this.tables.forEach((rows) => rows.remove(i));
        const reason = told(error);
        log.error(`exception on ${origin.batch.topic}/${origin.partition}/${origin.offset}: ${reason}`);
        this.refuse(i, rejected('exception', reason));
      }
    }
  }

  refuse(message, { list, code, reason }) {
    const index = this.codes.indexOf(code);
    if (index < 0) throw new Error(`the code ${code} is not declared`);
    this.outcome[list].push({ message, code: index, reason });
    this.done.add(message);
  }

  keysOf({ by, reader }, columns, count) {
    if (by instanceof Cells) return by;
    const keys = [], lengths = new Int32Array(count).fill(-1);
    let end = 0;
    this.each(columns, count, (i) => {
      const key = by(this.message, this.origin);
      if (key === null) return;
      keys.push(reader.write(key, 'key'));
      end += lengths[i] = keys.at(-1).length;
    });
    const bytes = new Uint8Array(end);
    for (const key of keys.reverse()) bytes.set(key, end -= key.length);
    return { bytes, lengths };
  }
}

/** What an exception says, and where in the author's files it was thrown. */
function told(error) {
  if (!(error instanceof Error)) return String(error);
  const places = Array.from((error.stack ?? '').matchAll(/\(\/(?:build\/)?(.+:\d+):\d+\)/g), ([, place]) => place);
  const place = places.find((each) => !each.includes('sluice.js'));
  return `${error.name}: ${error.message}${place ? ` (${place})` : ''}`;
}

/** Text of UTF-8 bytes, as keys, values and headers are. */
export const textOf = (bytes) => toText(toBinary(bytes));

/**
 * The plugin: what it reads and writes, and what becomes of a message. A function of the pipeline's
 * `[plugin.config]` may return it; an error that it throws refuses the configuration.
 */
export function plugin(described) {
  let made;
  return {
    init(config) {
      try {
        const settings = JSON.parse(config);
        if (typeof described !== 'function' && Object.keys(settings).length) throw new Error('this plugin has no configuration');
        made = new Plugin(typeof described === 'function' ? described(settings) : described);
        return made.wit;
      } catch (error) {
        throw told(error); // the contract wants text
      }
    },
    transform: (batch) => made.run(batch),
  };
}
