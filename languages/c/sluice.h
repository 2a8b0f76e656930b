// The C SDK for Sluice plugins: one header, no generator, nothing to link.
//
// A plugin is a file that includes it and defines `sluice_init` and `sluice_transform`. Cells arrive
// encoded as the database wants them and leave the same way: what is only passed on is never decoded.
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- What a plugin is ---------------------------------------------------------------------------
enum { sluice_ascii, sluice_text, sluice_blob, sluice_boolean, sluice_tinyint, sluice_smallint,
       sluice_int, sluice_bigint, sluice_float, sluice_double, sluice_timestamp, sluice_date,
       sluice_time, sluice_uuid, sluice_timeuuid, sluice_inet, sluice_decimal, sluice_varint,
       sluice_duration };
enum { sluice_upsert, sluice_delete };
enum { sluice_values = 1, sluice_keys = 2, sluice_timestamps = 4, sluice_positions = 8,
       sluice_headers = 16 };

#define SLUICE_LIST_OF(type) struct { type const *at; uint32_t size; }
#define SLUICE_LIST(array) { array, sizeof array / sizeof *array }
typedef SLUICE_LIST_OF(char) sluice_string;  // UTF-8, without a zero at its end
#define SLUICE(literal) { literal, sizeof literal - 1 }

typedef struct { sluice_string name; uint8_t kind; } sluice_column;
typedef SLUICE_LIST_OF(sluice_column) sluice_columns;
// What the host decodes from each message; dots lead into nested objects.
typedef struct { sluice_string name; uint8_t kind; bool optional; } sluice_field;
// Reference data: `columns` are found by the key, which is compared exactly.
typedef struct { sluice_string name; sluice_column key; sluice_columns columns; } sluice_lookup;
typedef struct { sluice_string table; uint8_t operation; sluice_columns columns; } sluice_target;
typedef struct {
  sluice_string name, version;
  SLUICE_LIST_OF(sluice_field) fields;
  SLUICE_LIST_OF(sluice_lookup) lookups;
  SLUICE_LIST_OF(sluice_target) targets;
  SLUICE_LIST_OF(sluice_string) codes;  // why it rejects or filters messages
  uint8_t wants;                        // sluice_values | sluice_keys ..: what it sees beside fields
} sluice_description;

// ---- What comes in ------------------------------------------------------------------------------
// Many values in one block, one after another; a length of -1 is null.
typedef struct { SLUICE_LIST_OF(uint8_t) bytes; SLUICE_LIST_OF(int32_t) lengths; } sluice_packed;
// A batch: what of it is no field is empty, unless `wants` names it.
typedef struct {
  sluice_string topic;
  uint32_t count;
  SLUICE_LIST_OF(sluice_packed) fields;
  sluice_packed values, keys;
  SLUICE_LIST_OF(int64_t) timestamps;  // milliseconds since 1970; -1 = none
  SLUICE_LIST_OF(int32_t) partitions;
  SLUICE_LIST_OF(int64_t) offsets;
  sluice_packed headers;
} sluice_batch;
// A value, a number big-endian; null has a size of -1.
typedef struct { const uint8_t *at; int32_t size; } sluice_cell;
static const sluice_cell sluice_null = { NULL, -1 }, sluice_unset = { NULL, -2 };
// ---- What the author writes ---------------------------------------------------------------------
// Says what the plugin is. `config` is the pipeline's [plugin.config] as JSON, and gone afterwards.
// Answers with the reason for refusing it, or NULL.
const char *sluice_init(sluice_string config, sluice_description *plugin);
// Gives each message of the batch rows, or rejects it, or filters it.
void sluice_transform(const sluice_batch *batch);

// Refuses any configuration: a mistyped [plugin.config] should not be ignored in silence.
static inline const char *sluice_no_config(sluice_string config) {
  for (uint32_t i = 0; i < config.size; i++)
    if (!strchr("{} \t\r\n", config.at[i])) return "this plugin takes no configuration";
  return NULL;
}

// ---- The log, and memory ------------------------------------------------------------------------
enum sluice_level { sluice_trace, sluice_debug, sluice_info, sluice_warn, sluice_error };
#define SLUICE_IMPORT(interface, name) \
  __attribute__((import_module("sluice:plugin/" interface "@0.1.0"), import_name(name)))
SLUICE_IMPORT("log", "write") void sluice_write(enum sluice_level, const char *at, uint32_t size);
SLUICE_IMPORT("lookup", "find") void sluice_find_packed(uint32_t lookup, const uint8_t *bytes,
  uint32_t size, const int32_t *lengths, uint32_t count, sluice_packed *found);

