//! Offers of another version, and what becomes of them.

use std::io::{BufRead, BufReader};
use std::sync::mpsc;

use serde_json::{Value, json};

use super::changes::{JSON, post};
use super::*;
use crate::swap::{self, Answers, Event, Offer, Proposal, Refusal, What};
use crate::worker::{Control, Ends};

/// Offers as they come, each with the end that answers it.
type Offers = mpsc::Receiver<(Offer, Answers)>;

/// A running pipeline's desk, and what is offered there.
pub(super) fn offered() -> (Arc<Control>, SocketAddr, String, Offers) {
    let desk = Arc::<Desk>::default();
    let control = Arc::new(Control::new(Arc::default(), Ends::default()));
    let (offers, received) = mpsc::channel();
    let offer = move |offer| {
        let (asked, answers) = swap::Asked::open();
        // Of an offer that nobody receives nothing becomes.
        let _ = offers.send((offer, answers));
        asked
    };
    let to_one = offer.clone();
    let order = move |mut offer: Offer| {
        offer.who += " to all";
        to_one(offer)
    };
    desk.open(Running {
        control: control.clone(),
        swaps: Some(Swaps {
            offer: Box::new(offer),
            group: Some(Group {
                order: Box::new(order),
                before: Box::new(|| {
                    let reason = "all is new";
                    Err(Refusal::new("no_version_before", reason))
                }),
            }),
            versions: Box::new(|| json!({ "current": "this" })),
        }),
    });
    let (address, token) = opened("127.0.0.1:0", &["sluice.example"], desk);
    (control, address, token, received)
}

fn headers(address: SocketAddr, token: &str) -> [String; 3] {
    let (host, token) = (
        format!("Host: {address}"),
        format!("Authorization: Bearer {token}"),
    );
    [host, JSON.to_owned(), token]
}

/// Asks for what has a body, in a thread of its own.
fn ask(
    (address, token): (SocketAddr, &str),
    path: &str,
    body: &Value,
) -> std::thread::JoinHandle<String> {
    let (headers, path) = (headers(address, token), format!("/api/v1/{path}"));
    let body = body.to_string();
    std::thread::spawn(move || {
        let headers = headers.each_ref().map(String::as_str);
        post(address, &path, &headers, &body)
    })
}

/// What is offered is what was asked, read once; or it is said why not.
#[test]
fn an_offer_is_what_was_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wasm");
    std::fs::write(&path, "bytes").unwrap();
    let (_, address, token, offers) = offered();
    let whom = (address, &*token);
    let shown = path.display();
    let plugin = json!({ "plugin": path, "user": "ada" });
    let lookup = json!({ "lookup": ["songs", path], "consent": "policy", "dry_run": true });
    for (to, body, expected) in [
        ("swap", &plugin, format!("Plugin({shown}) ada Asked false")),
        (
            "swap",
            &lookup,
            format!("Lookup(songs, {shown}) 127.0.0.1 Policy true"),
        ),
        (
            "swap",
            &json!({ "plugin": path, "consent": "yes", "whole_group": true }),
            format!("Plugin({shown}) 127.0.0.1 Given true"),
        ),
        (
            "rollback",
            &json!({}),
            "Before 127.0.0.1 Given false".to_owned(),
        ),
        (
            "rollback",
            &json!({ "consent": "ask", "dry_run": true }),
            "Before 127.0.0.1 Asked true".to_owned(),
        ),
    ] {
        let reply = ask(whom, to, body);
        let (offer, answers) = offers.recv_timeout(ANSWER_MAX).unwrap();
        let told = format!(
            "{:?} {} {:?} {}",
            offer.what, offer.who, offer.consent, offer.is_dry_run
        );
        assert_eq!(told, expected);
        if let What::Plugin { bytes, .. } | What::Lookup { bytes, .. } = offer.what {
            assert_eq!(bytes, b"bytes");
        }
        let (batches, reason) = (7, "");
        answers
            .events
            .send(Event::Kept { batches, reason })
            .unwrap();
        drop(answers);
        let reply = reply.join().unwrap();
        assert_eq!(status(&reply), "200", "{reply}");
        assert!(reply.contains("application/x-ndjson"), "{reply}");
        assert!(
            reply.contains(r#"{"event":"kept","batches":7,"reason":""}"#),
            "{reply}"
        );
    }
}

