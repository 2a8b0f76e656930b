//! The board for Grafana draws what there is, and all of it.

use std::collections::BTreeSet;

use host::telemetry::metrics::{ALL, Name};

const BOARD: &str = include_str!("../../../../docs/grafana.json");
/// What a query may tell apart that is no label of ours: a scraper's, and a histogram's.
const OTHERS: [&str; 2] = ["instance", "le"];

/// The metrics that a query names.
///
/// # Panics
/// If there is one that the host does not have, or a counter is drawn as it stands.
fn metrics(query: &str) -> Vec<&'static Name> {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut found = Vec::new();
    for (at, _) in query.match_indices("sluice_") {
        let name = query[at..].split(|letter| !is_letter(letter)).next();
        let name = name.expect("it begins there");
        let parts = ["_bucket", "_sum", "_count"].map(|part| name.strip_suffix(part));
        let whole = parts.into_iter().flatten().chain([name]);
        let known = ALL
            .iter()
            .find(|known| whole.clone().any(|name| name == known.name));
        let known = known.unwrap_or_else(|| panic!("{query}: there is no {name}"));
        let grows = name.ends_with("_total") || name != known.name;
        assert_eq!(query[..at].ends_with("rate("), grows, "{query}");
        found.push(known);
    }
    found
}

/// The labels by which a query sums, or that a legend shows.
fn labels<'a>(text: &'a str, open: &str, close: &str) -> Vec<&'a str> {
    let each = text.split(open).skip(1);
    let each = each.map(|rest| rest.split(close).next().expect("it is closed"));
    each.flat_map(|list| list.split(", ")).collect()
}

#[test]
fn the_board_draws_all_metrics_as_they_are() {
    let board: serde_json::Value = serde_json::from_str(BOARD).expect("it is JSON");
    let panels = board["panels"].as_array().expect("it has panels");
    let mut drawn = BTreeSet::new();
    let mut places = BTreeSet::new();
    for panel in panels {
        for words in ["title", "description"] {
            assert!(
                !panel[words].as_str().unwrap_or_default().is_empty(),
                "{panel}"
            );
        }
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64());
        for (x, y) in (x.unwrap()..x.unwrap() + w.unwrap())
            .flat_map(|x| (y.unwrap()..y.unwrap() + h.unwrap()).map(move |y| (x, y)))
        {
            assert!(x < 24 && places.insert((x, y)), "{panel} lies over another");
        }
        for target in panel["targets"].as_array().expect("it draws something") {
            let query = target["expr"].as_str().expect("it asks");
            let legend = target["legendFormat"].as_str().expect("it says of what");
            let metrics = metrics(query);
            assert!(!metrics.is_empty(), "{query}");
            let by = labels(query, " by (", ")");
            let ours = |label: &&str| {
                let has = |name: &&Name| name.labels.split(", ").any(|own| own == *label);
                OTHERS.contains(label) || metrics.iter().all(has)
            };
            assert!(by.iter().all(ours), "{query} sums by what is not there");
            let shown = labels(legend, "{{", "}}");
            assert!(
                shown.iter().all(|label| by.contains(label)),
                "{legend}: {query}"
            );
            drawn.extend(metrics.iter().map(|name| name.name));
        }
    }
    let all: BTreeSet<_> = ALL.iter().map(|name| name.name).collect();
    assert_eq!(drawn, all);
}
