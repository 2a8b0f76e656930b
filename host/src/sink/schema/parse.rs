//! Reading schema files.

use super::token::{self, Kind, Token};
use super::{Column, Error, Order, Schema, Statement, Table};

impl Schema {
    /// Reads a schema file.
    ///
    /// # Errors
    /// What cannot be read, with its line.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let error = |at: usize, reason: String| Error {
            line: token::line_of(text, at),
            reason,
        };
        let tokens = token::tokens(text)
            .map_err(|at| error(at, "a quote or comment does not end".into()))?;
        let mut schema = Self {
            keyspace: String::new(),
            tables: Vec::new(),
            statements: Vec::new(),
        };
        for statement in tokens
            .split(|token| token.is(";"))
            .filter(|tokens| !tokens.is_empty())
        {
            let mut reader = Reader {
                tokens: statement,
                end: statement[statement.len() - 1].at.end,
            };
            let (keyspace, table) = reader
                .statement()
                .map_err(|(at, reason)| error(at, reason))?;
            let name = keyspace.name().expect("the reader took it for a name");
            if schema.keyspace.is_empty() {
                schema.keyspace = name;
            } else if schema.keyspace != name {
                let reason = format!(
                    "`{name}` is not the keyspace `{}` of the others",
                    schema.keyspace
                );
                return Err(error(keyspace.at.start, reason));
            }
            schema.tables.extend(table);
            let start = statement[0].at.start;
            schema.statements.push(Statement {
                text: text[start..reader.end].into(),
                keyspace: keyspace.at.start - start..keyspace.at.end - start,
            });
        }
        if schema.tables.is_empty() {
            return Err(error(text.len(), "there is no table".into()));
        }
        Ok(schema)
    }
}

/// Where something is wrong, and what.
type Fault = (usize, String);

struct Reader<'t, 'a> {
    tokens: &'t [Token<'a>],
    /// Where the statement ends.
    end: usize,
}

impl<'t, 'a> Reader<'t, 'a> {
    /// Reads a statement; answers with the name of its keyspace, and its table.
    fn statement(&mut self) -> Result<(&'t Token<'a>, Option<Table>), Fault> {
        self.expect("CREATE")?;
        let is_table = self.take("TABLE");
        if !is_table && !self.take("KEYSPACE") {
            return Err(self.fault("CREATE KEYSPACE or CREATE TABLE"));
        }
        if self.take("IF") {
            self.expect("NOT")?;
            self.expect("EXISTS")?;
        }
        let keyspace = self.name()?;
        if !is_table {
            return Ok((keyspace, None));
        }
        self.expect(".")?;
        Ok((keyspace, Some(self.table()?)))
    }

    fn table(&mut self) -> Result<Table, Fault> {
        let name = self.named()?;
        let mut table = Table {
            name,
            columns: Vec::new(),
            partition: Vec::new(),
            clustering: Vec::new(),
        };
        self.expect("(")?;
        loop {
            if self.take("PRIMARY") {
                self.expect("KEY")?;
                self.primary_key(&mut table)?;
            } else {
                self.column(&mut table)?;
            }
            if self.take(")") {
                break;
            }
            self.expect(",")?;
        }
        if table.partition.is_empty() {
            return Err(self.fault(&format!("a PRIMARY KEY of `{}`", table.name)));
        }
        if let Some(missing) = table
            .primary_key()
            .find(|name| table.column(name).is_none())
        {
            return Err(self.fault(&format!(
                "a column `{missing}`, which the primary key names,"
            )));
        }
        self.options(&mut table)?;
        Ok(table)
    }

    fn column(&mut self, table: &mut Table) -> Result<(), Fault> {
        let name = self.named()?;
        let mut kind = self.named()?;
        if kind == "varchar" {
            kind = "text".into();
        }
        let mut depth = 0;
        while self.next_is("<") || depth > 0 {
            let token = self.next("`>`")?;
            depth += i32::from(token.is("<")) - i32::from(token.is(">"));
            kind.push_str(&token.text.to_ascii_lowercase());
        }
        let is_static = self.take("STATIC");
        if self.take("PRIMARY") {
            self.expect("KEY")?;
            table.partition = vec![name.clone()];
        }
        table.columns.push(Column {
            name,
            kind,
            is_static,
        });
        Ok(())
    }

    fn primary_key(&mut self, table: &mut Table) -> Result<(), Fault> {
        self.expect("(")?;
        if self.take("(") {
            table.partition.push(self.named()?);
            while self.take(",") {
                table.partition.push(self.named()?);
            }
            self.expect(")")?;
        } else {
            table.partition.push(self.named()?);
        }
        while self.take(",") {
            table.clustering.push((self.named()?, Order::Ascending));
        }
        self.expect(")")
    }

    /// What follows the columns; only the clustering order means something here.
    fn options(&mut self, table: &mut Table) -> Result<(), Fault> {
        while let Some((first, rest)) = self.tokens.split_first() {
            self.tokens = rest;
            if !first.is("CLUSTERING") || !self.take("ORDER") {
                continue;
            }
            self.expect("BY")?;
            self.expect("(")?;
            loop {
                let name = self.named()?;
                let Some(column) = table
                    .clustering
                    .iter_mut()
                    .find(|(other, _)| *other == name)
                else {
                    return Err(self.fault(&format!("a clustering column, not `{name}`,")));
                };
                if self.take("DESC") {
                    column.1 = Order::Descending;
                } else {
                    self.take("ASC");
                }
                if self.take(")") {
                    break;
                }
                self.expect(",")?;
            }
        }
        Ok(())
    }

    fn next_is(&self, keyword: &str) -> bool {
        self.tokens.first().is_some_and(|token| token.is(keyword))
    }

    fn take(&mut self, keyword: &str) -> bool {
        let is_next = self.next_is(keyword);
        if is_next {
            self.tokens = &self.tokens[1..];
        }
        is_next
    }

    fn next(&mut self, expected: &str) -> Result<&'t Token<'a>, Fault> {
        let (first, rest) = self
            .tokens
            .split_first()
            .ok_or_else(|| self.fault(expected))?;
        self.tokens = rest;
        Ok(first)
    }

    fn expect(&mut self, keyword: &str) -> Result<(), Fault> {
        if self.take(keyword) {
            Ok(())
        } else {
            Err(self.fault(&format!("`{keyword}`")))
        }
    }

    fn name(&mut self) -> Result<&'t Token<'a>, Fault> {
        match self.tokens.first().map(|token| token.kind) {
            Some(Kind::Word | Kind::Quoted) => self.next("a name"),
            Some(Kind::Text | Kind::Parameter | Kind::Symbol) | None => Err(self.fault("a name")),
        }
    }

    fn named(&mut self) -> Result<String, Fault> {
        Ok(self
            .name()?
            .name()
            .expect("words and quoted names are names"))
    }

    fn fault(&self, expected: &str) -> Fault {
        match self.tokens.first() {
            Some(token) => (
                token.at.start,
                format!("{expected} is expected before `{}`", token.text),
            ),
            None => (
                self.end,
                format!("{expected} is expected before the end of the statement"),
            ),
        }
    }
}
