//! The plugin room: a WebAssembly component that turns a batch of messages into rows.
//!
//! It decodes messages, calls the plugin within its limits, and checks every cell of the answer. A
//! plugin can spoil its own messages and nothing else: what it fails on is found and rejected, and
//! the others go on. This room must not know where messages come from nor where rows go.

mod bindings;
mod cache;
mod calls;
mod card;
mod compile;
mod config;
mod convert;
mod decode;
mod description;
mod embedded;
mod error;
mod imports;
mod isolate;
mod journal;
mod limits;
mod live;
#[doc(hidden)]
pub mod native;
mod pack;
mod refusals;
mod shape;
mod wasi;
mod wrap;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::Engine;
use wasmtime::component::InstancePre;

use crate::failpoint;
use crate::lookup::{self, Lookup};
use crate::message::Batch;
use crate::row::{Key, Transformed};

use bindings::{Messages, Outcome};
use cache::Cache;
use compile::compile;
use convert::{Answer, Rules};
use decode::Decoder;
use imports::{State, World};
use isolate::{Called, Fault, isolate};
use journal::{Author, Journal};
use live::Live;
use pack::Pack;
use shape::Shape;

pub use calls::Calls;
pub use card::Card;
pub use compile::component;
pub use config::{Config, Waits};
pub use description::{Description, Field};
pub use embedded::{SECTION_BYTES_MAX, sections, with_sections};
pub use error::Error;
pub use limits::Limits;

// Lists of integers are read where they lie in the guest's memory, which is little-endian.
const _: () = assert!(cfg!(target_endian = "little"));

/// The code with which an SDK rejects a message that the author's code throws an exception on.
const THROWN: &str = "exception";

/// A plugin, compiled and described. Clones share it.
#[derive(Clone)]
pub struct Plugin(Arc<Shared>);

struct Shared {
    config: Config,
    digest: String,
    size: usize,
    compiled_in: Option<Duration>,
    has_samples: bool,
    world: World,
    description: Description,
    codes: Vec<(Arc<str>, bool)>,
    author: Author,
    engine: Engine,
    pre: InstancePre<State>,
}

impl Plugin {
    /// Loads a plugin from the bytes of a file: a component, a core module, or, if its name ends in
    /// `.wat`, text.
    ///
    /// # Errors
    /// If it is no plugin, wants more than a plugin gets, or does not describe itself.
    pub fn load(name: &str, bytes: &[u8], config: &Config) -> Result<Self, Error> {
        let engine = limits::engine(config.limits.stack_max)?;
        let digest = lookup::hex_digest(bytes);
        let cache = config.cache.as_deref().map(Cache::new);
        let cached = cache
            .as_ref()
            .and_then(|cache| cache.load(&engine, &digest));
        let compiled_in = cached.is_none().then(Instant::now);
        let component = match cached {
            Some(component) => component,
            None => {
                let component = compile(&engine, name, bytes, config)?;
                if let Some(cache) = cache {
                    cache.store(&engine, &digest, &component);
                }
                component
            }
        };
        let compiled_in = compiled_in.map(|start| start.elapsed());
        let world = World::of(&engine, &component)?;
        let linker = imports::linker(&engine, &world);
        let linker = linker.map_err(|error| Error::Start(format!("{error:#}")))?;
        let pre = linker.instantiate_pre(&component);
        let pre = pre.map_err(|error| Error::Contract(format!("{error:#}")))?;
        let author = Author {
            name: name.into(),
            ..Author::default()
        };
        let state = State::new(&config.limits, author.clone(), world.has_wasi);
        let (_, description) = Live::start(&engine, &pre, state, config)?;
        let author = Author {
            name: (&*description.name).into(),
            version: (&*description.version).into(),
            ..author
        };
        let codes = description
            .codes
            .iter()
            .map(|code| (code.clone(), config.filter_codes.contains(&**code)));
        let codes = codes.collect();
        let (config, size) = (config.clone(), bytes.len());
        let has_samples = embedded::has_section(bytes, "sluice:samples");
        Ok(Self(Arc::new(Shared {
            config,
            digest,
            size,
            compiled_in,
            has_samples,
            world,
            description,
            codes,
            author,
            engine,
            pre,
        })))
    }

