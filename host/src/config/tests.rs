//! Configurations as people write them, right and wrong.

use expect_test::{expect, expect_file};

use super::Error;
use super::document::{Document, Flag};
use super::fault::{At, Fault};
use super::schema::{self, Kind, Shape};

const SMALL: &str =
    "name = 'a'\ntopic = 't'\n[plugin]\npath = 'a.wasm'\n[cassandra]\nkeyspace = 'k'\n";

fn read(text: &str, variables: &[(&str, &str)], flags: &[Flag]) -> Result<Document, Error> {
    let variables = variables
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()));
    Document::read("pipeline.toml", text, variables, flags)
}

fn setting(document: &Document, key: &str) -> (String, String) {
    let settings = document.settings();
    let setting = settings.into_iter().find(|setting| setting.key == key);
    let setting = setting.unwrap_or_else(|| panic!("`{key}` is shown"));
    let value = setting
        .value
        .map_or("none".to_owned(), |value| value.to_string());
    (value, setting.origin)
}

/// A section and a key of it: the key stands over the section, whichever is set first.
#[test]
fn the_order_of_the_environment_does_not_matter() {
    let section = ("SLUICE_PLUGIN__CONFIG", "{ strict = true }");
    let key = ("SLUICE_PLUGIN__CONFIG__STRICT", "false");
    for variables in [[section, key], [key, section]] {
        let document = read(SMALL, &variables, &[]).unwrap();
        assert_eq!(setting(&document, "plugin.config.strict").0, "false");
    }
}

/// Flags stand over the environment, which stands over the file, which stands over defaults.
#[test]
fn the_higher_layer_holds() {
    let text = format!("{SMALL}[kafka]\nbrokers = 'file:1'\n[batch]\nmessages_max = 5\n");
    let variables = [
        ("SLUICE_KAFKA__BROKERS", "env:1"),
        ("SLUICE_BATCH__MESSAGES_MAX", "17"),
        ("SLUICE_CASSANDRA__CONTACT_POINTS", "a:1, b:2"),
        ("SLUICE_KAFKA__GROUP", "7"),
        ("SLUICE_LOOKUPS__S__HEADER", "false"),
        ("SLUICE_LOOKUPS__S__PATH", "/s.csv"),
        ("SLUICE_PLUGIN__CONFIG", "{ strict = true }"),
        ("SLUICE_TOPIC", "other"),
        ("SLUICE_LOG", "debug"),
        ("OTHER__THING", "x"),
    ];
    let flags = [
        Flag::new("--brokers", &["kafka", "brokers"], "flag:1"),
        Flag::new("--lookup", &["lookups", "s", "path"], "/t.csv"),
    ];
    let check = |variables: &[(&str, &str)], flags: &[Flag], key, value, origin: &str| {
        let document = read(&text, variables, flags).unwrap();
        assert_eq!(setting(&document, key), (value, origin.to_owned()), "{key}");
        document.file().unwrap()
    };
    let check = |depth: usize, key, value: &str, origin| {
        let variables = if depth > 0 { &variables[..] } else { &[] };
        let flags = if depth > 1 { &flags[..] } else { &[] };
        check(variables, flags, key, value.to_owned(), origin)
    };
    let (file, env, flag) = (0, 1, 2);
    check(file, "kafka.group", "\"sluice-a\"", "default");
    check(file, "batch.bytes_max", "16777216", "default");
    check(file, "batch.interval", "none", "default");
    check(file, "topic", "\"t\"", "pipeline.toml:2");
    check(file, "kafka.brokers", "\"file:1\"", "pipeline.toml:8");
    check(file, "batch.messages_max", "5", "pipeline.toml:10");
    check(env, "topic", "\"other\"", "SLUICE_TOPIC");
    check(env, "kafka.brokers", "\"env:1\"", "SLUICE_KAFKA__BROKERS");
    check(
        env,
        "batch.messages_max",
        "17",
        "SLUICE_BATCH__MESSAGES_MAX",
    );
    check(env, "kafka.group", "\"7\"", "SLUICE_KAFKA__GROUP");
    check(env, "plugin.config.strict", "true", "SLUICE_PLUGIN__CONFIG");
    let points = "SLUICE_CASSANDRA__CONTACT_POINTS";
    check(env, "cassandra.contact_points", "[\"a:1\",\"b:2\"]", points);
    check(
        env,
        "lookups.s.path",
        "\"/s.csv\"",
        "SLUICE_LOOKUPS__S__PATH",
    );
    check(flag, "lookups.s.path", "\"/t.csv\"", "--lookup");
    check(
        flag,
        "lookups.s.header",
        "false",
        "SLUICE_LOOKUPS__S__HEADER",
    );
    let file = check(flag, "kafka.brokers", "\"flag:1\"", "--brokers");
    assert_eq!(file.kafka.brokers, "flag:1");
    assert_eq!(file.kafka.group, "7");
    assert_eq!(file.cassandra.contact_points, ["a:1", "b:2"]);
    assert!(!file.lookups["s"].header);
}

