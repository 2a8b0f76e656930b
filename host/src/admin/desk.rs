//! What can be changed at the address, once the pipeline runs.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::answer::Answer;
use crate::worker::Control;

/// What can be changed at the address; nothing before the pipeline runs.
#[derive(Default)]
pub struct Desk {
    control: OnceLock<Arc<Control>>,
}

/// What somebody may ask to be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Pause,
    Resume,
}

impl Verb {
    pub(super) fn at(path: &str) -> Option<Self> {
        match path {
            "/api/v1/pause" => Some(Self::Pause),
            "/api/v1/resume" => Some(Self::Resume),
            _ => None,
        }
    }
}

/// How it is asked, as JSON.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Body {
    /// Who asks, for people; the address, if not given.
    user: String,
}

/// The most letters of a user's name that are told.
const USER_MAX: usize = 64;

impl Desk {
    /// The pipeline runs: what is asked from now on is done.
    pub fn open(&self, control: Arc<Control>) {
        // Who opened it first goes on.
        let _ = self.control.set(control);
    }

    /// Does what a request asks that may be asked.
    pub(super) fn change(&self, verb: Verb, body: &[u8], peer: SocketAddr) -> Answer {
        let body = match serde_json::from_slice::<Body>(body) {
            Ok(body) => body,
            Err(error) => {
                let reason = format!("the body cannot be read: {error}\n");
                return Answer::text(StatusCode::BAD_REQUEST, reason);
            }
        };
        let user = user(&body.user, peer);
        let Some(control) = self.control.get() else {
            let reason = "the pipeline is still starting, see /readyz: ask again when it runs\n";
            return Answer::text(StatusCode::SERVICE_UNAVAILABLE, reason);
        };
        let outcome = match verb {
            Verb::Pause => control.pause(&user),
            Verb::Resume => {
                control.resume();
                "going on".to_owned()
            }
        };
        tracing::info!(%peer, user, ?verb, outcome, "asked at the admin address");
        Answer::of_kind(
            "application/json",
            format!("{}\n", json!({ "outcome": outcome })),
        )
    }
}

/// A name that can be shown: it may steer no terminal.
fn user(name: &str, peer: SocketAddr) -> String {
    let name: String = name.trim().chars().take(USER_MAX).collect();
    match name.as_str() {
        "" => peer.ip().to_string(),
        name => name.replace(char::is_control, " "),
    }
}