    /// What it says it is.
    pub fn description(&self) -> &Description {
        &self.0.description
    }

    /// The SHA-256 of the bytes it was loaded from, in lower-case hexadecimal.
    pub fn digest(&self) -> &str {
        &self.0.digest
    }

    /// What a person wants to know of it.
    pub fn card(&self) -> Card {
        Card::of(self)
    }

    /// A new instance. `keys` are those of the targets' tables; `lookups` those it declares, in
    /// their order.
    ///
    /// # Errors
    /// If keys or lookups do not fit the description, or the plugin cannot be started.
    pub fn instance(&self, keys: Vec<Key>, lookups: Vec<Arc<Lookup>>) -> Result<Instance, Error> {
        let description = self.description();
        let (declared, given) = (description.lookups.len(), lookups.len());
        if declared != given {
            return Err(Error::Lookups { declared, given });
        }
        let mut instance = Instance {
            plugin: self.clone(),
            shapes: Shape::all(&description.targets, &keys)?,
            lookups: lookups.into(),
            decoder: Decoder::new(&description.fields),
            pack: Pack::new(description),
            live: None,
            calls: Calls::default(),
        };
        instance.revive()?;
        Ok(instance)
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Plugin({} {})",
            self.0.description.name, self.0.description.version
        )
    }
}

/// An instance of a plugin: one for each worker.
pub struct Instance {
    plugin: Plugin,
    shapes: Vec<Shape>,
    lookups: Arc<[Arc<Lookup>]>,
    decoder: Decoder,
    pack: Pack,
    /// `None` after a failed call: what is left of the guest's memory cannot be trusted.
    live: Option<Live>,
    calls: Calls,
}

/// A batch on its way through an instance.
struct Turn<'a, G> {
    instance: &'a mut Instance,
    /// How the guest is called.
    guest: G,
    batch: &'a Batch,
    answer: Answer,
    /// When the first call failed.
    failing_since: Option<Instant>,
}

impl Instance {
    /// Turns a batch into rows. Each message ends as rows, rejected or filtered.
    ///
    /// # Errors
    /// If the plugin cannot be started again, or fails on too many messages. Never for a message.
    pub fn apply(&mut self, batch: Batch) -> Result<Transformed, Error> {
        self.turn(batch, Live::transform)
    }

    /// The same, with native code in place of the guest: see [`native`].
    ///
    /// # Errors
    /// If the plugin cannot be started again.
    #[doc(hidden)]
    pub fn apply_natively(
        &mut self,
        batch: Batch,
        transform: &mut native::Transform<'_>,
    ) -> Result<Transformed, Error> {
        self.turn(batch, |_, messages, _| {
            Ok(native::call(transform, &messages))
        })
    }

    /// The same, and what `clock` shows of the calls alone, added to `spent`.
    ///
    /// # Errors
    /// As [`Instance::apply`].
    pub fn apply_timed(
        &mut self,
        batch: Batch,
        clock: fn() -> Duration,
        spent: &mut Duration,
    ) -> Result<Transformed, Error> {
        self.turn(batch, |live, messages, time| {
            let began = clock();
            let answer = live.transform(messages, time);
            *spent += clock().saturating_sub(began);
            answer
        })
    }

    /// How calls went since this was asked before.
    pub fn take_calls(&mut self) -> Calls {
        std::mem::take(&mut self.calls)
    }

    /// The guest's memory, in bytes; 0 after a failed call, until the next.
    pub fn memory_bytes(&self) -> usize {
        let live = self.live.as_ref();
        let left = live.map(Live::memory_left);
        left.map_or(0, |left| self.plugin.0.config.limits.memory_max - left)
    }

