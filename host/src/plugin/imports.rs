//! What a plugin may call: lookups, the log, and WASI as `wasi` narrows it. Nothing else is linked.

use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, WasmList, WasmStr};
use wasmtime::error::{bail, ensure};
use wasmtime::{Engine, StoreContextMut};
use wasmtime_wasi::{I32Exit, WasiCtxView, WasiView};

use crate::lookup::Lookup;

use super::bindings::{Asked, CLOCK, Cells, Keys, LOG, LOOKUP, Level, PRINT, TRANSFORM, TYPES};
use super::journal::{Author, Journal, Phase};
use super::limits::{Limiter, Limits};
use super::wasi::{self, Wasi};
use super::{Error, refusals};

/// Keys that are looked up before the size of the answer is checked again.
const KEYS_AT_ONCE: usize = 4_096;

/// What an instance holds in the host.
pub(super) struct State {
    pub(super) limiter: Limiter,
    pub(super) journal: Arc<Mutex<Journal>>,
    /// The lookups, once `init` is over.
    pub(super) lookups: Option<Arc<[Arc<Lookup>]>>,
    /// The answer of the last lookup, whose memory the next one takes.
    found: Arc<Cells>,
    pub(super) limits: Limits,
    wasi: Option<Wasi>,
}

impl State {
    pub(super) fn new(limits: &Limits, author: Author, has_wasi: bool) -> Self {
        let journal = Arc::new(Mutex::new(Journal::new(author)));
        Self {
            limiter: Limiter::new(limits),
            lookups: None,
            found: Arc::default(),
            limits: limits.clone(),
            wasi: has_wasi.then(|| Wasi::new(&journal)),
            journal,
        }
    }

    /// Begins a call: with messages once lookups are there.
    pub(super) fn begin(&mut self) {
        self.limiter.has_refused = false;
        let phase = if self.lookups.is_some() {
            Phase::Messages
        } else {
            Phase::Init
        };
        journal(self).begin(phase);
        if let Some(wasi) = &mut self.wasi {
            wasi.begin();
        }
    }

    /// Tells the author of a clock that was read with messages, and could not tell it itself.
    pub(super) fn note_clock(&self, level: Level) {
        journal(self).note(Asked::Clock, Phase::Messages, level);
    }

    pub(super) fn wasi(&mut self) -> &mut Wasi {
        self.wasi
            .as_mut()
            .expect("WASI is linked only where its state is made")
    }

    /// The last error the plugin told.
    pub(super) fn take_error(&mut self) -> Option<String> {
        self.journal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take_error()
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi().view()
    }
}

/// What a component imports and exports, checked.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) imports: Vec<String>,
    pub(super) has_wasi: bool,
    /// Whether it reads a clock of preview 1.
    pub(super) has_clock: bool,
}

impl World {
    pub(super) fn of(engine: &Engine, component: &Component) -> Result<Self, Error> {
        let ty = component.component_type();
        let exports: Vec<_> = ty
            .exports(engine)
            .map(|(name, _)| name.to_owned())
            .collect();
        if !exports.iter().any(|name| name == TRANSFORM) {
            return Err(refusals::world(&exports));
        }
        let mut imports = vec![];
        for (name, item) in ty.imports(engine) {
            let is_ours = [LOOKUP, LOG, TYPES, PRINT].contains(&name);
            if !is_ours && !is_wasi(name) {
                return Err(refusals::import(name));
            }
            // Interfaces of types alone are not called.
            let is_called = if let ComponentItem::ComponentInstance(instance) = item.ty {
                let mut items = instance.exports(engine);
                items.any(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_)))
            } else {
                true
            };
            if is_called {
                imports.push(name.to_owned());
            }
        }
        let has_wasi = ty.imports(engine).any(|(name, _)| is_wasi(name));
        Ok(Self {
            imports,
            has_wasi,
            has_clock: exports.iter().any(|name| name == CLOCK),
        })
    }
}

fn is_wasi(name: &str) -> bool {
    let packages = [
        "wasi:cli/",
        "wasi:clocks/",
        "wasi:filesystem/",
        "wasi:io/",
        "wasi:random/",
        "wasi:sockets/",
    ];
    packages.iter().any(|package| name.starts_with(package)) && name.contains("@0.2.")
}

/// Links what a world imports.
pub(super) fn linker(engine: &Engine, world: &World) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    linker.instance(TYPES)?;
    linker.instance(LOOKUP)?.func_wrap("find", find)?;
    linker.instance(LOG)?.func_wrap(
        "write",
        |store: StoreContextMut<'_, State>, (level, text): (Level, WasmStr)| {
            let text = text.to_str(&store)?;
            journal(store.data()).line(level, &text);
            Ok(())
        },
    )?;
    let mut adapter = linker.instance(PRINT)?;
    adapter.func_wrap(
        "write",
        |store: StoreContextMut<'_, State>, (is_error, text): (bool, WasmList<u8>)| {
            let text = text.as_le_slice(&store);
            journal(store.data()).print(is_error, text);
            Ok(())
        },
    )?;
    adapter.func_wrap(
        "ask",
        |store: StoreContextMut<'_, State>, (asked,): (Asked,)| {
            journal(store.data()).note(asked, Phase::Init, Level::Warn);
            Ok(())
        },
    )?;
    adapter.func_wrap(
        "exit",
        |_: StoreContextMut<'_, State>, (code,): (i32,)| -> wasmtime::Result<()> {
            Err(I32Exit(code).into())
        },
    )?;
    if world.has_wasi {
        wasi::link(&mut linker)?;
    }
    Ok(linker)
}

fn journal(state: &State) -> std::sync::MutexGuard<'_, Journal> {
    state.journal.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The import `lookup.find`.
fn find(
    mut store: StoreContextMut<'_, State>,
    (index, keys): (u16, Keys),
) -> wasmtime::Result<(Arc<Cells>,)> {
    // The guest has its copy of the answer before, so its memory is free again.
    let found = std::mem::take(&mut store.data_mut().found);
    let mut found = Arc::try_unwrap(found).unwrap_or_default();
    let state = store.data();
    let Some(lookups) = &state.lookups else {
        bail!("lookups are not there yet while `init` runs");
    };
    let Some(lookup) = lookups.get(usize::from(index)) else {
        bail!(
            "lookup {index} is not declared, there are {}",
            lookups.len()
        );
    };
    let (mut bytes, lengths) = (
        keys.bytes.as_le_slice(&store),
        keys.lengths.as_le_slice(&store),
    );
    let Cells {
        bytes: cells,
        lengths: cell_lengths,
    } = &mut found;
    cells.clear();
    cell_lengths.clear();
    for lengths in lengths.chunks(KEYS_AT_ONCE) {
        let size = lengths
            .iter()
            .try_fold(0_usize, |sum, length| match *length {
                -1 => Some(sum),
                length => sum.checked_add(usize::try_from(i32::from_le(length)).ok()?),
            });
        let Some((keys, rest)) = size.and_then(|size| bytes.split_at_checked(size)) else {
            bail!("the lengths of the keys do not fit their bytes");
        };
        lookup.find(keys, lengths, cells, cell_lengths);
        bytes = rest;
        ensure!(
            cells.len() <= state.limits.output_max,
            "{OUTPUT}: a lookup's answer is too large"
        );
    }
    let found = Arc::new(found);
    store.data_mut().found = found.clone();
    Ok((found,))
}

/// How an error begins that is due to handing over too much.
pub(super) const OUTPUT: &str = "too much data";
