//! Readings of sensors, in Celsius and in Fahrenheit.
const sluice = @import("sluice.zig");

pub const description = sluice.Description{
    .name = "my-plugin",
    .version = "0.1.0",
    .fields = &.{
        .{ .name = "sensor", .kind = .text },
        .{ .name = "time", .kind = .timestamp },
        .{ .name = "celsius", .kind = .double },
    },
    .targets = &.{.{
        .table = "readings",
        .columns = &.{
            .{ "sensor", .text },
            .{ "time", .timestamp },
            .{ "celsius", .double },
            .{ "fahrenheit", .double },
        },
    }},
    .codes = &.{"impossible"},
};

/// Nothing is colder, in degrees Celsius.
const absolute_zero = -273.15;

pub fn transform(batch: *const sluice.Batch, out: *sluice.Outcome) !void {
    for (batch.messages) |message| {
        const celsius = message.get("celsius");
        if (celsius < absolute_zero) {
            out.reject(message, "impossible", "colder than absolute zero", .{});
            continue;
        }
        out.row("readings", message, .{
            message.cell("sensor"),
            message.cell("time"),
            celsius,
            celsius * 1.8 + 32,
        });
    }
}

pub const panic = sluice.panic;
pub const std_options = sluice.std_options;
comptime {
    sluice.exportPlugin();
}
