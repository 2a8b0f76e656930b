//! Spotify.
