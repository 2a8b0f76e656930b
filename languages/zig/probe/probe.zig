//! What the SDK can, for its test: all types, rows taken back, deletes, ids, and keys that are no field.
const std = @import("std");
const sluice = @import("sluice.zig");

const thing = [_]sluice.Column{
    .{ "id", .text },
    .{ "row", .uuid },
    .{ "tiny", .tinyint },
    .{ "small", .smallint },
    .{ "whole", .int },
    .{ "big", .bigint },
    .{ "single", .float },
    .{ "twice", .double },
    .{ "flag", .boolean },
    .{ "time", .timestamp },
    .{ "day", .date },
    .{ "raw", .blob },
    .{ "note", .text },
    .{ "sent", .timestamp },
};

pub const description = sluice.Description{
    .name = "probe",
    .version = "0.1.0",
    .fields = &.{
        .{ .name = "id", .kind = .text },
        .{ .name = "do", .kind = .text },
        .{ .name = "number", .kind = .bigint, .optional = true },
        .{ .name = "real", .kind = .double },
        .{ .name = "flag", .kind = .boolean },
        .{ .name = "when", .kind = .timestamp },
        .{ .name = "day", .kind = .date },
    },
    .lookups = &.{.{
        .name = "words",
        .key = .{ "word", .text },
        .columns = &.{ .{ "plain", .text }, .{ "weight", .float } },
    }},
    .targets = &.{
        .{ .table = "things", .columns = &thing },
        .{ .table = "things", .delete = true, .columns = thing[0..2] },
    },
    .codes = &.{ "odd", "unwanted" },
    .wants = .{ .values = true, .keys = true, .timestamps = true, .positions = true, .headers = true },
};

pub fn init(config: []const u8) ?[]const u8 {
    return if (std.mem.eql(u8, config, "{\"after\":\"!\"}")) null else "another configuration";
}

pub fn transform(batch: *const sluice.Batch, out: *sluice.Outcome) !void {
    var keys: std.ArrayList(sluice.Cell) = .empty;
    for (batch.messages) |message| {
        try keys.append(sluice.arena, sluice.print("<{s}>", .{message.get("id")}));
    }
    const found = batch.findAll("words", keys.items);
    for (batch.messages) |message| {
        const todo = message.get("do");
        if (std.mem.eql(u8, todo, "panic")) @panic("asked to panic");
        if (message.key()) |key| std.log.info("a key of {d} bytes", .{key.len});
        if (std.mem.eql(u8, todo, "filter")) {
            std.log.info("left out: {d} of partition {d}", .{ message.offset(), message.partition() });
            out.filter(message, "unwanted");
            continue;
        }
        if (std.mem.eql(u8, todo, "delete")) {
            out.delete("things", message, .{ message.cell("id"), &message.id(0) });
            continue;
        }
        const is_twice: u32 = @intFromBool(std.mem.eql(u8, todo, "twice"));
        for (0..1 + is_twice) |row| {
            const number = message.get("number");
            const weight = found.at(message).get("weight");
            out.row("things", message, .{
                message.cell("id"),
                &message.id(@intCast(row)),
                if (number) |it| @as(i8, @intCast(it)) else null,
                if (number) |it| @as(i16, @intCast(100 * it)) else null,
                if (number) |it| @as(i32, @intCast(100_000 * it)) else null,
                if (number) |it| 10_000_000_000 * it else null,
                if (weight) |it| 2 * it else 0.1,
                2 * message.get("real"),
                !message.get("flag"),
                message.get("when") + 1,
                message.get("day") + 1,
                message.value(),
                message.header("trace") orelse message.key() orelse found.at(message).get("plain"),
                message.timestamp(),
            });
        }
        if (std.mem.eql(u8, todo, "reject")) out.reject(message, "odd", "{?d} is odd", .{message.get("number")});
    }
}

pub const panic = sluice.panic;
pub const std_options = sluice.std_options;
comptime {
    sluice.exportPlugin();
}