/// What the host that is asked would refuse is kept for nobody; what it would take is ordered.
#[test]
fn a_group_is_ordered_what_is_proved() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wasm");
    std::fs::write(&path, "bytes").unwrap();
    let (_, address, token, offers) = offered();
    let body = json!({ "plugin": path, "consent": "yes", "whole_group": true });
    for (code, is_ordered) in [("fails", false), ("same_version", true)] {
        let reply = ask((address, &token), "swap", &body);
        let (offer, answers) = offers.recv_timeout(ANSWER_MAX).unwrap();
        assert!(offer.is_dry_run, "{}", offer.who);
        let reason = "as it is".to_owned();
        answers
            .events
            .send(Event::Refused { code, reason })
            .unwrap();
        drop(answers);
        if is_ordered {
            let (offer, _) = offers.recv_timeout(ANSWER_MAX).unwrap();
            assert_eq!((offer.is_dry_run, &*offer.who), (false, "127.0.0.1 to all"));
        }
        let reply = reply.join().unwrap();
        assert!(reply.contains(code), "{reply}");
        assert!(offers.try_recv().is_err(), "{code}");
    }
}

#[test]
fn what_cannot_be_offered_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wasm");
    let (_, address, token, offers) = offered();
    let whom = (address, &*token);
    for (body, code, words) in [
        (json!({}), "400", "a plugin or a lookup"),
        (
            json!({ "plugin": path, "lookup": ["songs", path] }),
            "400",
            "one at a time",
        ),
        (json!({ "plugin": "a.wasm" }), "400", "absolute"),
        (
            json!({ "plugin": path, "consent": "no" }),
            "400",
            "ask, yes or policy",
        ),
        (
            json!({ "plugin": path, "whole_group": true }),
            "400",
            "a whole group answers no questions",
        ),
        (json!({ "plugin": folder.path() }), "200", "it is no file"),
        (json!({ "plugin": "/none.wasm" }), "200", "unreadable"),
    ] {
        let reply = ask(whom, "swap", &body).join().unwrap();
        assert_eq!(status(&reply), code, "{reply}");
        assert!(reply.contains(words), "{reply}");
    }
    assert!(offers.try_recv().is_err(), "nothing else was offered");
}

