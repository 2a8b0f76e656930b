//! What may change something, and what may not.

use super::offers::offered;
use super::*;
use crate::worker::Control;

const CHANGES: [&str; 5] = [
    "/api/v1/pause",
    "/api/v1/resume",
    "/api/v1/swap",
    "/api/v1/swap/agree",
    "/api/v1/rollback",
];
pub(super) const JSON: &str = "Content-Type: application/json";

pub(super) fn post(address: SocketAddr, path: &str, headers: &[&str], body: &str) -> String {
    let (head, length) = (headers.join("\r\n"), body.len());
    let request =
        format!("POST {path} HTTP/1.1\r\n{head}\r\nContent-Length: {length}\r\n\r\n{body}");
    send(address, &request)
}

/// A running pipeline's desk.
fn running() -> (Arc<Control>, SocketAddr, String) {
    let (control, address, token, _) = offered();
    (control, address, token)
}

/// Without the token, from another place's page, or under another name, nothing is changed.
#[test]
fn only_who_knows_the_token_changes_anything() {
    let (control, address, token) = running();
    let (_, other) = opened("127.0.0.1:0", &[], Arc::default());
    let own = &*format!("Host: {address}");
    let right = &*format!("Authorization: Bearer {token}");
    let wrong = &*format!("Authorization: Bearer {other}");
    let longer = &*format!("{right}0");
    let (evil, good) = ("Origin: http://evil.example", "Origin: http://localhost");
    let ada = r#"{"user": "ada"}"#;
    let cases: [(&[&str], &str, &str); 20] = [
        (&[own, JSON], ada, "401"),
        (&[own, JSON, wrong], ada, "401"),
        (&[own, JSON, longer], ada, "401"),
        (&[own, JSON, right, wrong], ada, "401"),
        (&[own, JSON, "Authorization: Bearer "], ada, "401"),
        (&["Host: rebound.example", JSON, right], ada, "403"),
        (&[JSON, right], ada, "403"),
        (&[own, JSON, right, evil], ada, "403"),
        (&[own, JSON, right, good, evil], ada, "403"),
        (&[own, JSON, right, "Origin: null"], ada, "403"),
        (&[own, right], ada, "415"),
        (&[own, right, "Content-Type: text/plain"], ada, "415"),
        (&[own, right, JSON, JSON], ada, "415"),
        (&[own, JSON, right, "Content-Length: 4"], ada, "411"),
        (
            &[own, JSON, right, "Transfer-Encoding: chunked"],
            ada,
            "411",
        ),
        (&[own, JSON, right], &"{".repeat(65_537), "413"),
        (&[own, JSON, right], "", "400"),
        (&[own, JSON, right], "[", "400"),
        (&[own, JSON, right], r#"{"user": 7}"#, "400"),
        (&[own, JSON, right], r#"{"usr": "ada"}"#, "400"),
    ];
    for (path, (headers, body, code)) in CHANGES
        .iter()
        .flat_map(|path| cases.map(|case| (path, case)))
    {
        let answer = post(address, path, headers, body);
        assert_eq!(status(&answer), code, "{path} {headers:?} {body}: {answer}");
        assert!(!answer.contains(&token), "{answer}");
    }
    assert!(!control.is_paused());
}

#[test]
fn who_may_pauses_and_resumes() {
    let (control, address, token) = running();
    let own = &*format!("Host: {address}");
    let right = &*format!("Authorization: Bearer {token}");
    let kind = &*format!("{JSON}; charset=utf-8");
    // The first who pauses is told; a name steers no terminal.
    for (path, origin, user, words) in [
        (
            "pause",
            "http://localhost:9464",
            r"ada\u001b",
            "paused by ada  since 2",
        ),
        (
            "pause",
            "https://sluice.example",
            "bob",
            "paused by ada  since 2",
        ),
        ("resume", "http://127.0.0.1", "bob", "going on"),
        (
            "pause",
            "http://127.0.0.1",
            "",
            "paused by 127.0.0.1 since 2",
        ),
    ] {
        let headers = [own, kind, right, &format!("Origin: {origin}")];
        let body = format!(r#"{{"user": "{user}"}}"#);
        let answer = post(address, &format!("/api/v1/{path}"), &headers, &body);
        assert_eq!(status(&answer), "200", "{answer}");
        assert!(answer.contains(words), "{answer}");
        assert_eq!(control.is_paused(), path == "pause");
    }
}

/// Who asks before the pipeline runs is told so.
#[test]
fn nothing_is_changed_before_the_pipeline_runs() {
    let (address, token) = opened("127.0.0.1:0", &[], Arc::default());
    let own = &*format!("Host: {address}");
    let right = &*format!("Authorization: Bearer {token}");
    for path in CHANGES {
        let answer = post(address, path, &[own, JSON, right], "{}");
        assert_eq!(status(&answer), "503", "{answer}");
        assert!(answer.contains("still starting"), "{answer}");
    }
}
