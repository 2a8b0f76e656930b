//! Answers as tables, JSON and CSV.

use comfy_table::{CellAlignment, Table, presets};

use crate::sink::Answer;
use crate::sink::value::Value;
use crate::terminal::plain;

/// How an answer is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// An array of objects.
    Json,
    /// RFC 4180, with a header; null is empty.
    Csv,
}

/// The text of an answer.
pub fn render(answer: &Answer, format: Format) -> String {
    match format {
        Format::Table => table(answer),
        Format::Json => json(answer),
        Format::Csv => csv(answer),
    }
}

fn table(answer: &Answer) -> String {
    if answer.rows.is_empty() {
        return "no rows\n".into();
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(answer.columns.iter().map(|name| plain(name)));
    let text = |value: &Value| {
        if *value == Value::Null {
            "null".into()
        } else {
            plain(&value.to_string())
        }
    };
    for row in &answer.rows {
        table.add_row(row.iter().map(text));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        let is_number = |value: &Value| {
            matches!(
                value,
                Value::Integer(_) | Value::Float(_) | Value::Double(_) | Value::Null
            )
        };
        if answer.rows.iter().all(|row| is_number(&row[index])) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let rows = answer.rows.len();
    format!("{table}\n{rows} row{}\n", if rows == 1 { "" } else { "s" })
}

fn json(answer: &Answer) -> String {
    let mut text = String::from("[");
    for (index, row) in answer.rows.iter().enumerate() {
        text.push_str(if index == 0 { "\n  {" } else { ",\n  {" });
        // By hand, so that the columns keep their order.
        for (at, (name, value)) in answer.columns.iter().zip(row).enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            let name = serde_json::Value::from(name.as_str());
            text.push_str(&format!("{separator}{name}: {}", value.to_json()));
        }
        text.push('}');
    }
    text.push_str(if answer.rows.is_empty() {
        "]\n"
    } else {
        "\n]\n"
    });
    text
}

fn csv(answer: &Answer) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let rows = answer
        .rows
        .iter()
        .map(|row| row.iter().map(ToString::to_string).collect());
    for record in std::iter::once(answer.columns.clone()).chain(rows) {
        writer
            .write_record(&record)
            .expect("a vector takes all, and rows are as long as the header");
    }
    let bytes = writer.into_inner().expect("a vector takes all");
    String::from_utf8(bytes).expect("it was made of texts")
}
