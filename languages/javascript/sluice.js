// Sluice for JavaScript: say what a plugin reads and writes, and what becomes of a message. README.md
// tells how; sluice.d.ts in ../typescript has every type; the contract underneath is plugin.wit.
//
// QuickJS interprets, so cells are not touched byte by byte: those of a batch are put in front of a table's rows,
// in one block, within which native code copies them. What runs for each message asks for few properties, and
// never for the `length` of a typed array, which is a call.
import { find } from 'sluice:plugin/lookup@0.1.0';
import { write } from 'sluice:plugin/log@0.1.0';

// Found once: what is global is searched for each time.
const { keys } = Object, { isArray } = Array;

/** Writes a line to the host's log. */
export const log = Object.fromEntries(['trace', 'debug', 'info', 'warn', 'error'].map(
  (level) => [level, (line) => write(level, String(line))]));

const REFUSED = Symbol('refused');
const refusal = (list, code, reason) => ({ [REFUSED]: { list, code, reason } });
/** What becomes of a message that cannot be used: a dead letter, with a reason for a person. */
export const rejected = (code, reason) => refusal('rejected', code, String(reason));
/** What becomes of a message that is left out on purpose. */
export const filtered = (code) => refusal('filtered', code);
/** In place of a value: leaves the column as it is in the table. */
export const unset = Symbol('unset');

// Between UTF-16 and bytes stands a "binary" text, of a character a byte: native code converts it.
const toBinary = (bytes) => atob(bytes.toBase64());
const toBytes = (binary) => Uint8Array.fromBase64(btoa(binary));
const isAscii = (text) => /^[\0-\x7f]*$/.test(text);
const toText = (binary) => (isAscii(binary) ? binary : decodeURIComponent(escape(binary)));
const toUtf8 = (text) => toBytes(isAscii(text) ? text : unescape(encodeURIComponent(text)));
/** Text of UTF-8 bytes, as keys, values and headers are. */
export const textOf = (bytes) => toText(toBinary(bytes));

/** Bytes, of which there may be more and more. */
class Block {
  constructor() { this.take(new Uint8Array(1 << 10)); }
  take(bytes) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.binary = null;
  }
  fit(size) {
    const { bytes } = this;
    if (size <= bytes.length) return;
    this.take(new Uint8Array(2 * size));
    this.bytes.set(bytes);
  }
}

// How a cell of each type is read from a block, and written to where it answers with the length.
const fail = (value, kind) => {
  throw new TypeError(`${typeof value === 'string' ? JSON.stringify(value) : String(value)} is no ${kind}`);
};
const number = (type, length, isOne) => {
  const [get, set] = [`get${type}`, `set${type}`];
  return {
    read: (block, at) => block.view[get](at),
    write(block, at, value, kind) {
      if (!isOne(value)) fail(value, kind);
      block.fit(at + length);
      block.view[set](at, value);
      return length;
    },
  };
};
const int = (bits) => number(`Int${bits}`, bits / 8,
  (value) => Number.isInteger(value) && -(2 ** (bits - 1)) <= value && value < 2 ** (bits - 1));
