//! Plays of songs, joined with what is known of the songs: one row a play, by person and time.
const sluice = @import("sluice.zig");

/// What is known of a song.
const features = [_]sluice.Column{
    .{ "artists", .text },
    .{ "duration_ms", .text },
    .{ "album_name", .text },
    .{ "album_release_date", .date },
    .{ "danceability", .float },
    .{ "energy", .float },
    .{ "key", .tinyint },
    .{ "loudness", .float },
    .{ "mode", .tinyint },
    .{ "speechiness", .float },
    .{ "acousticness", .float },
    .{ "instrumentalness", .float },
    .{ "liveness", .float },
    .{ "valence", .float },
    .{ "tempo", .float },
};
const play = [_]sluice.Column{ .{ "name", .text }, .{ "timestamp", .timestamp }, .{ "song", .text } };

pub const description = sluice.Description{
    .name = "spotify",
    .version = "0.1.0",
    .fields = &.{
        .{ .name = "name", .kind = .text },
        .{ .name = "song", .kind = .text },
        .{ .name = "timestamp", .kind = .timestamp },
    },
    .lookups = &.{.{ .name = "songs", .key = .{ "name", .text }, .columns = &features }},
    .targets = &.{.{ .table = "records", .columns = &(play ++ features) }},
};

pub fn transform(batch: *const sluice.Batch, out: *sluice.Outcome) !void {
    const songs = batch.find("songs", "song");
    for (batch.messages) |message| {
        // A play of an unknown song is a play all the same: its features are null.
        out.row("records", message, .{
            message.cell("name"),
            message.cell("timestamp"),
            message.cell("song"),
            songs.at(message),
        });
    }
}

pub const panic = sluice.panic;
pub const std_options = sluice.std_options;
comptime {
    sluice.exportPlugin();
}
