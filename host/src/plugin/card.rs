//! What a person wants to know of a plugin before running it.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::row::{Column, Operation};
use crate::terminal;

use super::bindings::{CLOCK, VERSION};
use super::limits::readable;
use super::{Limits, Plugin};

/// A plugin at a glance: what it is, what it may call, what it reads and writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Card {
    /// The plugin's name.
    pub name: String,
    /// The plugin's own version.
    pub version: String,
    /// The contract it is made for.
    pub contract: String,
    /// The SHA-256 of its file.
    pub digest: String,
    /// The size of its file, in bytes.
    pub size: usize,
    /// How long it took to compile, in milliseconds; `None` = it was in the cache.
    pub compile_ms: Option<u64>,
    /// Whether it brings samples, and the rows that must come of them.
    pub has_samples: bool,
    /// What it may do, in words; whatever is not there it cannot.
    pub may: Vec<&'static str>,
    /// The interfaces it calls.
    pub imports: Vec<String>,
    /// What it is held to.
    pub limits: Held,
    /// What is decoded from each message: name and type, with `?` if it may be missing.
    pub fields: Vec<String>,
    /// What else it sees of each message.
    pub wants: Vec<String>,
    /// The reference data it needs.
    pub lookups: Vec<Part>,
    /// The tables it writes.
    pub targets: Vec<Part>,
    /// Why it rejects or filters messages.
    pub codes: Vec<String>,
}

/// What a plugin is held to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// The most memory of an instance, in bytes.
    pub memory_bytes: usize,
    /// The deepest stack of a call, in bytes.
    pub stack_bytes: usize,
    /// The most that a call may hand over, in bytes.
    pub output_bytes: usize,
    /// The time for starting an instance, in milliseconds.
    pub init_ms: u64,
    /// The time of a call, in milliseconds,
    pub call_ms: u64,
    /// what each message adds to it,
    pub call_per_message_ms: u64,
    /// and the most it comes to.
    pub call_max_ms: u64,
}

/// What an import lets a plugin do, by how the import's name begins: nothing that reaches further than the
/// host's log and its reference data.
const POWERS: [(&[&str], &str); 10] = [
    (
        &["sluice:plugin/lookup"],
        "look keys up in its reference data",
    ),
    (&["sluice:plugin/log"], "write lines to the host's log"),
    (
        &[
            "sluice:adapter/print",
            "wasi:cli/stdout",
            "wasi:cli/stderr",
            "wasi:cli/terminal",
            "wasi:io/streams",
            "wasi:io/error",
        ],
        "print, which goes to the log",
    ),
    (&["wasi:io/poll"], "wait: what it waits for is due at once"),
    (
        &["wasi:random"],
        "draw random numbers: the same in each call",
    ),
    (
        &["wasi:clocks", CLOCK],
        "read clocks: they count readings, and never tell the time",
    ),
    (&["wasi:filesystem"], "ask for files: there are none"),
    (&["wasi:sockets"], "ask for the network: there is none"),
    (
        &["wasi:cli/environment", "wasi:cli/stdin"],
        "ask for variables, arguments and input: there are none",
    ),
    (&["wasi:cli/exit"], "end its call, which fails it"),
];

/// A lookup or a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Its name, with what it does.
    pub name: String,
    /// Its columns: name and type.
    pub columns: Vec<String>,
}

impl Card {
    pub(super) fn of(plugin: &Plugin) -> Self {
        let shared = &*plugin.0;
        let description = &shared.description;
        let column = |column: &Column| format!("{} {}", column.name, column.kind.name());
        let fields = description.fields.iter().map(|field| {
            let optional = if field.is_optional { "?" } else { "" };
            format!("{} {}{optional}", field.name, field.kind.name())
        });
        let lookups = description.lookups.iter().map(|lookup| Part {
            name: format!("{} by {}", lookup.name, column(&lookup.key)),
            columns: lookup.columns.iter().map(column).collect(),
        });
        let targets = description.targets.iter().map(|target| Part {
            name: match target.operation {
                Operation::Upsert => target.table.clone(),
                Operation::Delete => format!("{} (deletes)", target.table),
            },
            columns: target.columns.iter().map(column).collect(),
        });
        let mut called = shared.world.imports.clone();
        called.extend(shared.world.has_clock.then(|| CLOCK.to_owned()));
        let compile_ms = |time: Duration| u64::try_from(time.as_millis());
        Self {
            name: description.name.clone(),
            version: description.version.clone(),
            contract: format!("sluice:plugin@{VERSION}"),
            digest: shared.digest.clone(),
            size: shared.size,
            compile_ms: shared.compiled_in.and_then(|time| compile_ms(time).ok()),
            has_samples: shared.has_samples,
            may: powers(&called),
            imports: shared.world.imports.clone(),
            limits: held(&shared.config.limits),
            fields: fields.collect(),
            wants: description.wants.iter().map(ToString::to_string).collect(),
            lookups: lookups.collect(),
            targets: targets.collect(),
            codes: description.codes.iter().map(ToString::to_string).collect(),
        }
    }
}