/// What a group ran before is named before anything is ordered.
#[test]
fn a_group_goes_back_to_what_is_known() {
    let (_, address, token, offers) = offered();
    let body = json!({ "whole_group": true });
    let reply = ask((address, &token), "rollback", &body).join().unwrap();
    assert!(
        reply.contains(r#""event":"refused","code":"no_version_before""#),
        "{reply}"
    );
    assert!(offers.try_recv().is_err());
}

/// Who asks for what is not heeded is told so.
#[test]
fn what_only_another_heeds_is_not_passed_over() {
    let path = "/a.wasm";
    let (control, address, token, offers) = offered();
    let whom = (address, &*token);
    for (verb, body) in [
        ("pause", json!({ "dry_run": true })),
        ("resume", json!({ "dry_run": true })),
        ("pause", json!({ "plugin": path })),
        ("rollback", json!({ "plugin": path })),
        ("rollback", json!({ "lookup": ["songs", path] })),
        ("resume", json!({ "lookup": ["songs", path] })),
    ] {
        let reply = ask(whom, verb, &body).join().unwrap();
        assert_eq!(status(&reply), "400", "{verb} {body}: {reply}");
        assert!(reply.contains("only a swap takes"), "{reply}");
    }
    assert!(offers.try_recv().is_err() && !control.is_paused());
}

/// Offers a file, up to the proposal: what answers it, the lines that follow, and the proposal's id.
fn propose(
    (address, token): (SocketAddr, &str),
    path: &Path,
    offers: &Offers,
) -> (Answers, impl Iterator<Item = String>, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let (head, body) = (
        headers(address, token).join("\r\n"),
        json!({ "plugin": path }).to_string(),
    );
    let length = body.len();
    let request =
        format!("POST /api/v1/swap HTTP/1.1\r\n{head}\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).unwrap();
    let answers = offers.recv_timeout(ANSWER_MAX).unwrap().1;
    let proposal = Proposal {
        text: "same 4".to_owned(),
        ..Proposal::default()
    };
    answers.events.send(Event::Proposed(proposal)).unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let line = lines.find(|line| line.starts_with('{')).unwrap();
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(event["event"], "proposed");
    assert_eq!(event["text"], "same 4");
    let id = event["id"].as_str().unwrap().to_owned();
    (answers, lines, id)
}

/// Whoever is asked agrees by the proposal's id; whoever goes away before takes the offer along.
#[test]
fn a_proposal_waits_for_who_asked() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let (_, address, token, offers) = offered();
    let whom = (address, &*token);
    let agree = |id: &str| {
        let reply = ask(whom, "swap/agree", &json!({ "id": id }));
        status(&reply.join().unwrap()).to_owned()
    };
    let (answers, mut lines, id) = propose(whom, file.path(), &offers);
    assert_eq!(agree("another"), "404");
    assert!(answers.agreed.try_recv().is_err());
    assert_eq!(agree(&id), "200");
    answers.agreed.recv_timeout(ANSWER_MAX).unwrap();
    let (batches, reason) = (1, "");
    answers
        .events
        .send(Event::Kept { batches, reason })
        .unwrap();
    drop(answers);
    assert!(lines.any(|line| line.contains("kept")));

    let (answers, lines, id) = propose(whom, file.path(), &offers);
    drop(lines);
    let gone = answers.agreed.recv_timeout(ANSWER_MAX);
    assert_eq!(gone, Err(mpsc::RecvTimeoutError::Disconnected));
    assert_eq!(agree(&id), "404");
}

/// What comes to an end by itself trades nothing.
#[test]
fn a_run_with_an_end_swaps_nothing() {
    let desk = Arc::<Desk>::default();
    desk.open(Running {
        control: Arc::new(Control::new(Arc::default(), Ends::default())),
        swaps: None,
    });
    let (address, token) = opened("127.0.0.1:0", &[], desk);
    for (path, body) in [
        ("swap", json!({ "plugin": "/a.wasm" })),
        ("rollback", json!({})),
    ] {
        let reply = ask((address, &token), path, &body).join().unwrap();
        assert_eq!(status(&reply), "409", "{reply}");
        assert!(reply.contains("comes to an end by itself"), "{reply}");
    }
}

/// Hosts know of each other in Cassandra only.
#[test]
fn a_host_that_knows_no_others_orders_nothing() {
    let desk = Arc::<Desk>::default();
    desk.open(Running {
        control: Arc::new(Control::new(Arc::default(), Ends::default())),
        swaps: Some(Swaps {
            offer: Box::new(|offer| panic!("{offer:?} is for the group")),
            group: None,
            versions: Box::new(|| Value::Null),
        }),
    });
    let (address, token) = opened("127.0.0.1:0", &[], desk);
    for path in ["swap", "rollback"] {
        let body = json!({ "whole_group": true, "consent": "yes" });
        let reply = ask((address, &token), path, &body).join().unwrap();
        assert_eq!(status(&reply), "409", "{reply}");
        assert!(reply.contains("in Cassandra only"), "{reply}");
    }
}

#[test]
fn the_versions_are_told_once_there_are_any() {
    let (_, running, ..) = offered();
    for (address, body) in [
        (running, "{\"current\":\"this\"}\n"),
        (served("127.0.0.1:0", &[]), "null\n"),
    ] {
        let request = format!("GET /api/v1/plugins HTTP/1.1\r\nHost: {address}\r\n\r\n");
        let answer = send(address, &request);
        assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{answer}");
    }
}
