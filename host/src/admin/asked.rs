//! What is asked, by whom, and whether it may be.

use std::net::IpAddr;
use std::sync::Arc;

use http::StatusCode;
use http::uri::{Authority, Uri};
use httparse::{Header, Request};

use super::answer::Answer;
use super::desk::{Desk, Verb};
use super::token::Token;
use crate::telemetry::{Board, metrics};

/// How large the body of a request may be.
const BODY_BYTES_MAX: usize = 64 << 10;

/// Who answers, and by which names.
pub(super) struct Asked {
    pub(super) board: Arc<Board>,
    pub(super) desk: Arc<Desk>,
    pub(super) token: Token,
    pub(super) address: IpAddr,
    pub(super) names: Vec<String>,
}

/// What is to be done about a request.
pub(super) enum Step {
    /// This is the answer.
    Answer(Answer),
    /// It may change something, as its body of so many bytes says.
    Change(Verb, usize),
}

const ROUTES: &str = "\
GET  /livez
GET  /readyz
GET  /metrics
GET  /api/v1/progress
GET  /api/v1/plugins
POST /api/v1/swap
POST /api/v1/swap/agree
POST /api/v1/rollback
POST /api/v1/pause
POST /api/v1/resume
";

impl Asked {
    /// Looks at the head of a request.
    ///
    /// # Errors
    /// What is answered if it may not be asked.
    pub(super) fn look(&self, request: &Request<'_, '_>) -> Result<Step, Answer> {
        let uri = request.path.and_then(|target| target.parse::<Uri>().ok());
        let uri = uri.ok_or_else(|| refused(StatusCode::BAD_REQUEST, "that is no path\n"))?;
        if !self.is_known_by(&uri, request.headers) {
            let reason = "this host is not known by that name: ask by its address, or name it in \
                          `hosts` of [admin]\n";
            return Err(refused(StatusCode::FORBIDDEN, reason));
        }
        if !self.is_from_here(request.headers) {
            let reason = "a page of another place may ask nothing here\n";
            return Err(refused(StatusCode::FORBIDDEN, reason));
        }
        let (method, path) = (request.method.unwrap_or_default(), uri.path());
        if let Some(verb) = Verb::at(path) {
            let length = self.change(method, request.headers)?;
            return Ok(Step::Change(verb, length));
        }
        let answer = self.get(path);
        let answer = answer
            .ok_or_else(|| refused(StatusCode::NOT_FOUND, format!("there are only\n{ROUTES}")))?;
        match method {
            "GET" => Ok(Step::Answer(answer)),
            "HEAD" => Ok(Step::Answer(answer.without_body())),
            _ => Err(Answer::not_allowed(
                "allow: GET, HEAD\r\n",
                "there is nothing to change here\n",
            )),
        }
    }

    fn get(&self, path: &str) -> Option<Answer> {
        Some(match path {
            "/" => Answer::text(StatusCode::OK, ROUTES),
            "/livez" => Answer::text(StatusCode::OK, "alive\n"),
            "/readyz" => self.ready(),
            "/metrics" => Answer::of_kind(metrics::CONTENT_TYPE, self.board.metrics()),
            "/api/v1/progress" => {
                let progress = format!("{}\n", self.board.progress());
                Answer::of_kind("application/json", progress)
            }
            "/api/v1/plugins" => {
                let versions = format!("{}\n", self.desk.versions());
                Answer::of_kind("application/json", versions)
            }
            _ => return None,
        })
    }

    fn ready(&self) -> Answer {
        let reasons = self.board.reasons();
        if reasons.is_empty() {
            return Answer::text(StatusCode::OK, "ready\n");
        }
        let text = format!("not ready\n{}\n", reasons.join("\n"));
        Answer::text(StatusCode::SERVICE_UNAVAILABLE, text)
    }

    /// Whether a request may change something, and how long its body is.
    fn change(&self, method: &str, headers: &[Header<'_>]) -> Result<usize, Answer> {
        if method != "POST" {
            return Err(Answer::not_allowed(
                "allow: POST\r\n",
                "that is asked with POST\n",
            ));
        }
        let shown = only(headers, "authorization");
        if !shown.is_some_and(|shown| self.token.is_shown_by(shown)) {
            return Err(Answer::unauthorized());
        }
        let kind = only(headers, "content-type").and_then(|kind| kind.split(|b| *b == b';').next());
        if !kind.is_some_and(|kind| kind.trim_ascii().eq_ignore_ascii_case(b"application/json")) {
            let reason = "what is to be changed is told as application/json\n";
            return Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason));
        }
        let length = only(headers, "content-length").and_then(|length| str::from_utf8(length).ok());
        let is_chunked = only(headers, "transfer-encoding").is_some();
        let length = length.filter(|_| !is_chunked).map(str::parse::<usize>);
        match length {
            Some(Ok(length)) if length <= BODY_BYTES_MAX => Ok(length),
            Some(Ok(_)) => {
                let reason = format!("a body has at most {BODY_BYTES_MAX} bytes\n");
                Err(refused(StatusCode::PAYLOAD_TOO_LARGE, reason))
            }
            Some(Err(_)) | None => {
                let reason = "how long the body is must be told: content-length\n";
                Err(refused(StatusCode::LENGTH_REQUIRED, reason))
            }
        }
    }

    /// Whether the name that a request was sent to is ours. A page of another name, made to lead
    /// here, would still ask by its own.
    fn is_known_by(&self, uri: &Uri, headers: &[Header<'_>]) -> bool {
        let host = only(headers, "host").and_then(|host| Authority::try_from(host).ok());
        let Some(host) = host else { return false };
        let target = uri.authority().unwrap_or(&host);
        self.is_ours(target) && self.is_ours(&host)
    }

    /// Whether a request comes from no page, or from one of ours.
    fn is_from_here(&self, headers: &[Header<'_>]) -> bool {
        let mut origins = all(headers, "origin").peekable();
        if origins.peek().is_none() {
            return true;
        }
        origins.all(|origin| {
            let origin = Uri::try_from(origin).ok();
            let name = origin.as_ref().and_then(Uri::authority);
            name.is_some_and(|name| self.is_ours(name))
        })
    }

    fn is_ours(&self, asked: &Authority) -> bool {
        let name = asked.host().trim_start_matches('[').trim_end_matches(']');
        match name.parse::<IpAddr>() {
            // Which of them are its own is not known: it listens at all.
            Ok(_) if self.address.is_unspecified() => true,
            Ok(ip) => ip == self.address,
            Err(_) => self.names.contains(&name.to_lowercase()),
        }
    }
}

fn refused(status: StatusCode, reason: impl Into<String>) -> Answer {
    Answer::text(status, reason)
}

fn all<'a>(headers: &'a [Header<'_>], name: &str) -> impl Iterator<Item = &'a [u8]> {
    let named = headers
        .iter()
        .filter(move |header| header.name.eq_ignore_ascii_case(name));
    named.map(|header| header.value)
}

/// The value of a header that stands there once.
fn only<'a>(headers: &'a [Header<'_>], name: &str) -> Option<&'a [u8]> {
    let mut values = all(headers, name);
    values.next().filter(|_| values.next().is_none())
}
