//! Progress as the group's offsets.
