// Plays of songs, joined with what is known of the songs: one row a play, by person and time.
import { plugin } from './sluice.js';

export const transform = plugin({
  name: 'spotify',
  fields: { name: 'text', song: 'text', timestamp: 'timestamp' },
  lookups: {
    songs: {
      key: { name: 'text' },
      by: 'song',
      columns: {
        artists: 'text', duration_ms: 'text', album_name: 'text', album_release_date: 'date',
        danceability: 'float', energy: 'float', key: 'tinyint', loudness: 'float', mode: 'tinyint',
        speechiness: 'float', acousticness: 'float', instrumentalness: 'float', liveness: 'float',
        valence: 'float', tempo: 'float',
      },
    },
  },
  tables: { records: ['name', 'timestamp', 'song', 'songs'] },
  // A play of an unknown song is a play all the same: its features are null.
  transform: () => ({ records: {} }),
});