    fn turn(&mut self, batch: Batch, guest: impl Guest) -> Result<Transformed, Error> {
        let mut answer = Answer::new(self.shapes.len());
        let unseen = self
            .pack
            .fill(&batch, self.plugin.description(), &mut self.decoder);
        answer.rejected = unseen.rejected;
        answer.filter(&"tombstone".into(), unseen.tombstones);
        let messages = 0..self.pack.sources.len();
        let mut turn = Turn {
            instance: self,
            guest,
            batch: &batch,
            answer,
            failing_since: None,
        };
        isolate(messages, &mut turn, Turn::call, |turn, message, fault| {
            let source = turn.instance.pack.sources[message];
            let author = turn.instance.plugin.0.author.clone();
            Journal::new(author).blame(turn.batch, source as usize, fault.code, &fault.reason);
            turn.answer.reject(source, fault.code, fault.reason);
        })?;
        let (rows, written, rejected, filtered) = turn.answer.finish();
        let journal = Journal::new(self.plugin.0.author.clone());
        for thrown in rejected.iter().filter(|it| &*it.code == THROWN) {
            journal.blame(&batch, thrown.message, THROWN, &thrown.reason);
        }
        let transformed = Transformed {
            batch,
            rows,
            written,
            rejected,
            filtered,
        };
        assert_eq!(
            transformed.conservation_gap(),
            0,
            "a message has no outcome, or two"
        );
        Ok(transformed)
    }

    fn revive(&mut self) -> Result<&mut Live, Error> {
        if self.live.is_none() {
            let shared = &*self.plugin.0;
            let (limits, author) = (&shared.config.limits, shared.author.clone());
            let state = State::new(limits, author, shared.world.has_wasi);
            let (mut live, _) = Live::start(&shared.engine, &shared.pre, state, &shared.config)?;
            live.admit(self.lookups.clone());
            self.live = Some(live);
        }
        Ok(self.live.as_mut().expect("it was put there just now"))
    }
}

/// [`Live::transform`], or what stands in for it.
trait Guest: FnMut(&mut Live, Messages<'_>, Duration) -> Result<Outcome, Fault> {}
impl<F: FnMut(&mut Live, Messages<'_>, Duration) -> Result<Outcome, Fault>> Guest for F {}

impl<G: Guest> Turn<'_, G> {
    fn call(&mut self, range: std::ops::Range<usize>) -> Called<Error> {
        match self.try_call(&range) {
            Ok(Ok(())) => Called::Done,
            Ok(Err(fault)) => {
                // What is left of the guest's memory cannot be trusted: the next call starts anew.
                if !failpoint::has_bug("bug-reuse-instance") {
                    self.instance.live = None;
                }
                *self.instance.calls.failed.entry(fault.code).or_default() += 1;
                let since = *self.failing_since.get_or_insert_with(Instant::now);
                let limit = self.instance.plugin.0.config.limits.isolation_max;
                if since.elapsed() > limit {
                    let (seconds, reason) = (limit.as_secs(), fault.reason);
                    return Called::Broken(Error::Failing { seconds, reason });
                }
                tracing::debug!(
                    code = fault.code,
                    messages = range.len(),
                    "a call of the plugin has failed"
                );
                Called::Failed(fault)
            }
            Err(error) => Called::Broken(error),
        }
    }

    fn try_call(&mut self, range: &std::ops::Range<usize>) -> Result<Result<(), Fault>, Error> {
        self.instance.revive()?;
        let Instance {
            plugin,
            shapes,
            pack,
            live,
            calls,
            ..
        } = &mut *self.instance;
        let limits = &plugin.0.config.limits;
        let live = live.as_mut().expect("it was revived just now");
        let fields = pack.fields(range);
        let messages = pack.messages(self.batch.topic(), &fields, range);
        let called = Instant::now();
        let answered = (self.guest)(live, messages, limits.call(range.len()));
        calls.took.push(called.elapsed());
        let outcome = match answered {
            Ok(outcome) => outcome,
            Err(fault) => return Ok(Err(fault)),
        };
        // Ends of rows are 32 bits.
        let rows_max = limits.output_max.saturating_mul(4).min(u32::MAX as usize);
        let rules = Rules {
            shapes,
            codes: &plugin.0.codes,
            rows_max,
        };
        Ok(self
            .answer
            .take(outcome, self.batch, &pack.sources[range.clone()], &rules))
    }
}

#[cfg(test)]
mod tests;