/// A path that is not in the file does not start at the file's folder.
#[test]
fn paths_of_flags_and_variables_start_where_the_user_is() {
    let flags = [Flag::new("--lookup", &["lookups", "s", "path"], "s.csv")];
    let file = read(SMALL, &[("SLUICE_SCHEMA", "s.cql")], &flags)
        .unwrap()
        .file()
        .unwrap();
    let here = std::env::current_dir().unwrap();
    assert_eq!(file.lookups["s"].path, here.join("s.csv"));
    assert_eq!(file.schema, Some(here.join("s.cql")));
    assert_eq!(file.plugin.path.to_str(), Some("a.wasm"));
}

#[test]
fn every_fault_is_told_with_its_place() {
    let check = |text: &str, variables: &[(&str, &str)], flags: &[Flag]| {
        let error = read(text, variables, flags).unwrap_err();
        format!("error: {error}\n\n")
    };
    let with = |more: &str| check(&format!("{SMALL}{more}"), &[], &[]);
    let instead = |from: &str, to: &str| check(&SMALL.replace(from, to), &[], &[]);
    let told = [
        check("", &[], &[]),
        instead("name", "nmae"),
        instead("'t'", "7"),
        instead("'t'", ""),
        instead("'t'", "\"t"),
        instead("topic", "name"),
        with(
            "keyspaces = 'x'\nttl = 'soon'\nconsistency = 'most'\ncontact_points = ['a:1', 'b']\n",
        ),
        with("[batch]\nmessages_max = 0\nbytes_max = -1\ninterval = 30\n"),
        with("[swap]\nmax_changed = 0.01\nmax_rejected = '1'\nmax_slowdown = 0\n"),
        with("[kafka]\nbrokers = 'localhost'\nproperties = { 'security.protocol' = true }\n"),
        with("[lookups.s]\nheader = 'yes'\n[lookups]\nt = 's.csv'\n[rejections]\nx = 'filtr'\n"),
        with("[[produce.members]]\nname = 'x'\nvalue = 'now'\n[plugin.limits]\nstack = 1\n"),
        check(
            SMALL,
            &[("SLUICE_KAFKA__BROKER", "b:1"), ("SLUICE_TOPIC__X", "1")],
            &[],
        ),
        check(
            SMALL,
            &[],
            &[Flag::new("--brokers", &["kafka", "brokers"], "b")],
        ),
    ];
    expect_file!["faults.txt"].assert_eq(&told.concat());
}

