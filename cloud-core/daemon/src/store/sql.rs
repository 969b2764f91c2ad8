//! Statements, transactions and rows over two engines.
//!
//! The same SQL text goes to both: placeholders `$1`, ids as TEXT, times as BIGINT of epoch
//! milliseconds, flags as 0 and 1, JSON as TEXT. Text that is put together at run time comes from
//! `Query::text`, which takes only literals, so no input can become SQL. Invariant: a transaction
//! that is not committed leaves nothing behind.

use std::fmt::Write as _;
use std::str::FromStr;
use std::sync::Arc;

use model::Timestamp;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Postgres, Row as _, SqlSafeStr, SqlStr, Sqlite, Transaction};
use thiserror::Error;
use tokio_stream::StreamExt;

use super::audit::{self, Audit};
use super::changes::{self, Change};
use super::open::Signals;
use super::tables::{Column, Table};

/// Why the store did not do what it was told.
#[derive(Debug, Error)]
pub(crate) enum StoreError {
    /// What a statement may meet: a row with this name is there already.
    #[error("there is such a row already")]
    Duplicate(#[source] sqlx::Error),
    /// A row that something else still points to, or that points to nothing.
    #[error("a row is used elsewhere, or names one that is not there")]
    Reference(#[source] sqlx::Error),
    /// A text with the character of code 0, which PostgreSQL does not take.
    #[error("a text holds a character that cannot be stored")]
    Unstorable,
    #[error("the database did not carry out a statement")]
    Engine(#[source] sqlx::Error),
    /// A row that this program did not write, or wrote wrongly.
    #[error("the column {column} holds what it must not: {what}")]
    Content { column: String, what: String },
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let database = error.as_database_error();
        if database.is_some_and(|e| e.is_unique_violation()) {
            Self::Duplicate(error)
        } else if database.is_some_and(|e| e.is_foreign_key_violation()) {
            Self::Reference(error)
        } else {
            Self::Engine(error)
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// A value for a placeholder. Nothing has a type too: PostgreSQL insists.
#[derive(Clone, Debug)]
enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Octets(Option<Vec<u8>>),
}

/// What can stand at a placeholder.
pub(crate) trait Bind {
    fn into_argument(self) -> Argument;
}

/// A value on its way into a statement.
#[derive(Clone, Debug)]
pub(crate) struct Argument(Value);

macro_rules! bind {
    ($($type:ty => |$value:ident| $argument:expr;)*) => {$(
        impl Bind for $type {
            fn into_argument(self) -> Argument {
                let $value = self;
                Argument($argument)
            }
        }
    )*};
}

impl Bind for Argument {
    fn into_argument(self) -> Argument {
        self
    }
}

bind! {
    i64 => |value| Value::Int(Some(value));
    Option<i64> => |value| Value::Int(value);
    u32 => |value| Value::Int(Some(i64::from(value)));
    bool => |value| Value::Int(Some(i64::from(value)));
    Timestamp => |value| Value::Int(Some(value.unix_ms()));
    Option<Timestamp> => |value| Value::Int(value.map(Timestamp::unix_ms));
    &str => |value| Value::Text(Some(value.to_owned()));
    String => |value| Value::Text(Some(value));
    &String => |value| Value::Text(Some(value.clone()));
    Option<&str> => |value| Value::Text(value.map(str::to_owned));
    Option<String> => |value| Value::Text(value);
    Vec<u8> => |value| Value::Octets(Some(value));
    &[u8] => |value| Value::Octets(Some(value.to_vec()));
    Option<Vec<u8>> => |value| Value::Octets(value);
}

/// An id is bound as its text.
macro_rules! bind_ids {
    ($($id:ident)*) => {$(
        impl Bind for cloud_logic::ids::$id {
            fn into_argument(self) -> Argument {
                self.to_string().into_argument()
            }
        }

        impl Bind for Option<cloud_logic::ids::$id> {
            fn into_argument(self) -> Argument {
                self.map(|id| id.to_string()).into_argument()
            }
        }
    )*};
}

bind_ids! {
    CompanyId ProjectId SiteId FolderId UserId GrantId DeviceId LabelId HandOverId RequestId AuthorityId UnitId
    SessionId PasskeyId CeremonyId InvitationId IntegrationId TokenKeyId LetterId
    CommandId NodeId IncidentId BlobId UploadId ExportId EditId
    NoticeId SubscriptionId
    RingGroupId CallNumberId CallId CallLegId CallRecordId
}

/// One statement with its values.
#[derive(Clone, Debug)]
#[must_use]
pub(crate) struct Query {
    text: Text,
    arguments: Vec<Value>,
    /// The arguments whose placeholders are not named in the text, by their numbers from 1.
    places: Vec<usize>,
}

#[derive(Clone, Debug)]
enum Text {
    Whole(&'static str),
    Built(String),
}

/// A statement whose text is known.
pub(crate) fn query(text: &'static str) -> Query {
    Query {
        text: Text::Whole(text),
        arguments: Vec::new(),
        places: Vec::new(),
    }
}

impl Query {
    /// The value of the next placeholder.
    pub(crate) fn bind(mut self, value: impl Bind) -> Self {
        self.arguments.push(value.into_argument().0);
        self
    }

    /// More text. Only literals: input is bound, never written.
    pub(crate) fn text(mut self, more: &'static str) -> Self {
        self.built().push_str(more);
        self
    }

    /// A placeholder here, with its value.
    pub(crate) fn value(mut self, value: impl Bind) -> Self {
        self.arguments.push(value.into_argument().0);
        self.places.push(self.arguments.len());
        self.built().push(PLACE);
        self
    }

    /// `(a, b, c)`
    pub(super) fn tuple(mut self, values: impl Iterator<Item = Argument>) -> Self {
        for (place, value) in values.enumerate() {
            self = self.text(if place == 0 { "(" } else { ", " }).value(value);
        }
        self.text(")")
    }

    /// ` AND column` begins with this text. Both are lower case already.
    pub(crate) fn begins(self, column: &'static str, with: &str) -> Self {
        let pattern = escaped(with) + "%";
        self.like(column, pattern)
    }

    /// ` AND column` has this text in it somewhere. Both are lower case already.
    pub(crate) fn contains(self, column: &'static str, text: &str) -> Self {
        let pattern = format!("%{}%", escaped(text));
        self.like(column, pattern)
    }

    fn like(self, column: &'static str, pattern: String) -> Self {
        self.text(" AND ")
            .text(column)
            .text(" LIKE ")
            .value(pattern)
            .text(" ESCAPE '!'")
    }

    /// The name of a table, as the database tells it.
    pub(super) fn table(self, table: &Table) -> Self {
        self.name(&table.name)
    }

    /// The name of a column, as the database tells it.
    pub(super) fn column(self, column: &Column) -> Self {
        self.name(&column.name)
    }

    pub(super) fn name(mut self, name: &str) -> Self {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        self.built().push_str(&quoted);
        self
    }

    /// `(a, b, c)`; where there is none, a list that holds nothing.
    pub(crate) fn values<B: Bind>(mut self, values: impl IntoIterator<Item = B>) -> Self {
        self.built().push('(');
        let mut any = false;
        for value in values {
            if any {
                self.built().push_str(", ");
            }
            self = self.value(value);
            any = true;
        }
        self.text(if any { ")" } else { "NULL)" })
    }

    fn built(&mut self) -> &mut String {
        if let Text::Whole(text) = self.text {
            self.text = Text::Built(text.to_owned());
        }
        match &mut self.text {
            Text::Built(text) => text,
            Text::Whole(_) => unreachable!("it was made a built text above"),
        }
    }

    fn into_sql(self, engine: Engine) -> (SqlStr, Vec<Value>) {
        let text = match self.text {
            Text::Whole(text) => text.into_sql_str(),
            Text::Built(text) => {
                // SQLite looks for a placeholder with a name among all names, for each one: a thousand
                // of them cost a million steps. So where none is named before, they get none.
                let nameless =
                    engine == Engine::Sqlite && self.places.len() == self.arguments.len();
                AssertSqlSafe(placed(&text, &self.places, nameless)).into_sql_str()
            }
        };
        (text, self.arguments)
    }
}

/// Stands in a text that is built where a placeholder will.
const PLACE: char = '\u{1}';

/// The text with its placeholders.
fn placed(text: &str, places: &[usize], nameless: bool) -> String {
    let mut placed = String::with_capacity(text.len() + 4 * places.len());
    let mut parts = text.split(PLACE);
    placed.push_str(parts.next().unwrap_or_default());
    for (part, place) in parts.zip(places) {
        if nameless {
            placed.push('?');
        } else {
            // Writing to a string does not fail.
            let _ = write!(placed, "${place}");
        }
        placed.push_str(part);
    }
    placed
}

/// A text of which no character means something in a pattern.
fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    for c in text.chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern
}

/// A transaction. Dropped without `commit`, it is as if it had never been.
#[derive(Debug)]
pub(crate) struct Tx {
    inner: Inner,
    /// Told at commit when something changed that others listen for.
    signals: Option<Arc<Signals>>,
    /// Written at commit, when nothing else will be locked any more.
    changes: Vec<Change>,
    entries: Vec<Audit>,
}

#[derive(Debug)]
enum Inner {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Tx {
    pub(super) fn sqlite(tx: Transaction<'static, Sqlite>, signals: Option<Arc<Signals>>) -> Self {
        Self::new(Inner::Sqlite(tx), signals)
    }

    pub(super) fn postgres(
        tx: Transaction<'static, Postgres>,
        signals: Option<Arc<Signals>>,
    ) -> Self {
        Self::new(Inner::Postgres(tx), signals)
    }

    fn new(inner: Inner, signals: Option<Arc<Signals>>) -> Self {
        Self {
            inner,
            signals,
            changes: Vec::new(),
            entries: Vec::new(),
        }
    }

    pub(crate) fn engine(&self) -> Engine {
        match self.inner {
            Inner::Sqlite(_) => Engine::Sqlite,
            Inner::Postgres(_) => Engine::Postgres,
        }
    }

    /// Whether it may write.
    pub(crate) fn writes(&self) -> bool {
        self.signals.is_some()
    }

    /// All rows that a statement gives.
    pub(crate) async fn all(&mut self, query: Query) -> Result<Vec<Row>, StoreError> {
        let (text, values) = query.into_sql(self.engine());
        match &mut self.inner {
            Inner::Sqlite(tx) => {
                let rows = sqlx::query_with(text, sqlite_arguments(values)?)
                    .fetch_all(&mut **tx)
                    .await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Inner::Postgres(tx) => {
                let rows = sqlx::query_with(text, postgres_arguments(values)?)
                    .fetch_all(&mut **tx)
                    .await?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// Row by row, so that none but the one at hand is in memory.
    pub(super) async fn each(
        &mut self,
        query: Query,
        mut each: impl FnMut(&Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let (text, values) = query.into_sql(self.engine());
        match &mut self.inner {
            Inner::Sqlite(tx) => {
                let mut rows = sqlx::query_with(text, sqlite_arguments(values)?).fetch(&mut **tx);
                while let Some(row) = rows.next().await {
                    each(&Row::Sqlite(row?))?;
                }
            }
            Inner::Postgres(tx) => {
                let mut rows = sqlx::query_with(text, postgres_arguments(values)?).fetch(&mut **tx);
                while let Some(row) = rows.next().await {
                    each(&Row::Postgres(row?))?;
                }
            }
        }
        Ok(())
    }

    /// The row, if there is one.
    pub(crate) async fn optional(&mut self, query: Query) -> Result<Option<Row>, StoreError> {
        let (text, values) = query.into_sql(self.engine());
        match &mut self.inner {
            Inner::Sqlite(tx) => {
                let row = sqlx::query_with(text, sqlite_arguments(values)?)
                    .fetch_optional(&mut **tx)
                    .await?;
                Ok(row.map(Row::Sqlite))
            }
            Inner::Postgres(tx) => {
                let row = sqlx::query_with(text, postgres_arguments(values)?)
                    .fetch_optional(&mut **tx)
                    .await?;
                Ok(row.map(Row::Postgres))
            }
        }
    }

    /// The row that must be there.
    pub(crate) async fn one(&mut self, query: Query) -> Result<Row, StoreError> {
        let row = self.optional(query).await?;
        row.ok_or_else(|| StoreError::Engine(sqlx::Error::RowNotFound))
    }

    /// Carries out a statement; how many rows it touched.
    pub(crate) async fn execute(&mut self, query: Query) -> Result<u64, StoreError> {
        let (text, values) = query.into_sql(self.engine());
        match &mut self.inner {
            Inner::Sqlite(tx) => {
                let done = sqlx::query_with(text, sqlite_arguments(values)?)
                    .execute(&mut **tx)
                    .await?;
                Ok(done.rows_affected())
            }
            Inner::Postgres(tx) => {
                let done = sqlx::query_with(text, postgres_arguments(values)?)
                    .execute(&mut **tx)
                    .await?;
                Ok(done.rows_affected())
            }
        }
    }

    /// Something changed that others listen for; they hear of it when this commits.
    pub(crate) fn changed(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Somebody did something; the log has it when this commits, and else not.
    pub(crate) fn audit(&mut self, entry: Audit) {
        self.entries.push(entry);
    }

    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        let entries = std::mem::take(&mut self.entries);
        let changes = std::mem::take(&mut self.changes);
        let any_change = !changes.is_empty();
        audit::write(&mut self, entries).await?;
        changes::write(&mut self, changes).await?;
        match self.inner {
            Inner::Sqlite(tx) => tx.commit().await?,
            Inner::Postgres(tx) => tx.commit().await?,
        }
        if let Some(signals) = self.signals.filter(|_| any_change) {
            signals.changed.notify_waiters();
            signals.committed.notify_one();
        }
        Ok(())
    }
}

fn sqlite_arguments(values: Vec<Value>) -> Result<SqliteArguments, StoreError> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        storable(&value)?;
        add(&mut arguments, value).map_err(StoreError::Engine)?;
    }
    Ok(arguments)
}

fn postgres_arguments(values: Vec<Value>) -> Result<PgArguments, StoreError> {
    let mut arguments = PgArguments::default();
    for value in values {
        storable(&value)?;
        add(&mut arguments, value).map_err(StoreError::Engine)?;
    }
    Ok(arguments)
}

/// The same is refused on both engines, so that a move from one to the other loses nothing.
fn storable(value: &Value) -> Result<(), StoreError> {
    match value {
        Value::Text(Some(text)) if text.contains('\0') => Err(StoreError::Unstorable),
        Value::Text(_) | Value::Int(_) | Value::Octets(_) => Ok(()),
    }
}

fn add<A>(arguments: &mut A, value: Value) -> Result<(), sqlx::Error>
where
    A: Arguments,
    Option<i64>: for<'q> sqlx::Encode<'q, A::Database> + sqlx::Type<A::Database>,
    Option<String>: for<'q> sqlx::Encode<'q, A::Database> + sqlx::Type<A::Database>,
    Option<Vec<u8>>: for<'q> sqlx::Encode<'q, A::Database> + sqlx::Type<A::Database>,
{
    match value {
        Value::Int(value) => arguments.add(value),
        Value::Text(value) => arguments.add(value),
        Value::Octets(value) => arguments.add(value),
    }
    .map_err(sqlx::Error::Encode)
}

/// One row of an answer.
#[derive(Debug)]
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

macro_rules! column {
    ($row:expr, $column:expr) => {
        match $row {
            Row::Sqlite(row) => row.try_get($column),
            Row::Postgres(row) => row.try_get($column),
        }
        .map_err(StoreError::Engine)
    };
}

impl Row {
    pub(crate) fn int(&self, column: &str) -> Result<i64, StoreError> {
        column!(self, column)
    }

    pub(crate) fn maybe_int(&self, column: &str) -> Result<Option<i64>, StoreError> {
        column!(self, column)
    }

    pub(crate) fn flag(&self, column: &str) -> Result<bool, StoreError> {
        Ok(self.int(column)? != 0)
    }

    pub(crate) fn time(&self, column: &str) -> Result<Timestamp, StoreError> {
        self.int(column).map(Timestamp::from_unix_ms)
    }

    pub(crate) fn maybe_time(&self, column: &str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.maybe_int(column)?.map(Timestamp::from_unix_ms))
    }

    pub(crate) fn text(&self, column: &str) -> Result<String, StoreError> {
        column!(self, column)
    }

    pub(crate) fn maybe_text(&self, column: &str) -> Result<Option<String>, StoreError> {
        column!(self, column)
    }

    pub(crate) fn octets(&self, column: &str) -> Result<Vec<u8>, StoreError> {
        column!(self, column)
    }

    pub(crate) fn maybe_octets(&self, column: &str) -> Result<Option<Vec<u8>>, StoreError> {
        column!(self, column)
    }

    /// A text column as what it stands for: an id, a role, a mode.
    pub(crate) fn parsed<T>(&self, column: &str) -> Result<T, StoreError>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        parsed(column, &self.text(column)?)
    }

    pub(crate) fn maybe_parsed<T>(&self, column: &str) -> Result<Option<T>, StoreError>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        let text = self.maybe_text(column)?;
        text.map(|text| parsed(column, &text)).transpose()
    }

    /// A column of JSON as what was written into it.
    pub(crate) fn json<T>(&self, column: &str) -> Result<T, StoreError>
    where
        T: serde::de::DeserializeOwned,
    {
        let text = self.text(column)?;
        serde_json::from_str(&text).map_err(|error| StoreError::Content {
            column: column.to_owned(),
            what: error.to_string(),
        })
    }
}

fn parsed<T>(column: &str, text: &str) -> Result<T, StoreError>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| StoreError::Content {
        column: column.to_owned(),
        what: error.to_string(),
    })
}