fn powers(called: &[String]) -> Vec<&'static str> {
    let given = POWERS.iter().filter(|(starts, _)| {
        let is_given = |start: &&str| called.iter().any(|name| name.starts_with(start));
        starts.iter().any(is_given)
    });
    given.map(|(_, power)| *power).collect()
}

fn held(limits: &Limits) -> Held {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Held {
        memory_bytes: limits.memory_max,
        stack_bytes: limits.stack_max,
        output_bytes: limits.output_max,
        init_ms: ms(limits.init_max),
        call_ms: ms(limits.call_base),
        call_per_message_ms: ms(limits.call_per_message),
        call_max_ms: ms(limits.call_max),
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = [self.memory_bytes, self.stack_bytes, self.output_bytes].map(readable);
        let [memory, stack, output] = &memory;
        let times = [self.init_ms, self.call_ms, self.call_per_message_ms];
        let [start, call, more] = times.map(Duration::from_millis);
        let most = Duration::from_millis(self.call_max_ms);
        write!(
            f,
            "{memory} of memory, {stack} of stack, {output} of output a call,\n            \
             {start:?} to start, {call:?} a call and {more:?} a message, at most {most:?}"
        )
    }
}

impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.name, self.version)?;
        let compiled = self
            .compile_ms
            .map_or("from the cache".to_owned(), |ms| format!("in {ms} ms"));
        line(f, "contract", &self.contract)?;
        line(f, "digest", &self.digest)?;
        let samples = if self.has_samples { "with" } else { "without" };
        let size = format!(
            "{} bytes, compiled {compiled}, {samples} samples",
            self.size
        );
        line(f, "size", &size)?;
        let mut heading = "may";
        for power in &self.may {
            line(f, heading, power)?;
            heading = "";
        }
        line(f, heading, "nothing else")?;
        list(f, "imports", &self.imports)?;
        line(f, "limits", &self.limits.to_string())?;
        list(f, "fields", &self.fields)?;
        list(f, "wants", &self.wants)?;
        for lookup in &self.lookups {
            list(f, "lookup", std::slice::from_ref(&lookup.name))?;
            list(f, "", &lookup.columns)?;
        }
        for target in &self.targets {
            list(f, "target", std::slice::from_ref(&target.name))?;
            list(f, "", &target.columns)?;
        }
        list(f, "codes", &self.codes)
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, text: &str) -> fmt::Result {
    writeln!(f, "  {name:<9} {text}")
}

/// The names in lines of moderate length. They are the author's, and none makes a line of its own.
fn list(f: &mut fmt::Formatter<'_>, name: &str, names: &[String]) -> fmt::Result {
    if names.is_empty() {
        return line(f, name, "none");
    }
    let names = names.iter().map(|name| terminal::line(name));
    let names: Vec<_> = names.collect();
    let mut rest = &names[..];
    let mut heading = name;
    while !rest.is_empty() {
        let mut width = 0;
        let fits = rest.iter().take_while(|name| {
            width += name.len() + 2;
            width <= 86
        });
        let (now, later) = rest.split_at(fits.count().max(1));
        line(f, heading, &now.join(", "))?;
        (rest, heading) = (later, "");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::bindings::{LOG, LOOKUP, PRINT};
    use super::*;

    #[test]
    fn names_steer_no_terminal_and_forge_no_line() {
        let listed = fmt::from_fn(|f| {
            list(
                f,
                "fields",
                &["a\n  may       all\u{1b}[2J\u{202e}text".to_owned()],
            )
        });
        assert_eq!(
            listed.to_string(),
            "  fields    a   may       all [2J text\n"
        );
    }

    /// "Nothing else" is true only if each import has its words.
    #[test]
    fn whatever_is_linked_is_told() {
        let wasi = "cli/environment cli/exit cli/stdin cli/stdout cli/stderr cli/terminal-input cli/terminal-output \
                    cli/terminal-stdin cli/terminal-stdout cli/terminal-stderr clocks/monotonic-clock \
                    clocks/wall-clock filesystem/preopens filesystem/types io/error io/poll io/streams \
                    random/insecure random/insecure-seed random/random sockets/instance-network \
                    sockets/ip-name-lookup sockets/network sockets/tcp sockets/tcp-create-socket sockets/udp \
                    sockets/udp-create-socket";
        for name in wasi.split_whitespace() {
            assert_eq!(powers(&[format!("wasi:{name}@0.2.12")]).len(), 1, "{name}");
        }
        for name in [LOOKUP, LOG, PRINT] {
            assert_eq!(powers(&[name.to_owned()]).len(), 1, "{name}");
        }
    }
}
