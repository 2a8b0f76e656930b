//! Between the contract's own types and a [`Plugin`].

use std::cell::RefCell;

use crate::batch::Find;
use crate::{Batch, Outcome as Out, Plugin};

/// The bindings, as `wit-bindgen` makes them.
pub mod wit {
    wit_bindgen::generate!({
        path: "wit/plugin.wit",
        world: "plugin",
        pub_export_macro: true,
        export_macro_name: "export_component",
    });
}

pub use wit::export_component;
pub use wit::exports::sluice::plugin::transform::Guest;
pub use wit::sluice::plugin::types::{self, Description, Messages, Outcome, Packed};

/// Where an instance keeps its plugin.
pub struct Slot<P>(RefCell<Option<Loaded<P>>>);

/// The most to reserve for a row, in bytes: a few huge rows say nothing of the next batch.
const ROW_BYTES_MAX: usize = 256;

struct Loaded<P> {
    plugin: P,
    description: crate::Description,
    /// How many bytes a row of the last batch had, to reserve as many for each of the next.
    row_bytes: usize,
}

impl<P: Plugin> Slot<P> {
    /// A slot before `init`.
    pub const fn empty() -> Self {
        Self(RefCell::new(None))
    }

    /// The contract's `init`.
    ///
    /// # Errors
    /// The plugin's reason for refusing its configuration.
    pub fn init(&self, config: &str) -> Result<Description, String> {
        #[cfg(target_family = "wasm")]
        std::panic::set_hook(Box::new(|panic| crate::log::error(&panic.to_string())));
        let (plugin, description) = P::init(config)?;
        let answer = description.to_wit();
        *self.0.borrow_mut() = Some(Loaded {
            plugin,
            description,
            row_bytes: 64,
        });
        Ok(answer)
    }

    /// The contract's `transform`.
    pub fn transform(&self, messages: &Messages) -> Outcome {
        self.transform_with(messages, &wit::sluice::plugin::lookup::find)
    }

    /// The same, with lookups from elsewhere than the host.
    ///
    /// # Panics
    /// If `init` was not called, or failed.
    pub fn transform_with(&self, messages: &Messages, find: Find<'_>) -> Outcome {
        let mut slot = self.0.borrow_mut();
        let loaded = slot.as_mut().expect("the host calls init first");
        let count = messages.count as usize;
        let mut out = Out::new(loaded.description.targets, count, loaded.row_bytes);
        let batch = Batch::new(messages, &loaded.description, find);
        loaded.plugin.transform(&batch, &mut out);
        let outcome = out.into_wit(&loaded.description);
        let sizes = outcome.rows.iter().map(|rows| rows.rows.bytes.len());
        let bytes = sizes.max().unwrap_or(0);
        loaded.row_bytes = (bytes / count.max(1) + 8).min(ROW_BYTES_MAX);
        outcome
    }
}
