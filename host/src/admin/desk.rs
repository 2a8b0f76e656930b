//! What can be changed at the address, once the pipeline runs.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::thread;

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::Answer;
use super::stream::{Lines, Proposals, Stream};
use crate::group::Orders;
use crate::swap::{Asked, Consent, Offer, Refusal, Steward, What, files};
use crate::terminal;
use crate::worker::Control;

/// What can be changed at the address; nothing before the pipeline runs.
#[derive(Default)]
pub struct Desk {
    running: OnceLock<Running>,
    proposals: Proposals,
}

/// A running pipeline, as far as it can be changed.
pub struct Running {
    /// What its workers heed.
    pub control: Arc<Control>,
    /// Who trades its versions; `None`, if it comes to an end by itself.
    pub swaps: Option<Swaps>,
}

/// Who trades versions.
pub struct Swaps {
    /// Takes an offer of another version.
    pub offer: Box<dyn Fn(Offer) -> Asked + Send + Sync>,
    /// Who has every host of the group trade, where they know of each other.
    pub group: Option<Group>,
    /// What runs, what is being proved, and what has run.
    pub versions: Box<dyn Fn() -> Value + Send + Sync>,
}

/// All hosts of a group.
pub struct Group {
    /// Has each of them trade what is offered.
    pub order: Box<dyn Fn(Offer) -> Asked + Send + Sync>,
    /// What the group ran before its last trade.
    pub before: Box<dyn Fn() -> Result<What, Refusal> + Send + Sync>,
}

impl Swaps {
    /// The same, of a host whose group takes orders.
    #[must_use]
    pub fn of_group(self, orders: Orders) -> Self {
        let theirs = orders.clone();
        Self {
            group: Some(Group {
                order: Box::new(move |offer| orders.give(offer)),
                before: Box::new(move || theirs.before()),
            }),
            ..self
        }
    }
}

impl From<&Steward> for Swaps {
    fn from(steward: &Steward) -> Self {
        let (offers, tells) = (steward.clone(), steward.clone());
        Self {
            offer: Box::new(move |offer| offers.offer(offer)),
            group: None,
            versions: Box::new(move || tells.status()),
        }
    }
}

/// What somebody may ask to be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Swap,
    Agree,
    Rollback,
    Pause,
    Resume,
}

impl Verb {
    pub(super) fn at(path: &str) -> Option<Self> {
        match path {
            "/api/v1/swap" => Some(Self::Swap),
            "/api/v1/swap/agree" => Some(Self::Agree),
            "/api/v1/rollback" => Some(Self::Rollback),
            "/api/v1/pause" => Some(Self::Pause),
            "/api/v1/resume" => Some(Self::Resume),
            _ => None,
        }
    }
}

/// What is answered.
pub(super) enum Reply {
    /// At once.
    Whole(Answer),
    /// As it happens.
    Stream(Stream),
}

/// How it is asked, as JSON.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Body {
    /// Who asks, for people; the address, if not given.
    user: String,
    /// The plugin's file, which the host reads.
    plugin: Option<PathBuf>,
    /// A lookup's name and file, instead.
    lookup: Option<(String, PathBuf)>,
    /// To end with what the proof finds.
    dry_run: bool,
    /// To have every host of the group trade it, one after the other.
    whole_group: bool,
    /// Who decides: `ask`, `yes` or `policy`; if not given, a swap asks, and a rollback does not.
    consent: Option<String>,
    /// The proposal that is agreed to.
    id: String,
}

impl Body {
    /// Whether it asks for what is not heeded: who asks for a dry run must not get another.
    fn is_of_another(&self, verb: Verb) -> bool {
        match verb {
            Verb::Swap => false,
            Verb::Rollback => self.plugin.is_some() || self.lookup.is_some(),
            Verb::Agree | Verb::Pause | Verb::Resume => {
                self.plugin.is_some() || self.lookup.is_some() || self.dry_run
            }
        }
    }
}

/// The most letters of a user's name that are told.
const USER_MAX: usize = 64;

impl Desk {
    /// The pipeline runs: what is asked from now on is done.
    pub fn open(&self, running: Running) {
        // Who opened it first goes on.
        let _ = self.running.set(running);
    }

