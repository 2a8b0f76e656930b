//! A strict reader of what `/metrics` says: OpenMetrics, as far as a host may use it.

use std::collections::{BTreeMap, BTreeSet};

/// What was scraped: each sample by its name with its labels, as they were written.
pub(crate) struct Scrape {
    samples: BTreeMap<String, f64>,
    names: BTreeSet<String>,
}

/// What is told of a metric before its samples.
#[derive(Default)]
struct Family {
    name: String,
    help: bool,
    kind: String,
}

impl Family {
    /// The metric's name, if a sample may be one of this family.
    fn owns(&self, sample: &str) -> Option<String> {
        let ending = sample.strip_prefix(self.name.as_str())?;
        let (endings, ours): (&[&str], &str) = match self.kind.as_str() {
            "counter" => (&["_total"], "_total"),
            "gauge" => (&[""], ""),
            "histogram" => (&["_bucket", "_sum", "_count"], ""),
            other => panic!("{other} is no kind of metric"),
        };
        let is_ours = endings.contains(&ending);
        is_ours.then(|| format!("{}{ours}", self.name))
    }
}

impl Scrape {
    /// # Panics
    /// If it is not as it must be.
    pub(crate) fn parse(text: &str) -> Self {
        let text = text.strip_suffix("# EOF\n").expect("it is told to the end");
        let (mut samples, mut names) = (BTreeMap::new(), BTreeSet::new());
        let mut family = Family::default();
        let mut known = BTreeSet::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect("it helps");
                assert!(help.len() > 1 && help.ends_with('.'), "{line}");
                assert!(known.insert(name.to_owned()), "{name} is told twice");
                family = Family {
                    name: name.to_owned(),
                    help: true,
                    ..Family::default()
                };
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("it has a type");
                assert!(family.help && family.name == name, "{line}");
                kind.clone_into(&mut family.kind);
            } else {
                let (sample, value) = line.rsplit_once(' ').expect("a sample has a value");
                let name = check_sample(sample);
                let metric = family.owns(name);
                names.insert(metric.unwrap_or_else(|| panic!("{line} under {}", family.name)));
                let value: f64 = value.parse().expect("a value is a number");
                let is_gauge = family.kind == "gauge";
                assert!(value.is_finite() && (is_gauge || value >= 0.0), "{line}");
                let before = samples.insert(sample.to_owned(), value);
                assert!(before.is_none(), "{line} is told twice");
            }
        }
        let scrape = Self { samples, names };
        scrape.check_histograms();
        scrape
    }

    /// A bucket that has no bound holds all.
    fn check_histograms(&self) {
        for (sample, count) in &self.samples {
            if let Some(labels) = sample.strip_prefix("sluice_batch_duration_seconds_count{") {
                let labels = labels.strip_suffix('}').expect("it was checked");
                let all = [
                    format!("sluice_batch_duration_seconds_bucket{{le=\"+Inf\",{labels}}}"),
                    format!("sluice_batch_duration_seconds_bucket{{{labels},le=\"+Inf\"}}"),
                ];
                let all = all.iter().find_map(|sample| self.value(sample));
                assert_eq!(all, Some(*count), "{sample}");
            }
        }
    }

    /// A sample's value.
    pub(crate) fn value(&self, sample: &str) -> Option<f64> {
        self.samples.get(sample).copied()
    }

    /// The sum of a metric over all its labels.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        let of_it = |sample: &str| sample.split('{').next() == Some(name);
        let samples = self.samples.iter().filter(|(sample, _)| of_it(sample));
        samples.map(|(_, value)| value).sum()
    }

    /// The names of all metrics that have samples.
    pub(crate) fn names(&self) -> &BTreeSet<String> {
        &self.names
    }
}

/// Checks a sample's name and labels, and gives the name.
fn check_sample(sample: &str) -> &str {
    let is_name = |name: &str| {
        let is_part = |letter: char| letter.is_ascii_lowercase() || "_0123456789".contains(letter);
        name.starts_with(|first: char| first.is_ascii_lowercase()) && name.chars().all(is_part)
    };
    let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
    assert!(is_name(name), "{sample}");
    let mut rest = labels.strip_suffix('}').expect("labels end");
    while !rest.is_empty() {
        let (label, after) = rest.split_once("=\"").expect("a label has a value");
        assert!(is_name(label), "{sample}");
        let mut is_escaped = false;
        let end = after.find(|letter| {
            let is_end = letter == '"' && !is_escaped;
            is_escaped = letter == '\\' && !is_escaped;
            is_end
        });
        let after = &after[end.expect("a label's value ends") + 1..];
        rest = after.strip_prefix(',').unwrap_or(after);
        assert!(rest.is_empty() || after.starts_with(','), "{sample}");
    }
    name
}

#[test]
fn what_is_wrong_is_seen() {
    let good = "# HELP a_b About it.\n# TYPE a_b counter\na_b_total{c=\"d,\\\"e\\\\\"} 3\n# EOF\n";
    assert_eq!(Scrape::parse(good).sum("a_b_total"), 3.0);
    for (from, to) in [
        ("# EOF\n", ""),
        ("counter", "gauge"),
        ("counter", "thing"),
        (" 3", " three"),
        (" 3", " -3"),
        ("c=", "c"),
        ("\\\\\"}", "\\\"}"),
        ("a_b_total{", "b_total{"),
        ("# EOF", "a_b_total{c=\"d,\\\"e\\\\\"} 3\n# EOF"),
        ("# HELP a_b About it.\n", ""),
        ("# TYPE", "\n# TYPE"),
    ] {
        let bad = good.replace(from, to);
        let read = std::panic::catch_unwind(|| drop(Scrape::parse(&bad)));
        assert!(read.is_err(), "{bad}");
    }
}
