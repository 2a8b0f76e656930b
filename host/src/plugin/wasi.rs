//! WASI preview 2 for the languages whose runtimes want it in order to start. It is deny-all and
//! deterministic: no files, sockets, environment or arguments; what is printed goes to the log,
//! clocks count their readings, random numbers are fixed, and waiting ends at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncWrite;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime::error::ensure;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::ResolveAddressStream;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily};
use wasmtime_wasi::p2::{
    DynPollable, Network, OutputStream, Pollable, StreamResult, TcpSocket, UdpSocket,
};
use wasmtime_wasi::{
    HostMonotonicClock, HostWallClock, ResourceTable, WasiCtx, WasiCtxView, async_trait,
};
use wasmtime_wasi_io::bytes::Bytes;

use super::bindings::{Asked, Level};
use super::imports::State;
use super::journal::{Journal, Phase};

/// What a reading of the clock moves it on by, in nanoseconds.
const STEP: u64 = 1_000;
/// The most random bytes of one call of the host: they are made in its own memory.
const RANDOM_BYTES_MAX: u64 = 1 << 20;
/// The most handles a guest may hold: each takes the host's own memory.
const HANDLES_MAX: usize = 10_000;

/// The WASI state of an instance.
pub(super) struct Wasi {
    context: WasiCtx,
    table: ResourceTable,
    clock: Clock,
    random: u64,
}

impl Wasi {
    pub(super) fn new(journal: &Arc<Mutex<Journal>>) -> Self {
        let clock = Clock {
            nanos: Arc::default(),
            journal: journal.clone(),
        };
        let stream = |is_error| Stream {
            is_error,
            journal: journal.clone(),
        };
        let mut builder = WasiCtx::builder();
        builder
            .wall_clock(clock.clone())
            .monotonic_clock(clock.clone())
            .stdout(stream(false))
            .stderr(stream(true))
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES_MAX);
        Self {
            context: builder.build(),
            table,
            clock,
            random: 0,
        }
    }

    /// Begins a call: clocks and random numbers start again.
    pub(super) fn begin(&mut self) {
        self.clock.nanos.store(0, Ordering::Relaxed);
        self.random = 0;
    }

    pub(super) fn view(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.context,
            table: &mut self.table,
        }
    }

    /// Tells that it was asked for in vain. Runtimes of languages read clocks, random numbers and the
    /// environment while `init` runs, of their own accord.
    fn note(&self, asked: Asked) {
        let since = match asked {
            Asked::Files | Asked::Sockets => Phase::Init,
            Asked::Environment | Asked::Clock | Asked::Random => Phase::Messages,
        };
        lock(&self.clock.journal).note(asked, since, Level::Warn);
    }

    /// SplitMix64: even, fast, and not meant to be secret.
    fn random(&mut self) -> u64 {
        self.note(Asked::Random);
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

fn lock(journal: &Mutex<Journal>) -> std::sync::MutexGuard<'_, Journal> {
    // A line half written is no reason to stop.
    journal.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Links all of WASI preview 2, and then what must not be as wasmtime has it.
pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    linker.allow_shadowing(true);
    let mut random = linker.instance("wasi:random/random@0.2.12")?;
    random.func_wrap("get-random-bytes", |mut store, (length,): (u64,)| {
        Ok((random_bytes(store.data_mut(), length)?,))
    })?;
    random.func_wrap("get-random-u64", |mut store, ()| {
        Ok((store.data_mut().wasi().random(),))
    })?;
    let mut insecure = linker.instance("wasi:random/insecure@0.2.12")?;
    insecure.func_wrap(
        "get-insecure-random-bytes",
        |mut store, (length,): (u64,)| Ok((random_bytes(store.data_mut(), length)?,)),
    )?;
    insecure.func_wrap("get-insecure-random-u64", |mut store, ()| {
        Ok((store.data_mut().wasi().random(),))
    })?;
    let mut seed = linker.instance("wasi:random/insecure-seed@0.2.12")?;
    seed.func_wrap("insecure-seed", |mut store, ()| {
        let wasi = store.data_mut().wasi();
        Ok(((wasi.random(), wasi.random()),))
    })?;
    // A deadline cannot end a call while it waits in the host, so nothing waits there: all that a
    // guest can wait for is due at once.
    let mut poll = linker.instance("wasi:io/poll@0.2.12")?;
    poll.func_wrap(
        "[method]pollable.ready",
        |_, (_,): (Resource<DynPollable>,)| Ok((true,)),
    )?;
    poll.func_wrap(
        "[method]pollable.block",
        |_, (_,): (Resource<DynPollable>,)| Ok(()),
    )?;
    poll.func_wrap("poll", |_, (pollables,): (Vec<Resource<DynPollable>>,)| {
        ensure!(!pollables.is_empty(), "there is nothing to wait for");
        Ok(((0_u32..)
            .zip(&pollables)
            .map(|(index, _)| index)
            .collect::<Vec<u32>>(),))
    })?;
    nothing(linker)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Links what is refused: it is never there, and the plugin's author is told so.
fn nothing(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut environment = linker.instance("wasi:cli/environment@0.2.12")?;
    environment.func_wrap(
        "get-environment",
        |mut store: StoreContextMut<'_, State>, ()| {
            store.data_mut().wasi().note(Asked::Environment);
            Ok((Vec::<(String, String)>::new(),))
        },
    )?;
    environment.func_wrap(
        "get-arguments",
        |mut store: StoreContextMut<'_, State>, ()| {
            store.data_mut().wasi().note(Asked::Environment);
            Ok((Vec::<String>::new(),))
        },
    )?;
    let mut folders = linker.instance("wasi:filesystem/preopens@0.2.12")?;
    folders.func_wrap(
        "get-directories",
        |mut store: StoreContextMut<'_, State>, ()| {
            store.data_mut().wasi().note(Asked::Files);
            Ok((Vec::<(Resource<Descriptor>, String)>::new(),))
        },
    )?;
    // No socket is made at all, so nothing can be done with one.
    let mut tcp = linker.instance("wasi:sockets/tcp-create-socket@0.2.12")?;
    tcp.func_wrap(
        "create-tcp-socket",
        |mut store: StoreContextMut<'_, State>, (_,): (IpAddressFamily,)| {
            Ok((no_socket::<TcpSocket>(store.data_mut()),))
        },
    )?;
    let mut udp = linker.instance("wasi:sockets/udp-create-socket@0.2.12")?;
    udp.func_wrap(
        "create-udp-socket",
        |mut store: StoreContextMut<'_, State>, (_,): (IpAddressFamily,)| {
            Ok((no_socket::<UdpSocket>(store.data_mut()),))
        },
    )?;
    let mut names = linker.instance("wasi:sockets/ip-name-lookup@0.2.12")?;
    names.func_wrap(
        "resolve-addresses",
        |mut store: StoreContextMut<'_, State>, (_, _): (Resource<Network>, String)| {
            Ok((no_socket::<ResolveAddressStream>(store.data_mut()),))
        },
    )?;
    Ok(())
}