    /// What runs, what is being proved, and what has run; null before the pipeline does.
    pub(super) fn versions(&self) -> Value {
        let running = self.running.get();
        let swaps = running.and_then(|running| running.swaps.as_ref());
        swaps.map_or(Value::Null, |swaps| (swaps.versions)())
    }

    /// Does what a request asks that may be asked.
    pub(super) fn change(self: &Arc<Self>, verb: Verb, body: &[u8], peer: SocketAddr) -> Reply {
        let replied = self.try_change(verb, body, peer);
        replied.unwrap_or_else(|(status, reason)| {
            tracing::info!(%peer, ?verb, reason, "refused at the admin address");
            Reply::Whole(Answer::text(status, reason + "\n"))
        })
    }

    fn try_change(
        self: &Arc<Self>,
        verb: Verb,
        body: &[u8],
        peer: SocketAddr,
    ) -> Result<Reply, (StatusCode, String)> {
        let bad = |reason: String| (StatusCode::BAD_REQUEST, reason);
        let body: Body = serde_json::from_slice(body)
            .map_err(|error| bad(format!("the body cannot be read: {error}")))?;
        if body.is_of_another(verb) {
            let reason = "only a swap takes `plugin` and `lookup`, and `dry_run` it or a rollback";
            return Err(bad(reason.to_owned()));
        }
        let user = user(&body.user, peer);
        let Some(running) = self.running.get() else {
            let reason = "the pipeline is still starting, see /readyz: ask again when it runs";
            return Err((StatusCode::SERVICE_UNAVAILABLE, reason.to_owned()));
        };
        let outcome = match verb {
            Verb::Pause => running.control.pause(&user),
            Verb::Resume => {
                running.control.resume();
                "going on".to_owned()
            }
            Verb::Agree if self.proposals.agree(&body.id) => "agreed".to_owned(),
            Verb::Agree => {
                let reason = "no such proposal waits: it was withdrawn, or another came after it";
                return Err((StatusCode::NOT_FOUND, reason.to_owned()));
            }
            Verb::Swap | Verb::Rollback if running.swaps.is_none() => {
                let reason = "this run comes to an end by itself: start the next with the other \
                              version";
                return Err((StatusCode::CONFLICT, reason.to_owned()));
            }
            Verb::Swap | Verb::Rollback => {
                let consent = consent(verb, body.consent.as_deref()).map_err(bad)?;
                if body.whole_group {
                    let knows_group = running
                        .swaps
                        .as_ref()
                        .is_some_and(|swaps| swaps.group.is_some());
                    let is_question = consent == Consent::Asked && !body.dry_run;
                    whole_group(knows_group, is_question)?;
                }
                let source = match verb {
                    Verb::Swap => Some(source(&body).map_err(bad)?),
                    Verb::Rollback | Verb::Agree | Verb::Pause | Verb::Resume => None,
                };
                let how = (consent, body.dry_run, body.whole_group);
                let begun = self.begin((user, peer), source, how);
                let failed = |error: io::Error| {
                    (
                        StatusCode::SERVICE_UNAVAILABLE,
                        format!("no thread: {error}"),
                    )
                };
                return begun.map(Reply::Stream).map_err(failed);
            }
        };
        tracing::info!(%peer, user, ?verb, outcome, "asked at the admin address");
        let told = format!("{}\n", json!({ "outcome": outcome }));
        Ok(Reply::Whole(Answer::of_kind("application/json", told)))
    }

    /// Reads what is offered, offers it and tells what becomes of it, in a thread of its own.
    fn begin(
        self: &Arc<Self>,
        (who, peer): (String, SocketAddr),
        source: Option<(Option<String>, PathBuf)>,
        (consent, is_dry_run, is_for_group): (Consent, bool, bool),
    ) -> io::Result<Stream> {
        let (stream, lines) = Stream::open();
        let desk = self.clone();
        let follow = move || {
            let what = source.map_or(Ok(What::Before), |(lookup, path)| what(lookup, &path));
            let told = what
                .as_ref()
                .map_or_else(Value::to_string, |what| format!("{what:?}"));
            let last = what.map_or_else(
                |refused| {
                    lines.send(&refused);
                    refused
                },
                |what| {
                    let who = who.clone();
                    let offer = Offer {
                        what,
                        who,
                        consent,
                        is_dry_run,
                    };
                    desk.follow(&lines, offer, is_for_group)
                },
            );
            let outcome = last["event"].as_str();
            tracing::info!(%peer, user = who, offer = told, outcome, "asked at the admin address");
        };
        thread::Builder::new().name("offer".into()).spawn(follow)?;
        Ok(stream)
    }