// Ends the call with a line in the log; the host finds the message it is due to. So does `assert`.
static inline _Noreturn void sluice_panic(const char *why) {
  sluice_write(sluice_error, why, strlen(why));
  __builtin_trap();
}
static struct sluice_block { struct sluice_block *next; int64_t memory[]; } *sluice_blocks;
// Memory until the host has read what this call answers; nobody frees it.
static void *sluice_alloc(uint32_t size) {
  struct sluice_block *block = malloc(sizeof *block + size);
  if (!block) sluice_panic("there is no memory left");
  block->next = sluice_blocks;
  return (sluice_blocks = block)->memory;
}
// `printf` into such memory.
__attribute__((format(printf, 1, 2)))
static inline sluice_string sluice_print(const char *format, ...) {
  va_list values, again;
  va_start(values, format);
  va_copy(again, values);
  int size = vsnprintf(NULL, 0, format, again);
  char *at = sluice_alloc(size + 1);
  vsnprintf(at, size + 1, format, values);
  va_end(again), va_end(values);
  return (sluice_string){ at, size };
}
#define sluice_log(level, ...) \
  do { sluice_string line = sluice_print(__VA_ARGS__); sluice_write(level, line.at, line.size); } while (0)

// ---- Reading ------------------------------------------------------------------------------------
static sluice_description sluice_plugin;

// A cell for each message, of `batch->fields.at[NAME]`, `batch->keys` and so on.
static inline const sluice_cell *sluice_read(sluice_packed packed) {
  uint32_t count = packed.lengths.size;
  if (!count) sluice_panic("cells are read that were not asked for");
  sluice_cell *cells = sluice_alloc(count * sizeof *cells);
  for (uint32_t i = 0; i < count; i++) {
    cells[i] = (sluice_cell){ packed.bytes.at, packed.lengths.at[i] };
    if (cells[i].size > 0) packed.bytes.at += cells[i].size;
  }
  return cells;
}
// What a lookup knows of keys, one for each message: all are looked up at once. Of each it is all the
// columns in one cell, for `sluice_put_found` and `sluice_nth`; null if the key is unknown.
static inline const sluice_cell *sluice_find(uint32_t lookup, sluice_packed keys) {
  sluice_packed found;
  sluice_find_packed(lookup, keys.bytes.at, keys.bytes.size, keys.lengths.at, keys.lengths.size, &found);
  return sluice_read(found);
}
// Keys to look up that are no field's.
static inline sluice_packed sluice_pack(const sluice_cell *keys, uint32_t count) {
  uint32_t size = 0;
  for (uint32_t i = 0; i < count; i++) size += keys[i].size > 0 ? keys[i].size : 0;
  uint8_t *bytes = sluice_alloc(size), *at = bytes;
  int32_t *lengths = sluice_alloc(count * sizeof *lengths);
  for (uint32_t i = 0; i < count; i++) {
    lengths[i] = keys[i].size;
    if (keys[i].size > 0) memcpy(at, keys[i].at, keys[i].size), at += keys[i].size;
  }
  return (sluice_packed){ { bytes, size }, { lengths, count } };
}
static inline bool sluice_is_null(sluice_cell cell) { return cell.size < 0; }
// A text or other bytes as a cell.
static inline sluice_cell sluice_bytes(const void *at, uint32_t size) { return (sluice_cell){ at, size }; }
// The first of the cells at an address, which moves on to the next.
static inline sluice_cell sluice_next(const uint8_t **at) {
  sluice_cell cell = { *at + 4, (int32_t)((*at)[0] << 24 | (*at)[1] << 16 | (*at)[2] << 8 | (*at)[3]) };
  *at += cell.size > 0 ? 4 + cell.size : 4;
  return cell;
}
// A column of what a lookup has found; null if it found nothing.
static inline sluice_cell sluice_nth(sluice_cell found, uint32_t column) {
  if (sluice_is_null(found)) return sluice_null;
  while (column--) sluice_next(&found.at);
  return sluice_next(&found.at);
}
// The value of a header, of a cell of `batch->headers`; null if there is none of this name.
static inline sluice_cell sluice_header(sluice_cell headers, const char *name) {
  const uint8_t *at = headers.at + 2;
  for (int count = headers.at[0] << 8 | headers.at[1]; count; count--) {
    sluice_cell key = sluice_next(&at), value = sluice_next(&at);
    if (key.size == (int32_t)strlen(name) && !memcmp(key.at, name, key.size)) return value;
  }
  return sluice_null;
}

// ---- Writing ------------------------------------------------------------------------------------
typedef struct { void *at; uint32_t size; } sluice_buffer;  // grows, and stays for the next batch
typedef struct { uint32_t target; sluice_buffer cells, lengths, sources; } sluice_rows;
static sluice_rows sluice_targets[16];
static struct { sluice_buffer rows, rejected, filtered; } sluice_out;