fn no_socket<T>(state: &mut State) -> Result<Resource<T>, ErrorCode> {
    state.wasi().note(Asked::Sockets);
    Err(ErrorCode::AccessDenied)
}

fn random_bytes(state: &mut State, length: u64) -> wasmtime::Result<Vec<u8>> {
    ensure!(
        length <= RANDOM_BYTES_MAX,
        "{length} random bytes are more than {RANDOM_BYTES_MAX}"
    );
    let length = usize::try_from(length)?;
    let wasi = state.wasi();
    let mut bytes: Vec<u8> = vec![];
    while bytes.len() < length {
        bytes.extend(wasi.random().to_le_bytes());
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// A clock that tells how often it was read in this call.
#[derive(Clone)]
struct Clock {
    nanos: Arc<AtomicU64>,
    journal: Arc<Mutex<Journal>>,
}

impl Clock {
    fn read(&self) -> u64 {
        // As in `Wasi::note`.
        lock(&self.journal).note(Asked::Clock, Phase::Messages, Level::Warn);
        self.nanos.fetch_add(STEP, Ordering::Relaxed)
    }
}

impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(STEP)
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(self.read())
    }
}

impl HostMonotonicClock for Clock {
    fn resolution(&self) -> u64 {
        STEP
    }

    fn now(&self) -> u64 {
        self.read()
    }
}

/// Standard output or error: into the log.
#[derive(Clone)]
struct Stream {
    is_error: bool,
    journal: Arc<Mutex<Journal>>,
}

impl IsTerminal for Stream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stream {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // Only WASI preview 3 would ask for it, which is not linked.
        Box::new(tokio::io::sink())
    }
}

impl OutputStream for Stream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        lock(&self.journal).print(self.is_error, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

#[async_trait]
impl Pollable for Stream {
    async fn ready(&mut self) {}
}