const long = number('BigInt64', 8, (value) => typeof value === 'bigint' && BigInt.asIntN(64, value) === value);
const as = (kind, decode, encode) => ({
  read: (block, at, length) => decode(kind.read(block, at, length)),
  write: (block, at, value, name) => kind.write(block, at, encode(value, name), name),
});
const same = (value) => value;
const toLong = (value, kind) => (Number.isInteger(+value) ? BigInt(+value) : fail(value, kind));
const blob = {
  read: (block, at, length) => block.bytes.slice(at, at + length),
  write(block, at, value, kind) {
    if (!(value instanceof Uint8Array)) fail(value, kind);
    block.fit(at + value.length);
    block.bytes.set(value, at);
    return value.length;
  },
};
const text = {
  read: (block, at, length) => toText((block.binary ??= toBinary(block.bytes)).slice(at, at + length)),
  write: (block, at, value, kind) =>
    blob.write(block, at, typeof value === 'string' ? toUtf8(value) : fail(value, kind)),
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
const kindOf = (name) => kinds[name] ?? fail(name, `type; there are ${Object.keys(kinds).join(', ')}`);
const columnsOf = (types) => Object.entries(types).map(([name, kind]) => ({ name, kind }));

/** A column of a batch: of each message where its cell begins, and how long it is, -1 if there is none. */
class Cells extends Block {
  constructor(parts) { Object.assign(super(), parts); }
  /** `base` is where the column begins in the tables' blocks; the answer is where it ends. */
  begin({ bytes, lengths }, base = 0) {
    this.take(bytes);
    Object.assign(this, { lengths, base, starts: null });
    return base + bytes.length;
  }
  /** Where a message's cell begins; that is found out for all of them, if anybody asks. */
  startOf(message) {
    if (this.starts === null) {
      const { lengths } = this, count = lengths.length;
      this.starts = new Int32Array(count);
      for (let i = 0, at = 0; i < count; at += Math.max(lengths[i++], 0)) this.starts[i] = at;
    }
    return this.starts[message];
  }
  read(kind, message) {
    const length = this.lengths[message];
    return length < 0 ? null : kind.read(this, this.startOf(message), length);
  }
  /** The values in a cell of a lookup: `[i32 length][cell]` for each of its columns. */
  readAll(columns, message) {
    if (this.lengths[message] < 0) return null;
    let at = this.startOf(message);
    return Object.fromEntries(columns.map(([name, kind]) => {
      const length = this.view.getInt32(at), cell = at + 4;
      at = cell + Math.max(length, 0);
      return [name, length < 0 ? null : kind.read(this, cell, length)];
    }));
  }
}

/** A column that the author gives the value of: the lengths of its cells, by row, and the cells. */
class Given extends Block {
  constructor(name, kind) {
    const what = `${kind}, which ${name} is`;
    Object.assign(super(), { name, what, kind: kindOf(kind), columns: [{ name, kind }], width: 1 });
  }
  begin() { Object.assign(this, { lengths: [], end: 0 }); }
  /** Adds a row's cell: the length of null is -1, and with -2 the column stays as it is. */
  add(value) {
    if (value === undefined) throw new TypeError(`no value for the column ${this.name}`);
    const length = value === null ? -1 : value === unset ? -2 : this.kind.write(this, this.end, value, this.what);
    this.lengths.push(length);
    if (length > 0) this.end += length;
  }
  /** Takes back all rows but so many. */
  keep(count) {
    while (this.lengths.length > count) this.end -= Math.max(this.lengths.pop(), 0);
  }
}

/**
 * The text of a function that puts the rows of a batch together: that has nothing left to find out. Its variables are
 * `var`s, which QuickJS need not check. A row that does not fit is written again, into a larger block.
 */
const joining = (parts, width) => {
  const indices = [...parts.keys()], isGiven = (i) => parts[i] instanceof Given;
  const copied = indices.filter((i) => !isGiven(i)), given = indices.filter(isGiven);
  const take = (list, at) => list.map((i) => `length${i} = lengths${i}[${at}];`).join(' ');
  const step = (list) => list.map((i) => `if (length${i} > 0) start${i} += length${i};`).join(' ');
  return `
  var { bytes, start: end } = rows, room = bytes.length, count = lengths.length, message, row, begin;
  ${indices.map((i) => `var length${i}, lengths${i} = parts[${i}].lengths, start${i} = parts[${i}].base;`).join('\n')}
  for (message = row = 0; row < count; message++) {
    ${take(copied, 'message')}
    while (sources[row] === message) {
      ${take(given, 'row')}
      begin = end;
      ${width > 255 ? `bytes[begin] = ${width >> 8};` : ''}
      bytes[begin + 1] = ${width};
      end += 2;
      ${parts.map(({ isLookup, width: columns }, i) => `
        if (length${i} < 0) {
          bytes.fill(255, end, end += ${4 * columns});
          bytes[end - 1] = length${i};
        } else {
          ${isLookup ? '' : `
            if (length${i} > 255) {
              bytes[end] = length${i} >> 24; bytes[end + 1] = length${i} >> 16; bytes[end + 2] = length${i} >> 8;
            }
            bytes[end + 3] = length${i};
            end += 4;`}
          bytes.copyWithin(end, start${i}, start${i} + length${i});
          end += length${i};
        }`).join('')}
      if (end > room) {
        rows.fit(end);
        ({ bytes } = rows); room = bytes.length; end = begin;
      } else {
        lengths[row++] = end - begin;
        ${step(given)}
      }
    }
    ${step(copied)}
  }
  rows.end = end;`;
};

/** The rows of a table. Its block is the batch's cells, then those that the author gave, the rows, and zeros. */
class Rows extends Block {
  constructor(parts) {
    const width = parts.reduce((sum, part) => sum + part.width, 0);
    const given = parts.filter((part) => part instanceof Given);
    const join = new Function('rows', 'parts', 'sources', 'lengths', joining(parts, width));
    Object.assign(super(), { parts, given, join, end: 0 });
  }
  begin() {
    this.sources = [];
    this.given.forEach((part) => part.begin());
  }
  add(values, message) {
    const { given, sources } = this;
    for (let i = 0; i < given.length; i++) given[i].add(values[given[i].name]);
    if (keys(values).length > given.length) this.misspelt(values);
    sources[sources.length] = message;
  }
  misspelt(values) {
    const unknown = keys(values).find((name) => this.parts.every((part) => part.name !== name));
    throw new TypeError(`${this.name} has no column ${unknown} that a row gives`);
  }
  /** Takes back the rows of the message that was last, and what was written of one more. */
  remove(message) {
    while (this.sources.at(-1) === message) this.sources.pop();
    this.given.forEach((part) => part.keep(this.sources.length));
  }
  /** The rows, of the batch's columns, which have their places in front, up to `start`. */
  toWit(target, columns, start) {
    for (const part of this.given) {
      part.base = start;
      start += part.end;
    }
    this.fit(start);
    for (const { bytes, base } of columns) this.bytes.set(bytes, base);
    for (const { bytes, base, end } of this.given) this.bytes.set(bytes.subarray(0, end), base);
    this.bytes.fill(0, start, Math.max(start, this.end));
    this.start = start;
    const sources = new Uint32Array(this.sources), lengths = new Int32Array(sources.length);
    this.join(this, this.parts, sources, lengths);
    return { target, sources, rows: { bytes: this.bytes.subarray(start, this.end), lengths } };
  }
}

/** What is known of a message beside its fields, as far as `wants` asks for it. */
class Origin {
  packed = { keys: new Cells(), values: new Cells(), headers: new Cells() };
  begin(batch) {
    this.batch = batch;
    Object.entries(this.packed).forEach(([name, cells]) => cells.begin(batch[name]));
  }
  get key() { return this.packed.keys.read(blob, this.message); }
  get value() { return this.packed.values.read(blob, this.message); }
  get time() { const time = this.batch.timestamps[this.message]; return time === -1 ? null : time; }
  get partition() { return this.placed(this.batch.partitions); }
  get offset() { return this.placed(this.batch.offsets); }
  placed(numbers) {
    if (!numbers.length) throw new Error("a message's partition, offset and id are there if `wants` has positions");
    return numbers[this.message];
  }
  /** Pairs of a name and bytes, which may be null. */
  get headers() {
    const { view, bytes } = this.packed.headers;
    let at = this.packed.headers.startOf(this.message) + 2;
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
    const bytes = sha1(Uint8Array.of(...POSITIONS, ...name)).slice(0, 16);
    bytes[6] = bytes[6] & 15 | 0x50;
    bytes[8] = bytes[8] & 63 | 0x80;
    return uuid.read({ bytes }, 0, 16);
  }
}
const POSITIONS = Uint8Array.fromHex('67ffd61662345b16af12c81cbe97856e');

function sha1(message) {
  const bytes = new Uint8Array((message.length + 72) >> 6 << 6), view = new DataView(bytes.buffer), w = new Int32Array(80);
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

class Plugin {
  constructor({ name, version = '0.1.0', fields = {}, lookups = {}, tables, codes = [], wants = [], transform }) {
    Object.assign(this, { transform, codes: [...new Set([...codes, 'exception'])], message: {}, origin: new Origin() });
    const { message, origin } = this, sources = {}; // what `message` has and a table may name
    const source = (name, columns, read, more) => {
      if (name in sources) throw new Error(`there are two of the name ${name}`);
      const cells = sources[name] = new Cells({ columns, width: columns.length, ...more });
      Object.defineProperty(message, name, { get: () => read(cells, origin.message), enumerable: true });
      return cells;
    };
    this.fields = Object.entries(fields).map(([name, type]) => {
      const optional = type.endsWith('?'), kind = optional ? type.slice(0, -1) : type, reader = kindOf(kind);
      return source(name, [{ name, kind }], (cells, at) => cells.read(reader, at), { wit: { name, kind, optional } });
    });
    this.lookups = Object.entries(lookups).map(([name, { key, by, columns: types }]) => {
      if (typeof by !== 'function' && !(by in fields)) fail(by, `field, by which ${name} is looked up`);
      const columns = columnsOf(types), [keyed] = columnsOf(key);
      const readers = columns.map((column) => [column.name, kindOf(column.kind)]);
      const more = { isLookup: true, by: sources[by] ?? by, key: kindOf(keyed.kind), wit: { name, key: keyed, columns } };
      return source(name, columns, (cells, at) => cells.readAll(readers, at), more);
    });
    this.tables = Object.entries(tables).map(([name, table]) => {
      const { table: inDatabase = name, operation = 'upsert', columns } = Array.isArray(table) ? { columns: table } : table;
      const parts = columns.flatMap((column) => (typeof column === 'string'
        ? sources[column] ?? fail(column, 'field or lookup')
        : Object.entries(column).map(([given, kind]) => new Given(given, kind))));
      const wit = { table: inDatabase, operation, columns: parts.flatMap((part) => part.columns) };
      return Object.assign(new Rows(parts), { name, wit });
    });
    const witOf = (list) => list.map(({ wit }) => wit);
    this.wit = {
      name, version, codes: this.codes, wants: Object.fromEntries(wants.map((want) => [want, true])),
      fields: witOf(this.fields), lookups: witOf(this.lookups), targets: witOf(this.tables),
    };
  }

  /** The contract's `transform`. */
  run(batch) {
    const { fields, lookups, tables, origin, message, transform } = this, { count } = batch;
    this.outcome = { rows: [], rejected: [], filtered: [] };
    const done = this.done = new Uint8Array(count); // which have an outcome
    origin.begin(batch);
    let end = 0;
    fields.forEach((cells, i) => { end = cells.begin(batch.fields[i], end); });
    lookups.forEach((cells, i) => { end = cells.begin(find(i, this.keysOf(cells, count)), end); });
    tables.forEach((rows) => rows.begin());
    for (let i = 0; i < count; i++) {
      if (done[i]) continue;
      origin.message = i;
      try {
        const made = transform(message, origin);
        if (!this.store(i, made)) this.refuse(i, made);
      } catch (error) {
        this.failed(i, error);
      }
    }
    this.outcome.rows = tables.map((rows, target) => rows.toWit(target, [...fields, ...lookups], end))
      .filter(({ sources }) => sources.length);
    return this.outcome;
  }

  /** Adds the rows that `transform` returned, unless that is a refusal. */
  store(message, made) {
    const { tables } = this, { length } = tables;
    let named = 0, added = 0;
    for (let i = 0; i < length; i++) {
      const rows = tables[i], values = made?.[rows.name];
      if (values === undefined) continue;
      named++;
      if (isArray(values)) {
        values.forEach((row) => rows.add(row, message));
        added += values.length;
      } else {
        rows.add(values, message);
        added++;
      }
    }
    if (named < keys(made ?? {}).length) {
      for (const name in made) if (tables.every((rows) => rows.name !== name)) fail(name, 'table of this plugin');
    }
    if (added) return true;
    if (made?.[REFUSED]) return false;
    throw new TypeError(made instanceof Promise ? 'transform is asynchronous, and nothing waits for it'
      : 'transform returned no row; what is left out on purpose is filtered(code)');
  }

  /** What `by` or `transform` has thrown is the message's: the host logs it. */
  failed(message, error) {
    this.tables.forEach((rows) => rows.remove(message));
    this.refuse(message, rejected('exception', told(error, this.transform)));
  }

  refuse(message, { [REFUSED]: { list, code, reason } }) {
    const index = this.codes.indexOf(code);
    if (index < 0) throw new Error(`the code ${code} is not declared`);
    this.outcome[list].push({ message, code: index, reason });
    this.done[message] = 1;
  }

  keysOf({ by, key: kind }, count) {
    const lengths = new Int32Array(by.lengths ?? count);
    if (by instanceof Cells) return { bytes: by.bytes, lengths };
    const block = new Block();
    let end = 0;
    for (let i = 0; i < count; i++) {
      this.origin.message = i;
      try {
        const key = this.done[i] ? null : by(this.message, this.origin);
        lengths[i] = key === null ? -1 : kind.write(block, end, key, 'key');
        end += Math.max(lengths[i], 0);
      } catch (error) {
        lengths[i] = -1;
        this.failed(i, error);
      }
    }
    return { bytes: block.bytes.subarray(0, end), lengths };
  }
}

/** What an exception says, and where in the author's files it was thrown, or else where `author` is. */
function told(error, author) {
  if (!(error instanceof Error)) return String(error);
  const stack = `${error.stack ?? ''} (${author?.fileName}:${author?.lineNumber}:0)`;
  const places = Array.from(stack.matchAll(/\(\/(?:build\/)?(.+?:\d+):\d+\)/g), ([, place]) => place);
  const place = places.find((each) => !each.includes('sluice.js'));
  return `${error.name}: ${error.message}${place ? ` (${place})` : ''}`;
}

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