/// What the plugin does not know is found out later, and told as well.
#[test]
fn later_faults_point_at_the_place_too() {
    let text = format!("{SMALL}[rejections]\nlate = 'filter'\n");
    let refuse = |document: &Document| {
        let fault = Fault {
            path: vec!["rejections".to_owned(), "late".to_owned()],
            at: At::Key,
            what: "it knows no `late`".to_owned(),
            help: Some("there are early".to_owned()),
        };
        document.error(vec![fault]).to_string()
    };
    let told = refuse(&read(&text, &[], &[]).unwrap());
    expect![[r#"
        it knows no `late`
         --> pipeline.toml:8:1
          |
        8 | late = 'filter'
          | ^^^^
          |
          = help: there are early"#]]
    .assert_eq(&told);
    let told = refuse(&read(SMALL, &[("SLUICE_REJECTIONS__LATE", "filter")], &[]).unwrap());
    expect![[r#"
        SLUICE_REJECTIONS__LATE: it knows no `late`
          = help: there are early"#]]
    .assert_eq(&told);
}

/// A secret's text is nowhere, whatever is wrong around it.
#[test]
fn secrets_are_never_shown() {
    const SECRET: &str = "hunter2";
    let properties =
        "[kafka.properties]\n'sasl.password' = 'env:KAFKA_PASSWORD'\n'sasl.username' = 'ada'\n";
    let config = "[plugin.config]\napi_token = ['hunter2']\nnested = { password = 'hunter2' }\n";
    let document = read(&format!("{SMALL}{properties}{config}"), &[], &[]).unwrap();
    let shown = serde_json::to_string(&document.settings()).unwrap();
    assert!(
        shown.contains("\"ada\"") && shown.contains("api_token"),
        "{shown}"
    );
    // Where a secret is may be told.
    let password = setting(&document, "kafka.properties.\"sasl.password\"");
    assert_eq!(password.0, "\"env:KAFKA_PASSWORD\"");
    let mut told = vec![shown, format!("{document:?}")];
    let wrong = [
        "'sasl.password' = 'hunter2'\n",
        "[kafka.properties]\n'sasl.password' = 'hunter2'\n",
        "passwort = 'hunter2'\n",
        "'sasl.password' : 'hunter2'\n",
        "password 'hunter2'\n",
        "[cassandra.x]\npassword = 'hunter2'\n",
        "[cassandra.x]\npassword = '''\nhunter2'''\n",
        "x = 1\n[kafka]\nproperties = { 'sasl.password' = 'hunter2', x = 1 }\n",
        "password = hunter2\n",
        "password = 'hunter2\n",
        "[kafka]\nproperties = { 'sasl.password' = 'hunter2', x = }\n",
    ];
    for more in wrong {
        told.push(
            read(&format!("{SMALL}{more}"), &[], &[])
                .unwrap_err()
                .to_string(),
        );
    }
    let variables = [
        "SLUICE_CASSANDRA__PASSWORD",
        "SLUICE_KAFKA__SECRET",
        "SLUICE_KAFKA__PROPERTIES__SSL.KEY.PASSWORD",
    ];
    for path in variables {
        told.push(read(SMALL, &[(path, SECRET)], &[]).unwrap_err().to_string());
    }
    for text in told {
        assert!(!text.contains(SECRET), "{text}");
    }
}

#[test]
fn carried_pipelines_are_as_the_schema_says() {
    for pipeline in sluice_bundled::PIPELINES {
        let document = Document::read(pipeline.name, pipeline.config, [].into_iter(), &[]);
        let file = document.unwrap().file().unwrap();
        assert_eq!(file.name, pipeline.name);
    }
}

#[test]
fn the_schema_of_the_documents_is_this_one() {
    expect_file!["../../../docs/pipeline.schema.json"].assert_eq(&schema::text());
}

/// The table of keys in the documents is made from the schema.
#[test]
fn the_documents_name_every_key() {
    const BEGIN: &str = "| key | type | default | meaning |\n| --- | --- | --- | --- |\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operating.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (before, table) = text.split_once(BEGIN).expect("the table is there");
    let (_, after) = table.split_once("\n\n").expect("something follows it");
    let rows = rows(Shape::root(), "");
    let expected = format!("{before}{BEGIN}{rows}\n{after}");
    expect_file![path].assert_eq(&expected);
}

/// The table's rows: every key that may be set, and what it takes.
fn rows(section: Shape, path: &str) -> String {
    let named = section
        .keys()
        .map(|key| (key, section.at(key).expect("a key has a shape")));
    let others = section.others().map(|shape| ("NAME", shape));
    let row = |(key, shape): (&str, Shape)| {
        let place = format!("{path}{key}");
        let is_list = shape.kind() == Kind::List && shape.elements().kind() == Kind::Section;
        if is_list {
            return rows(shape.elements(), &format!("{place}[]."));
        }
        if shape.kind() == Kind::Section {
            return rows(shape, &format!("{place}."));
        }
        let choices: Vec<_> = shape
            .choices()
            .map(|choice| format!("`{choice}`"))
            .collect();
        let kind = match (shape.kind(), shape.reads()) {
            (Kind::Text, None) if !choices.is_empty() => choices.join(" or "),
            (Kind::List, Some(reads)) => format!("list of {reads}"),
            (_, Some(reads)) => reads.to_owned(),
            (kind, None) => format!("{kind:?}").to_lowercase(),
        };
        let default = match shape.default() {
            Some(default) => format!("`{default}`"),
            None if section.required().any(|required| required == key) => "required".to_owned(),
            None => String::new(),
        };
        let about = shape.about().or(section.about()).unwrap_or_default();
        format!("| `{place}` | {kind} | {default} | {about} |\n")
    };
    named.chain(others).map(row).collect()
}
