// What an author gets wrong: each is told with its reason, and the messages beside it are not touched.
import { plugin, rejected } from './sluice.js';

const row = { things: { number: 1 } };
const mistakes = {
  'none': () => row,
  'no row': () => undefined,
  'no rows by table': () => [{ number: 1 }],
  'a table that is not declared': () => ({ thing: { number: 1 } }),
  'a column that is not declared': () => ({ things: { number: 1, nummer: 1 } }),
  'a column left out': () => ({ things: {} }),
  'a value of another type': () => ({ things: { number: '1' } }),
  'the second row': () => ({ things: [{ number: 1 }, { number: 2 ** 31 }] }),
  'a code that is not declared': () => rejected('odd', 'it is odd'),
  'asynchronous': async () => row,
  'its own': () => ({ things: { number: undefined.length } }),
};

export const transform = plugin({
  name: 'mistakes',
  fields: { mistake: 'text' },
  tables: { things: ['mistake', { number: 'int' }] },
  // The SDK's own, which may be declared, too.
  codes: ['exception'],
  transform: ({ mistake }) => mistakes[mistake](),
});
