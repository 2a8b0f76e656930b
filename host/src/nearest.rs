//! The known name that a mistyped one is nearest to.

/// How near a name must be to be meant: 1 is the same name, 0 shares nothing with it.
const NEAR: f64 = 0.8;

/// The nearest of the known names, as a sentence; all of them, if none is near.
pub fn hint<N: AsRef<str>>(name: &str, known: &[N]) -> String {
    let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
    let near = known
        .iter()
        .map(|other| (strsim::jaro_winkler(name, other), other));
    match near.max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((nearness, other)) if nearness > NEAR => format!("did you mean `{other}`?"),
        Some(_) => format!("there are {}", known.join(", ")),
        None => String::new(),
    }
}

/// The same as the end of a sentence.
pub fn did_you_mean<N: AsRef<str>>(name: &str, known: &[N]) -> String {
    let hint = hint(name, known);
    if hint.is_empty() {
        return hint;
    }
    format!("; {hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_name_is_recognised() {
        let known = ["plays", "plays-in-hour", "sample"];
        for (name, expected) in [
            ("smaple", "; did you mean `sample`?"),
            ("plays-in-houer", "; did you mean `plays-in-hour`?"),
            ("nothing", "; there are plays, plays-in-hour, sample"),
        ] {
            assert_eq!(did_you_mean(name, &known), expected, "{name}");
        }
        assert_eq!(did_you_mean("any", &[] as &[&str]), "");
    }
}