// The place of `count` more elements. What a buffer has room for stands before its first one.
static inline void *sluice_grow(sluice_buffer *buffer, uint32_t count, uint32_t width) {
  uint64_t *room = buffer->at ? (uint64_t *)buffer->at - 1 : NULL;
  uint32_t needed = (buffer->size + count) * width;
  if (!room || needed > *room) {
    if (!(room = realloc(room, sizeof *room + 2 * needed))) sluice_panic("there is no memory left");
    *room = 2 * needed;
    buffer->at = room + 1;
  }
  buffer->size += count;
  return (uint8_t *)buffer->at + needed - count * width;
}
// The place of `size` more bytes of the last row.
static inline uint8_t *sluice_extend(sluice_rows *row, uint32_t size) {
  ((uint32_t *)row->lengths.at)[row->lengths.size - 1] += size;
  return sluice_grow(&row->cells, size, 1);
}
// Begins a row of a message. Its cells follow in the order of the target's columns, all of them.
static inline sluice_rows *sluice_row(uint32_t target, uint32_t message) {
  if (target >= sluice_plugin.targets.size) sluice_panic("a row is of no declared target");
  sluice_rows *row = &sluice_targets[target];
  *(uint32_t *)sluice_grow(&row->sources, 1, 4) = message;
  *(uint32_t *)sluice_grow(&row->lengths, 1, 4) = 0;
  uint32_t columns = sluice_plugin.targets.at[target].columns.size;
  memcpy(sluice_extend(row, 2), (uint8_t[]){ columns >> 8, columns }, 2);
  return row;
}
// Writes a cell as it is, or `sluice_null`, or `sluice_unset`: the column stays as it is.
static inline void sluice_put(sluice_rows *row, sluice_cell cell) {
  uint32_t size = cell.size > 0 ? cell.size : 0, length = __builtin_bswap32(cell.size);
  uint8_t *at = sluice_extend(row, 4 + size);
  memcpy(at, &length, 4);
  memcpy(at + 4, cell.at, size);
}
// Writes all the columns that a lookup has found; nulls where the key is unknown.
static inline void sluice_put_found(sluice_rows *row, uint32_t lookup, sluice_cell found) {
  if (!sluice_is_null(found)) memcpy(sluice_extend(row, found.size), found.at, found.size);
  else for (uint32_t i = 0; i < sluice_plugin.lookups.at[lookup].columns.size; i++) sluice_put(row, found);
}
// Copies a number from big-endian to little-endian, or back.
static inline void sluice_turn(void *to, const void *from, uint32_t size) {
  for (uint32_t i = 0; i < size; i++) ((uint8_t *)to)[i] = ((const uint8_t *)from)[size - 1 - i];
}
// sluice_to_int(cell), sluice_put_int(row, 1) and so on. A `timestamp` is a bigint, the milliseconds
// since 1970; a `date` is an int, the days since 1970 with the topmost bit turned over.
#define SLUICE_NUMBER(name, type) \
  static inline type sluice_to_##name(sluice_cell cell) { \
    type number; \
    if (cell.size != sizeof number) sluice_panic("a cell is null, or not of the type " #name); \
    sluice_turn(&number, cell.at, sizeof number); \
    return number; \
  } \
  static inline void sluice_put_##name(sluice_rows *row, type number) { \
    uint8_t bytes[sizeof number]; \
    sluice_turn(bytes, &number, sizeof number); \
    sluice_put(row, sluice_bytes(bytes, sizeof bytes)); \
  }
SLUICE_NUMBER(boolean, bool)
SLUICE_NUMBER(tinyint, int8_t)
SLUICE_NUMBER(smallint, int16_t)
SLUICE_NUMBER(int, int32_t)
SLUICE_NUMBER(bigint, int64_t)
SLUICE_NUMBER(float, float)
SLUICE_NUMBER(double, double)