    fn follow(&self, lines: &Lines, offer: Offer, is_for_group: bool) -> Value {
        let running = self.running.get();
        let Some(swaps) = running.and_then(|running| running.swaps.as_ref()) else {
            return Value::Null;
        };
        let Some(group) = swaps.group.as_ref().filter(|_| is_for_group) else {
            return lines.follow(&(swaps.offer)(offer), &self.proposals);
        };
        let before = match offer.what {
            What::Before => (group.before)(),
            What::Plugin { .. } | What::Lookup { .. } | What::Whole { .. } => Ok(offer.what),
        };
        let what = match before {
            Ok(what) => what,
            Err(Refusal { code, reason }) => {
                let refused = json!({ "event": "refused", "code": code, "reason": reason });
                lines.send(&refused);
                return refused;
            }
        };
        let offer = Offer { what, ..offer };
        // An order keeps the file for the others: not one that this host would refuse.
        let tried = (swaps.offer)(Offer {
            is_dry_run: true,
            ..offer.clone()
        });
        let last = lines.follow(&tried, &self.proposals);
        let is_taken = last["event"] == "proposed" || last["code"] == "same_version";
        if offer.is_dry_run || !is_taken {
            return last;
        }
        lines.follow(&(group.order)(offer), &self.proposals)
    }
}

fn consent(verb: Verb, text: Option<&str>) -> Result<Consent, String> {
    match text {
        None if verb == Verb::Rollback => Ok(Consent::Given),
        Some("ask") | None => Ok(Consent::Asked),
        Some("yes") => Ok(Consent::Given),
        Some("policy") => Ok(Consent::Policy),
        Some(other) => Err(format!("consent is ask, yes or policy, not {other:?}")),
    }
}

/// Whether a whole group can be asked for that.
fn whole_group(knows_group: bool, is_question: bool) -> Result<(), (StatusCode, String)> {
    if !knows_group {
        let reason =
            "this host knows no others of its group: they tell each other in Cassandra only";
        return Err((StatusCode::CONFLICT, reason.to_owned()));
    }
    if is_question {
        let reason = "a whole group answers no questions: consent is yes or policy";
        return Err((StatusCode::BAD_REQUEST, reason.to_owned()));
    }
    Ok(())
}

/// Which file is offered, and for which lookup.
fn source(body: &Body) -> Result<(Option<String>, PathBuf), String> {
    let (lookup, path) = match (&body.plugin, &body.lookup) {
        (Some(path), None) => (None, path),
        (None, Some((name, path))) => (Some(name.clone()), path),
        (Some(_), Some(_)) | (None, None) => {
            return Err("offer a plugin or a lookup, one at a time".to_owned());
        }
    };
    if !path.is_absolute() {
        return Err(format!(
            "{}: the host needs an absolute path",
            path.display()
        ));
    }
    Ok((lookup, path.clone()))
}

/// Reads what is offered, once.
fn what(lookup: Option<String>, path: &std::path::Path) -> Result<What, Value> {
    let refused = |error: io::Error| {
        json!({ "event": "refused", "code": "unreadable",
                "reason": format!("{error}; the host reads the file itself, where it runs") })
    };
    let (name, bytes) = (
        path.display().to_string(),
        files::read(path).map_err(refused)?,
    );
    Ok(What::of(lookup, name, bytes))
}

/// A name that can be shown.
fn user(name: &str, peer: SocketAddr) -> String {
    let name: String = name.trim().chars().take(USER_MAX).collect();
    match name.as_str() {
        "" => peer.ip().to_string(),
        name => terminal::line(name),
    }
}
