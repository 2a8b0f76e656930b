// A whole plugin without an SDK: it stores each message's name. docs/writing-a-plugin.md has the layouts.

// Memory is taken from the top of what is used, and all of a call's is free again after it.
let top: usize = __heap_base;

function alloc(size: usize): usize {
  const at = (top + 7) & ~7;
  top = at + size;
  const missing = <i32>top - (memory.size() << 16);
  if (missing > 0) memory.grow((missing >> 16) + 1);
  return at;
}

// A list or a string: its address and its length.
function list(at: usize, items: usize, count: u32): void {
  store<usize>(at, items);
  store<u32>(at, count, 4);
}

function text(at: usize, value: string): void {
  const bytes = alloc(value.length);
  for (let i = 0; i < value.length; i++) store<u8>(bytes + i, value.charCodeAt(i));
  list(at, bytes, value.length);
}

function describe(): usize {
  const result = alloc(56), named = alloc(12), target = alloc(20);
  memory.fill(result, 0, top - result);
  text(named, "name"); // a field and a column of type 1, which is text
  store<u8>(named, 1, 8);
  text(target, "names");
  list(target + 12, named, 1);
  text(result + 4, "names");
  text(result + 12, "1.0.0");
  list(result + 20, named, 1);
  list(result + 36, target, 1);
  return result;
}

const description = describe();
const rows = alloc(28);
const outcome = alloc(24);
memory.fill(rows, 0, top - rows);
const calls = top;

export function cabi_realloc(old: usize, had: usize, align: usize, size: usize): usize {
  const at = alloc(size);
  memory.copy(at, old, had);
  return at;
}

export function init(config: usize, size: u32): usize {
  return description;
}

export function transform(messages: usize): usize {
  const count = load<u32>(messages, 8);
  const names = load<usize>(messages, 12), lengths = load<usize>(names, 8);
  const cells = alloc(load<u32>(names, 4) + 6 * count), sizes = alloc(4 * count), sources = alloc(4 * count);
  let cell = load<usize>(names), row = cells;
  for (let i: u32 = 0; i < count; i++) {
    const length = load<u32>(lengths + 4 * i);
    store<u16>(row, bswap<u16>(1)); // a row of one cell: its length, and itself
    store<u32>(row, bswap<u32>(length), 2);
    memory.copy(row + 6, cell, length);
    store<u32>(sizes + 4 * i, length + 6);
    store<u32>(sources + 4 * i, i);
    cell += length;
    row += length + 6;
  }
  list(rows + 4, cells, <u32>(row - cells));
  list(rows + 12, sizes, count);
  list(rows + 20, sources, count);
  list(outcome, rows, 1);
  return outcome;
}

export function cabi_post_init(result: usize): void {
  top = calls;
}

export function cabi_post_transform(result: usize): void {
  top = calls;
}
