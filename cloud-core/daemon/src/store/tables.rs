//! The tables themselves: what there is, read row by row, whatever it means.
//!
//! For backups, and for checks that hold over all tables. Names of tables and columns come from the
//! database or are compared with it; never from anybody's input.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::sql::{Engine, Query, Row, StoreError, Tx, query};

/// A table of this version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) holds: Holds,
}

/// What stands in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    Int,
    Text,
    /// Base64 in JSON.
    Octets,
}

impl Holds {
    fn named(kind: &str) -> Option<Self> {
        match kind.to_lowercase().as_str() {
            "bigint" | "integer" => Some(Self::Int),
            "text" => Some(Self::Text),
            "blob" | "bytea" => Some(Self::Octets),
            _ => None,
        }
    }
}

impl Tx {
    /// All tables, by name.
    pub(crate) async fn tables(&mut self) -> Result<Vec<Table>, StoreError> {
        let asked = match self.engine() {
            Engine::Sqlite => query(
                "SELECT t.name AS table_name, c.name AS column_name, c.type AS kind
                 FROM sqlite_master t JOIN pragma_table_info(t.name) c
                 WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite!_%' ESCAPE '!'
                   AND t.name NOT LIKE '!_sqlx!_%' ESCAPE '!'
                 ORDER BY t.name, c.cid",
            ),
            Engine::Postgres => query(
                "SELECT CAST(table_name AS TEXT) AS table_name,
                        CAST(column_name AS TEXT) AS column_name, CAST(data_type AS TEXT) AS kind
                 FROM information_schema.columns
                 WHERE table_schema = current_schema() AND table_name NOT LIKE '!_sqlx!_%' ESCAPE '!'
                 ORDER BY CAST(table_name AS TEXT) COLLATE \"C\", ordinal_position",
            ),
        };
        let mut tables: Vec<Table> = Vec::new();
        for row in self.all(asked).await? {
            let (table, column) = (row.text("table_name")?, row.text("column_name")?);
            let kind = row.text("kind")?;
            let holds = Holds::named(&kind).ok_or_else(|| StoreError::Content {
                column: format!("{table}.{column}"),
                what: format!("{kind} is no type that both engines have"),
            })?;
            let column = Column {
                name: column,
                holds,
            };
            match tables.last_mut().filter(|last| last.name == table) {
                Some(last) => last.columns.push(column),
                None => tables.push(Table {
                    name: table,
                    columns: vec![column],
                }),
            }
        }
        Ok(tables)
    }

    /// Every row of a table, one after the other, as JSON; how many there were.
    pub(crate) async fn rows_of(
        &mut self,
        table: &Table,
        mut each: impl FnMut(Value) -> Result<(), StoreError>,
    ) -> Result<u64, StoreError> {
        let mut count = 0;
        let asked = query("SELECT * FROM ").table(table);
        self.each(asked, |row| {
            count += 1;
            each(table.row(row)?)
        })
        .await?;
        Ok(count)
    }

    /// A row as `rows_of` gave it. Columns that it does not name are left empty.
    pub(crate) async fn insert_row(
        &mut self,
        table: &Table,
        row: &Map<String, Value>,
    ) -> Result<(), StoreError> {
        let named: Vec<_> = table
            .columns
            .iter()
            .filter(|column| row.contains_key(&column.name))
            .collect();
        let mut insert = query("INSERT INTO ").table(table).text(" (");
        for (place, column) in named.iter().enumerate() {
            insert = insert
                .text(if place == 0 { "" } else { ", " })
                .column(column);
        }
        insert = insert.text(") VALUES (");
        for (place, column) in named.iter().enumerate() {
            insert = insert.text(if place == 0 { "" } else { ", " });
            insert = column.value(insert, &row[&column.name], table)?;
        }
        self.execute(insert.text(")")).await?;
        Ok(())
    }
}

impl Table {
    fn row(&self, row: &Row) -> Result<Value, StoreError> {
        let mut object = Map::new();
        for column in &self.columns {
            let name = column.name.as_str();
            let value = match column.holds {
                Holds::Int => Value::from(row.maybe_int(name)?),
                Holds::Text => Value::from(row.maybe_text(name)?),
                Holds::Octets => {
                    let octets = row.maybe_octets(name)?;
                    Value::from(octets.map(|octets| STANDARD.encode(octets)))
                }
            };
            object.insert(name.to_owned(), value);
        }
        Ok(Value::Object(object))
    }
}

impl Column {
    fn value(&self, insert: Query, value: &Value, table: &Table) -> Result<Query, StoreError> {
        let wrong = || StoreError::Content {
            column: format!("{}.{}", table.name, self.name),
            what: "this is not what the column holds".to_owned(),
        };
        Ok(match (self.holds, value) {
            (Holds::Int, Value::Null) => insert.value(None::<i64>),
            (Holds::Text, Value::Null) => insert.value(None::<String>),
            (Holds::Octets, Value::Null) => insert.value(None::<Vec<u8>>),
            (Holds::Int, value) => insert.value(value.as_i64().ok_or_else(wrong)?),
            (Holds::Text, value) => insert.value(value.as_str().ok_or_else(wrong)?),
            (Holds::Octets, value) => {
                let text = value.as_str().ok_or_else(wrong)?;
                insert.value(STANDARD.decode(text).map_err(|_not_base64| wrong())?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::on_both;

    #[tokio::test]
    async fn rows_come_back_as_they_were_and_both_engines_have_the_same_tables() {
        let found = std::sync::Mutex::new(Vec::new());
        on_both(async |store| {
            let mut tx = store.write().await.unwrap();
            let tables = tx.tables().await.unwrap();
            let table = |name: &str| {
                tables
                    .iter()
                    .find(|table| table.name == name)
                    .unwrap()
                    .clone()
            };
            let secret = table("installation_secret");
            let row = serde_json::json!({"name": "o'clock \u{e9}", "sealed": "AP8="});
            let object = row.as_object().unwrap();
            tx.insert_row(&secret, object).await.unwrap();
            let mut rows = Vec::new();
            let count = tx
                .rows_of(&secret, |row| {
                    rows.push(row);
                    Ok(())
                })
                .await;
            assert_eq!((count.unwrap(), rows), (1, vec![row.clone()]));
            let wrong = serde_json::json!({"name": 7, "sealed": "AP8="});
            let refused = tx.insert_row(&secret, wrong.as_object().unwrap()).await;
            assert!(matches!(refused, Err(StoreError::Content { .. })));
            found.lock().unwrap().push(tables);
        })
        .await;
        let found = found.into_inner().unwrap();
        assert!(found[0].len() > 20);
        assert_eq!(found[0], found[1]);
    }
}
