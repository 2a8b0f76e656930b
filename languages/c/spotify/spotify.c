// Plays of songs, joined with what is known of the songs: one row a play, by person and time.
#include "../sluice.h"

enum { NAME, SONG, TIMESTAMP };
static const sluice_field fields[] = {
  [NAME] = { SLUICE("name"), sluice_text },
  [SONG] = { SLUICE("song"), sluice_text },
  [TIMESTAMP] = { SLUICE("timestamp"), sluice_timestamp },
};

// What is known of a song.
#define FEATURES \
  { SLUICE("artists"), sluice_text }, { SLUICE("duration_ms"), sluice_text }, \
  { SLUICE("album_name"), sluice_text }, { SLUICE("album_release_date"), sluice_date }, \
  { SLUICE("danceability"), sluice_float }, { SLUICE("energy"), sluice_float }, \
  { SLUICE("key"), sluice_tinyint }, { SLUICE("loudness"), sluice_float }, \
  { SLUICE("mode"), sluice_tinyint }, { SLUICE("speechiness"), sluice_float }, \
  { SLUICE("acousticness"), sluice_float }, { SLUICE("instrumentalness"), sluice_float }, \
  { SLUICE("liveness"), sluice_float }, { SLUICE("valence"), sluice_float }, \
  { SLUICE("tempo"), sluice_float }

enum { SONGS };
static const sluice_column features[] = { FEATURES };
static const sluice_lookup lookups[] = {
  [SONGS] = { SLUICE("songs"), { SLUICE("name"), sluice_text }, SLUICE_LIST(features) },
};

enum { RECORDS };
static const sluice_column record[] = {
  { SLUICE("name"), sluice_text },
  { SLUICE("timestamp"), sluice_timestamp },
  { SLUICE("song"), sluice_text },
  FEATURES,
};
static const sluice_target targets[] = {
  [RECORDS] = { SLUICE("records"), sluice_upsert, SLUICE_LIST(record) },
};

const char *sluice_init(sluice_string config, sluice_description *plugin) {
  *plugin = (sluice_description){
    .name = SLUICE("spotify"),
    .version = SLUICE("0.1.0"),
    .fields = SLUICE_LIST(fields),
    .lookups = SLUICE_LIST(lookups),
    .targets = SLUICE_LIST(targets),
  };
  return sluice_no_config(config);
}

void sluice_transform(const sluice_batch *batch) {
  const sluice_cell *names = sluice_read(batch->fields.at[NAME]);
  const sluice_cell *times = sluice_read(batch->fields.at[TIMESTAMP]);
  const sluice_cell *songs = sluice_read(batch->fields.at[SONG]);
  const sluice_cell *found = sluice_find(SONGS, batch->fields.at[SONG]);
  for (uint32_t message = 0; message < batch->count; message++) {
    // A play of an unknown song is a play all the same: its features are null.
    sluice_rows *row = sluice_row(RECORDS, message);
    sluice_put(row, names[message]);
    sluice_put(row, times[message]);
    sluice_put(row, songs[message]);
    sluice_put_found(row, SONGS, found[message]);
  }
}
