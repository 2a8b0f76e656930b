//! What several tests need.

use std::process::Command;
use std::time::{Duration, Instant};

/// The binary, as a user calls it, with a home of its own for compiled components.
pub(crate) fn host() -> Command {
    let mut host = Command::new(env!("CARGO_BIN_EXE_host"));
    host.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    host
}

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// From one look to the next.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks until a condition holds.
///
/// # Panics
/// If it does not within a minute; `what` says what was waited for.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(PAUSE);
    }
}

#[cfg(any(feature = "servers", feature = "secure-servers"))]
pub(crate) use servers::unique;
#[cfg(feature = "servers")]
pub(crate) use servers::{cassandra, kafka};

#[cfg(any(feature = "servers", feature = "secure-servers"))]
mod servers {
    /// The real Kafka of `services/`.
    #[cfg(feature = "servers")]
    pub(crate) fn kafka() -> String {
        std::env::var("SLUICE_TEST_KAFKA").unwrap_or_else(|_| "127.0.0.1:29092".to_owned())
    }

    /// The real Cassandra of `services/`.
    #[cfg(feature = "servers")]
    pub(crate) fn cassandra() -> String {
        std::env::var("SLUICE_TEST_CASSANDRA").unwrap_or_else(|_| "127.0.0.1:9042".to_owned())
    }

    /// A name that no other test, and no other run of this one, has: for topics and keyspaces.
    pub(crate) fn unique(name: &str) -> String {
        let id = uuid::Uuid::new_v4().simple().to_string();
        format!("test_{name}_{}", &id[..12])
    }
}
