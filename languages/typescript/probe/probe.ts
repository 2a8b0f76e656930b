// What the SDK can, for its test: all types, rows taken back, deletes, ids, and keys that are no field.
import { log, plugin, rejected, filtered, textOf } from './sluice.js';

const types = {
  tiny: 'tinyint', small: 'smallint', whole: 'int', big: 'bigint', single: 'float', twice: 'double',
  flag: 'boolean', time: 'timestamp', day: 'date', raw: 'blob', note: 'text', sent: 'timestamp',
} as const;

export const transform = plugin((config: { after?: string }) => {
  if (JSON.stringify(config) !== '{"after":"!"}') throw new Error('another configuration');
  return {
    name: 'probe',
    fields: { id: 'text', do: 'text', number: 'bigint?', real: 'double', flag: 'boolean', when: 'timestamp', day: 'date' },
    lookups: { words: { key: { word: 'text' }, by: ({ id }: { id: string }) => `<${id}>`, columns: { plain: 'text', weight: 'float' } } },
    tables: {
      things: ['id', { row: 'uuid', ...types }],
      gone: { table: 'things', operation: 'delete', columns: ['id', { row: 'uuid' }] },
    },
    codes: ['odd', 'unwanted'],
    wants: ['keys', 'values', 'timestamps', 'positions', 'headers'],
    transform(message, origin) {
      const { number, words } = message;
      if (message.do === 'panic') throw new Error('asked to panic');
      if (origin.key !== null) log.info(`a key of ${origin.key.length} bytes`);
      if (message.do === 'filter') return filtered('unwanted');
      if (message.do === 'reject') return rejected('odd', `${number} is odd`);
      if (message.do === 'delete') return { gone: { row: origin.id() } };
      const times = (factor: number) => (number === null ? null : factor * Number(number));
      const note = origin.headers.find(([name]) => name === 'trace')?.[1] ?? origin.key;
      const values = {
        tiny: times(1), small: times(100), whole: times(100_000), big: number === null ? null : 10_000_000_000n * number,
        single: words?.weight == null ? 0.1 : 2 * words.weight, twice: 2 * message.real,
        flag: !message.flag, time: message.when + 1, day: message.day + 1, raw: origin.value,
        note: note ? textOf(note) : words?.plain ?? null, sent: origin.time,
      };
      const rows = message.do === 'twice' ? [0, 1] : [0];
      return { things: rows.map((row) => ({ ...values, row: origin.id(row) })) };
    },
  };
});
