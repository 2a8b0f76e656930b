//! The Rust SDK for Sluice plugins.
//!
//! A plugin declares what it reads and writes, and turns batches of messages into rows. This is a
//! whole one; `plugins/spotify` is one that also looks things up:
//!
//! ```
//! use sluice_plugin::CqlType::{Boolean, Text};
//! use sluice_plugin::{Batch, Description, Field, Outcome, Plugin, Target};
//!
//! const NAME: Field = Field::new("name", Text);
//! const GREETINGS: Target = Target::upsert("greetings", &[&[("name", Text), ("is_long", Boolean)]]);
//!
//! struct Greeter;
//!
//! impl Plugin for Greeter {
//!     fn init(_config: &str) -> Result<(Self, Description), String> {
//!         let description = Description {
//!             fields: &[NAME],
//!             targets: &[GREETINGS],
//!             ..Description::new("greeter", "1.0.0")
//!         };
//!         Ok((Self, description))
//!     }
//!
//!     fn transform(&mut self, batch: &Batch<'_>, out: &mut Outcome) {
//!         let names = batch.field(NAME);
//!         for message in batch {
//!             let name = names.at(message);
//!             out.row(GREETINGS, message).cell(name).boolean(name.text().len() > 20);
//!         }
//!     }
//! }
//!
//! sluice_plugin::export!(Greeter);
//! ```
//!
//! Cells arrive encoded as the database wants them, and leave the same way: what is only passed on
//! is never decoded. Where a message may turn out to be of no use, [`Outcome::each`] takes a `Result`
//! for each. [`testing`] runs a plugin in an ordinary `cargo test`, without WebAssembly.

mod batch;
mod description;
pub mod log;
mod outcome;
pub mod testing;

pub use batch::{Batch, Cell, Cells, Found, Match, Message, Messages};
pub use component::types::{CqlType, Packed};
pub use description::{Code, Column, Description, Field, Lookup, Target, Wants};
pub use outcome::{Outcome, Refusal, Row};

/// What a plugin is: a pure function of its messages, its configuration and its lookups.
pub trait Plugin: Sized {
    /// Reads the pipeline's `[plugin.config]`, a JSON object, and says what the plugin is.
    ///
    /// # Errors
    /// The configuration is refused, with the reason for a person. A plugin that has nothing to
    /// configure starts with [`no_config`].
    fn init(config: &str) -> Result<(Self, Description), String>;

    /// Gives every message of a batch an outcome: rows, or a refusal. The outcome of a message
    /// must not depend on what else is in the batch.
    fn transform(&mut self, batch: &Batch<'_>, out: &mut Outcome);
}

/// Refuses any configuration: a mistyped `[plugin.config]` should not be ignored in silence.
///
/// # Errors
/// If there is something in it.
pub fn no_config(config: &str) -> Result<(), String> {
    if config
        .chars()
        .all(|c| c.is_whitespace() || "{}".contains(c))
    {
        return Ok(());
    }
    Err(format!(
        "this plugin takes no configuration, but was given {config}"
    ))
}

/// Makes a type the plugin of this component. Elsewhere than on WebAssembly it expands to nothing,
/// so that the same crate is tested and measured natively.
#[macro_export]
macro_rules! export {
    ($plugin:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            use $crate::component as sluice;

            struct Component;

            ::std::thread_local! {
                static LOADED: sluice::Slot<$plugin> = const { sluice::Slot::empty() };
            }

            impl sluice::Guest for Component {
                fn init(config: String) -> Result<sluice::Description, String> {
                    LOADED.with(|slot| slot.init(&config))
                }

                fn transform(messages: sluice::Messages) -> sluice::Outcome {
                    LOADED.with(|slot| slot.transform(&messages))
                }
            }

    sluice::export_component!(Component with_types_in sluice::wit);
        };
    };
}

/// What [`export!`] expands to, and what a benchmark needs in order to run the same plugin
/// natively: the contract's own types, and a [`component::Slot`] that holds a plugin.
#[doc(hidden)]
pub mod component;