typedef struct { uint32_t message; uint16_t code; sluice_string reason; } sluice_rejection;
typedef struct { uint32_t message; uint16_t code; } sluice_filtered;
static inline void sluice_take_back(uint32_t message) {
  for (sluice_rows *rows = sluice_targets; rows < sluice_targets + 16; rows++)
    while (rows->sources.size && ((uint32_t *)rows->sources.at)[rows->sources.size - 1] == message)
      rows->sources.size--, rows->cells.size -= ((uint32_t *)rows->lengths.at)[--rows->lengths.size];
}
// Refuses a message that cannot be used, with a code's index and a reason for a person, as `printf`. It
// takes back the message's rows.
#define sluice_reject(message, code, ...) sluice_reject_because(message, code, sluice_print(__VA_ARGS__))
static inline void sluice_reject_because(uint32_t message, uint16_t code, sluice_string reason) {
  sluice_take_back(message);
  *(sluice_rejection *)sluice_grow(&sluice_out.rejected, 1, 16) = (sluice_rejection){ message, code, reason };
}
// Leaves a message out on purpose. It takes back the message's rows.
static inline void sluice_filter(uint32_t message, uint16_t code) {
  sluice_take_back(message);
  *(sluice_filtered *)sluice_grow(&sluice_out.filtered, 1, 8) = (sluice_filtered){ message, code };
}
// An id for a row, made of where its message stands (`sluice_positions`): a replay makes the same
// one. `row` tells the rows of one message apart. It is a UUID of version 5, so SHA-1 of its name.
static inline void sluice_id(const sluice_batch *batch, uint32_t message, uint32_t row, uint8_t id[16]) {
  uint8_t text[384] = "\x67\xff\xd6\x16\x62\x34\x5b\x16\xaf\x12\xc8\x1c\xbe\x97\x85\x6e";
  uint32_t size = 16 + snprintf((char *)text + 16, 300, "%.*s/%d/%lld/%u", (int)batch->topic.size,
    batch->topic.at, (int)batch->partitions.at[message], (long long)batch->offsets.at[message], (unsigned)row);
  uint8_t *end = text + (size + 72) / 64 * 64;
  text[size] = 0x80, end[-2] = size >> 5, end[-1] = size << 3;
  uint32_t hash[5] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 }, w[80];
#define SLUICE_TURN(value, by) ((value) << by | (value) >> (32 - by))
  for (uint8_t *block = text; block < end; block += 64) {
    uint32_t a = hash[0], b = hash[1], c = hash[2], d = hash[3], e = hash[4];
    for (int i = 0; i < 80; i++) {
      uint32_t word = 0;
      for (int byte = 0; i < 16 && byte < 4; byte++) word = word << 8 | block[4 * i + byte];
      w[i] = i < 16 ? word : SLUICE_TURN(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
      uint32_t mix = i < 20 ? (d ^ (b & (c ^ d))) + 0x5a827999 : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
        : i < 60 ? ((b & c) | (d & (b | c))) + 0x8f1bbcdc : (b ^ c ^ d) + 0xca62c1d6;
      uint32_t next = SLUICE_TURN(a, 5) + mix + e + w[i];
      e = d, d = c, c = SLUICE_TURN(b, 30), b = a, a = next;
    }
    hash[0] += a, hash[1] += b, hash[2] += c, hash[3] += d, hash[4] += e;
  }
  for (int i = 0; i < 16; i++) id[i] = hash[i / 4] >> (24 - i % 4 * 8);
  id[6] = (id[6] & 0x0f) | 0x50, id[8] = (id[8] & 0x3f) | 0x80;
}

// ---- The canonical ABI: how the host calls ------------------------------------------------------
#define SLUICE_EXPORT(name) __attribute__((export_name(name)))
SLUICE_EXPORT("cabi_realloc") void *sluice_realloc(void *old, uint32_t had, uint32_t align, uint32_t size) {
  (void)align;
  void *block = sluice_alloc(size);
  return had ? memcpy(block, old, had) : block;
}
SLUICE_EXPORT("init") void *sluice_export_init(const char *config, uint32_t size) {
  static struct { bool failed; union { sluice_string reason; sluice_description plugin; } as; } result;
  const char *reason = sluice_init((sluice_string){ config, size }, &sluice_plugin);
  if ((result.failed = reason)) result.as.reason = (sluice_string){ reason, strlen(reason) };
  else result.as.plugin = sluice_plugin;
  return &result;
}
SLUICE_EXPORT("transform") void *sluice_export_transform(const sluice_batch *batch) {
  // The answer before was read: its memory is this one's.
  for (uint32_t i = 0; i < 16; i++) {
    sluice_rows *rows = &sluice_targets[i];
    rows->target = i, rows->cells.size = rows->lengths.size = rows->sources.size = 0;
  }
  sluice_out.rows = (sluice_buffer){ sluice_targets, sluice_plugin.targets.size };
  sluice_out.rejected.size = sluice_out.filtered.size = 0;
  sluice_transform(batch);
  return &sluice_out;
}
static void sluice_free_blocks(void) {
  for (struct sluice_block *block; (block = sluice_blocks); free(block)) sluice_blocks = block->next;
}
SLUICE_EXPORT("cabi_post_init") void sluice_post_init(void *result) { (void)result, sluice_free_blocks(); }
SLUICE_EXPORT("cabi_post_transform") void sluice_post(void *outcome) { (void)outcome, sluice_free_blocks(); }
