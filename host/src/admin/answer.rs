//! Answers, as HTTP has them.

use http::StatusCode;

/// An answer, as HTTP has it.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    kind: &'static str,
    /// What else is told in the head, each with the end of its line.
    more: &'static str,
    body: String,
    has_body: bool,
}

impl Answer {
    pub(super) fn text(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            kind: "text/plain; charset=utf-8",
            more: "",
            body: text.into(),
            has_body: true,
        }
    }

    pub(super) fn of_kind(kind: &'static str, body: String) -> Self {
        let answer = Self::text(StatusCode::OK, body);
        Self { kind, ..answer }
    }

    /// The path knows another method only.
    pub(super) fn not_allowed(more: &'static str, reason: &str) -> Self {
        let answer = Self::text(StatusCode::METHOD_NOT_ALLOWED, reason);
        Self { more, ..answer }
    }

    /// The token is not there, or not this run's.
    pub(super) fn unauthorized() -> Self {
        let reason = "only who knows this run's token changes anything: it stands in the notice that the host \
                      has put into XDG_RUNTIME_DIR; `host` on another machine takes it from \
                      SLUICE_ADMIN_TOKEN, others send it as `Authorization: Bearer TOKEN`\n";
        let answer = Self::text(StatusCode::UNAUTHORIZED, reason);
        let more = "www-authenticate: Bearer\r\n";
        Self { more, ..answer }
    }

    pub(super) fn without_body(self) -> Self {
        Self {
            has_body: false,
            ..self
        }
    }

    pub(super) fn written(&self) -> String {
        let Self {
            status,
            kind,
            more,
            body,
            ..
        } = self;
        let length = body.len();
        let body = if self.has_body { body } else { "" };
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\
             cache-control: no-store\r\n{more}connection: close\r\n\r\n{body}"
        )
    }
}
