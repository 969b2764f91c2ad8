//! Many rows in few statements.
//!
//! A statement costs a way to the engine and back, whatever it carries, and its text is prepared once
//! and kept. So many rows go in portions whose sizes are powers of two: few texts, each used again.

use super::sql::{Bind, Query, StoreError, Tx, query};

/// So many rows at once, far below what either engine allows.
const MOST: usize = 256;

/// So many go in one statement however many they are.
const FEW: usize = 32;

/// Rows for one table.
#[derive(Debug)]
pub(crate) struct Rows {
    /// `INSERT INTO table (columns) VALUES`
    head: &'static str,
    /// What stands behind the rows.
    tail: &'static str,
    columns: usize,
    values: Vec<super::sql::Argument>,
}

impl Rows {
    /// `head` ends with `VALUES`; the rows have as many values as it names columns.
    pub(crate) fn new(head: &'static str, columns: usize) -> Self {
        Self {
            head,
            tail: "",
            columns,
            values: Vec::new(),
        }
    }

    /// ` ON CONFLICT ..`: it must not name one row twice.
    pub(crate) fn on_conflict(mut self, tail: &'static str) -> Self {
        self.tail = tail;
        self
    }

    /// The next value of the row that is being written.
    pub(crate) fn bind(&mut self, value: impl Bind) -> &mut Self {
        self.values.push(value.into_argument());
        self
    }
}

impl Tx {
    /// Writes the rows; how many were written.
    pub(crate) async fn insert(&mut self, rows: Rows) -> Result<u64, StoreError> {
        let Rows {
            head,
            tail,
            columns,
            values,
        } = rows;
        debug_assert_eq!(values.len() % columns, 0, "{head}");
        let mut left = values.len() / columns;
        let mut values = values.into_iter();
        let mut written = 0;
        while left > 0 {
            let count = portion(left);
            left -= count;
            let mut insert = query(head);
            for place in 0..count {
                insert = insert.text(if place == 0 { " " } else { ", " });
                insert = insert.tuple(values.by_ref().take(columns));
            }
            written += self.execute(insert.text(tail)).await?;
        }
        Ok(written)
    }
}

/// Few as they are, many the largest power of two in them.
fn portion(left: usize) -> usize {
    match left {
        ..=FEW => left,
        _ => (1 << left.ilog2()).min(MOST),
    }
}

impl Query {
    /// As `values`, of a length that is a power of two: the last one stands there more than once,
    /// which changes nothing behind `IN`.
    pub(crate) fn any_of<B: Bind>(self, values: impl IntoIterator<Item = B>) -> Self {
        let mut values: Vec<_> = values.into_iter().map(Bind::into_argument).collect();
        if let Some(last) = values.last().cloned() {
            values.resize(values.len().next_power_of_two(), last);
        }
        self.values(values)
    }
}

#[cfg(test)]
mod tests {
    use model::Timestamp;

    use super::*;
    use crate::store::testing::on_both;

    #[tokio::test]
    async fn any_number_of_rows_is_written_and_found_again() {
        on_both(async |store| {
            let mut tx = store.write().await.unwrap();
            let mut expected = 0;
            for count in [0_u32, 1, 2, 3, 255, 256, 257, 700] {
                let head = "INSERT INTO idempotency (caller, key, fingerprint, created) VALUES";
                let mut rows = Rows::new(head, 4).on_conflict(" ON CONFLICT DO NOTHING");
                for place in 0..count {
                    let fingerprint: &[u8] = &[];
                    rows.bind("us-a")
                        .bind(format!("{place}"))
                        .bind(fingerprint)
                        .bind(Timestamp::from_unix_ms(1));
                }
                let written = tx.insert(rows).await.unwrap();
                assert_eq!(written, u64::from(count) - expected.min(u64::from(count)));
                expected = expected.max(u64::from(count));
                let keys = (0..count).map(|place| format!("{place}"));
                let asked = query("SELECT count(*) AS n FROM idempotency WHERE key IN ");
                let found = tx.one(asked.any_of(keys)).await.unwrap();
                assert_eq!(found.int("n").unwrap(), i64::from(count));
            }
            tx.commit().await.unwrap();
        })
        .await;
    }
}
