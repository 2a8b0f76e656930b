// What the SDK can, for its test: all types, rows taken back, deletes, ids, and keys that are no field.
#include <assert.h>
#include "../sluice.h"

enum { ID, DO, NUMBER, REAL, FLAG, WHEN, DAY };
static const sluice_field fields[] = {
  [ID] = { SLUICE("id"), sluice_text },
  [DO] = { SLUICE("do"), sluice_text },
  [NUMBER] = { SLUICE("number"), sluice_bigint, true },
  [REAL] = { SLUICE("real"), sluice_double },
  [FLAG] = { SLUICE("flag"), sluice_boolean },
  [WHEN] = { SLUICE("when"), sluice_timestamp },
  [DAY] = { SLUICE("day"), sluice_date },
};

enum { WORDS };
static const sluice_column word[] = {
  { SLUICE("plain"), sluice_text },
  { SLUICE("weight"), sluice_float },
};
static const sluice_lookup lookups[] = {
  [WORDS] = { SLUICE("words"), { SLUICE("word"), sluice_text }, SLUICE_LIST(word) },
};

enum { THINGS, GONE };
static const sluice_column thing[] = {
  { SLUICE("id"), sluice_text },        { SLUICE("row"), sluice_uuid },
  { SLUICE("tiny"), sluice_tinyint },   { SLUICE("small"), sluice_smallint },
  { SLUICE("whole"), sluice_int },      { SLUICE("big"), sluice_bigint },
  { SLUICE("single"), sluice_float },   { SLUICE("twice"), sluice_double },
  { SLUICE("flag"), sluice_boolean },   { SLUICE("time"), sluice_timestamp },
  { SLUICE("day"), sluice_date },       { SLUICE("raw"), sluice_blob },
  { SLUICE("note"), sluice_text },      { SLUICE("sent"), sluice_timestamp },
};
static const sluice_target targets[] = {
  [THINGS] = { SLUICE("things"), sluice_upsert, SLUICE_LIST(thing) },
  [GONE] = { SLUICE("things"), sluice_delete, { thing, 2 } },
};

enum { ODD, UNWANTED };
static const sluice_string codes[] = { [ODD] = SLUICE("odd"), [UNWANTED] = SLUICE("unwanted") };

const char *sluice_init(sluice_string config, sluice_description *plugin) {
  *plugin = (sluice_description){
    .name = SLUICE("probe"), .version = SLUICE("0.1.0"),
    .fields = SLUICE_LIST(fields), .lookups = SLUICE_LIST(lookups), .targets = SLUICE_LIST(targets),
    .codes = SLUICE_LIST(codes),
    .wants = sluice_values | sluice_keys | sluice_timestamps | sluice_positions | sluice_headers,
  };
  static const sluice_string expected = SLUICE("{\"after\":\"!\"}");
  bool is_expected = config.size == expected.size && !memcmp(config.at, expected.at, config.size);
  return is_expected ? NULL : "another configuration";
}

static bool is(sluice_cell cell, const char *word) {
  return cell.size == (int32_t)strlen(word) && !memcmp(cell.at, word, cell.size);
}

void sluice_transform(const sluice_batch *batch) {
  const sluice_cell *cells[DAY + 1];
  for (int field = 0; field <= DAY; field++) cells[field] = sluice_read(batch->fields.at[field]);
  const sluice_cell *values = sluice_read(batch->values), *keys = sluice_read(batch->keys);
  const sluice_cell *headers = sluice_read(batch->headers);
  sluice_cell *words = sluice_alloc(batch->count * sizeof *words);
  for (uint32_t message = 0; message < batch->count; message++) {
    sluice_cell id = cells[ID][message];
    sluice_string word = sluice_print("<%.*s>", (int)id.size, id.at);
    words[message] = sluice_bytes(word.at, word.size);
  }
  const sluice_cell *found = sluice_find(WORDS, sluice_pack(words, batch->count));
  for (uint32_t message = 0; message < batch->count; message++) {
    sluice_cell id = cells[ID][message], todo = cells[DO][message];
    sluice_cell match = found[message], number = cells[NUMBER][message];
    if (is(todo, "panic")) assert(!"asked to panic");
    sluice_cell key = keys[message];
    int64_t sent = batch->timestamps.at[message];
    if (!sluice_is_null(key)) sluice_log(sluice_info, "a key of %d bytes", (int)key.size);
    if (is(todo, "filter")) {
      sluice_filter(message, UNWANTED);
      continue;
    }
    for (int row_of = 0; row_of <= is(todo, "twice"); row_of++) {
      uint8_t uuid[16];
      sluice_id(batch, message, row_of, uuid);
      sluice_rows *row = sluice_row(is(todo, "delete") ? GONE : THINGS, message);
      sluice_put(row, id);
      sluice_put(row, sluice_bytes(uuid, sizeof uuid));
      if (is(todo, "delete")) continue;
      if (sluice_is_null(number)) {
        for (int column = 0; column < 4; column++) sluice_put(row, sluice_null);
      } else {
        int64_t whole = sluice_to_bigint(number);
        sluice_put_tinyint(row, whole);
        sluice_put_smallint(row, 100 * whole);
        sluice_put_int(row, 100000 * whole);
        sluice_put_bigint(row, 10000000000 * whole);
      }
      sluice_cell weight = sluice_nth(match, 1);
      sluice_put_float(row, sluice_is_null(weight) ? 0.1f : 2 * sluice_to_float(weight));
      sluice_put_double(row, 2 * sluice_to_double(cells[REAL][message]));
      sluice_put_boolean(row, !sluice_to_boolean(cells[FLAG][message]));
      sluice_put_bigint(row, sluice_to_bigint(cells[WHEN][message]) + 1);
      sluice_put_int(row, sluice_to_int(cells[DAY][message]) + 1);
      sluice_put(row, values[message]);
      sluice_cell note = sluice_header(headers[message], "trace");
      if (sluice_is_null(note)) note = sluice_is_null(key) ? sluice_nth(match, 0) : key;
      sluice_put(row, note);
      if (sent == -1) sluice_put(row, sluice_null);
      else sluice_put_bigint(row, sent);
    }
    if (is(todo, "reject")) sluice_reject(message, ODD, "%d is odd", (int)sluice_to_bigint(number));
  }
}
