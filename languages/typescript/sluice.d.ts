// The types of sluice.js: from what a plugin declares, those of its messages and of its rows. A column that is
// given the wrong type, a table or a code that is not declared, do not compile.

/** What a cell of each type is here. */
interface Values {
  ascii: string; text: string; uuid: string; timeuuid: string; boolean: boolean;
  tinyint: number; smallint: number; int: number; float: number; double: number;
  /** Milliseconds since 1970. */
  timestamp: number;
  /** Days since 1970. */
  date: number;
  bigint: bigint;
  /** Nanoseconds since midnight. */
  time: bigint;
  /** As CQL encodes them. */
  blob: Uint8Array; inet: Uint8Array; decimal: Uint8Array; varint: Uint8Array; duration: Uint8Array;
}
/** A type of CQL. */
export type Kind = keyof Values;
/** What a column may be given: null clears it, `unset` leaves it as it is. */
type Given<K extends Kind> = Values[K] | (K extends 'timestamp' ? Date : K extends 'bigint' ? number : never) | null | typeof unset;
type Kinds = Readonly<Record<string, Kind>>;

type Fields = Readonly<Record<string, Kind | `${Kind}?`>>;
type Field<T> = T extends `${infer K extends Kind}?` ? Values[K] | null : T extends Kind ? Values[T] : never;
type Read<F> = { readonly [Name in keyof F]: Field<F[Name]> };

/** Reference data: `columns` by `key`, of which each message's is the field `by`, or what the function gives. */
export interface Lookup<F> {
  readonly key: Kinds;
  readonly by: (keyof F & string) | ((message: Read<F>, origin: Origin) => unknown);
  readonly columns: Kinds;
}
type Found<L> = {
  readonly [Name in keyof L]: L[Name] extends { columns: infer C extends Kinds } ? { [Column in keyof C]: Values[C[Column]] | null } | null : never
};

type Columns<Names> = readonly (Names | Kinds)[];
/** A table's columns: names of fields and lookups, which are copied, and types of those that rows give. */
export type Table<Names> = Columns<Names> | {
  readonly table?: string; readonly operation?: 'upsert' | 'delete'; readonly columns: Columns<Names>;
};
type Both<T> = (T extends unknown ? (each: T) => void : never) extends (all: infer All) => void ? All : never;
type Listed<T> = T extends { columns: infer C } ? C : T;
type Typed<T> = Listed<T> extends readonly (infer Part)[] ? Both<Exclude<Part, string> | {}> : never;
type Row<T> = { [Column in keyof Typed<T>]: Typed<T>[Column] extends infer K extends Kind ? Given<K> : never };
type Rows<T> = { [Name in keyof T]?: Row<T[Name]> | Row<T[Name]>[] };

/** What is known of a message beside its fields, as far as `wants` asks for it. */
export interface Origin {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  /** Milliseconds since 1970. */
  readonly time: number | null;
  readonly partition: number;
  readonly offset: number;
  readonly headers: [name: string, value: Uint8Array | null][];
  /** An id for a row, which a replay makes again; `row` tells the rows of one message apart. */
  id(row?: number): string;
}
declare class Refusal<C extends string> { private code: C }

/** What a plugin reads and writes, and what becomes of a message. */
export interface Described<F, L, T, C extends string> {
  name: string;
  version?: string;
  fields?: F;
  lookups?: L;
  tables: T;
  codes?: readonly C[];
  wants?: readonly ('values' | 'keys' | 'timestamps' | 'positions' | 'headers')[];
  transform(message: Read<F> & Found<L>, origin: Origin): Rows<T> | Refusal<NoInfer<C>>;
}
/** The plugin, to be exported as `transform`; of the pipeline's `[plugin.config]`, where a function describes it. */
export function plugin<
  const F extends Fields = {}, const L extends Readonly<Record<string, Lookup<F>>> = {},
  const T extends Readonly<Record<string, Table<(keyof F | keyof L) & string>>> = {}, const C extends string = never,
>(described: Described<F, L, T, C> | ((config: any) => Described<F, L, T, C>)): object;

/** A message that cannot be used: a dead letter, with a reason for a person. */
export function rejected<const C extends string>(code: C, reason: string): Refusal<C>;
/** A message that is left out on purpose. */
export function filtered<const C extends string>(code: C): Refusal<C>;
/** In place of a value: leaves the column as it is in the table. */
export const unset: unique symbol;
/** Text of UTF-8 bytes, as keys, values and headers are. */
export function textOf(bytes: Uint8Array): string;
/** The host's log. */
export const log: Record<'trace' | 'debug' | 'info' | 'warn' | 'error', (line: unknown) => void>;
