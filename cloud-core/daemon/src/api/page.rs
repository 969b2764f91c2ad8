//! Lists come in pages: at most a hundred at once, and a cursor for what comes after.
//!
//! A cursor says after which row to go on, not how many to skip, so rows that come and go meanwhile
//! neither double nor hide others. Its text is opaque to callers.

use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::{Finding, Problem};

const DEFAULT: u32 = 50;
const MOST: u32 = 100;

/// Which part of a list is wanted.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageOf {
    /// How many at most.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(max_length = 600, pattern = "^[A-Za-z0-9_-]*$")]
    cursor: Option<String>,
}

/// After which row to go on: the values of the columns that order the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    /// What the list is ordered by.
    pub(crate) key: String,
    /// The id, where the key is the same.
    pub(crate) id: String,
}

/// A part of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// Ask with it for what comes next; null at the end.
    pub(crate) next_cursor: Option<String>,
}

impl PageOf {
    /// The id after which a list that is ordered by ids goes on.
    pub(crate) fn id<T: FromStr>(&self) -> Result<Option<T>, Problem> {
        let Some(cursor) = self.cursor()? else {
            return Ok(None);
        };
        cursor.id.parse().map(Some).map_err(|_| no_cursor())
    }

    pub(crate) fn limit(&self) -> Result<u32, Problem> {
        match self.limit {
            None => Ok(DEFAULT),
            Some(limit @ 1..=MOST) => Ok(limit),
            Some(_) => Err(Problem::invalid(vec![Finding::new(
                "?limit",
                "out_of_range",
                "Ask for 1 to 100 at once.",
            )])),
        }
    }

    pub(crate) fn cursor(&self) -> Result<Option<Cursor>, Problem> {
        let Some(text) = self.cursor.as_deref().filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let read = URL_SAFE_NO_PAD.decode(text).ok();
        let cursor = read.and_then(|json| serde_json::from_slice(&json).ok());
        cursor.map(Some).ok_or_else(no_cursor)
    }
}

fn no_cursor() -> Problem {
    Problem::invalid(vec![Finding::new(
        "?cursor",
        "not_a_cursor",
        "Use next_cursor of an answer, unchanged.",
    )])
}

impl<T> Page<T> {
    /// `rows` may hold one more than `limit`: then there is a next page.
    pub(crate) fn of(mut rows: Vec<T>, limit: u32, cursor: impl Fn(&T) -> Cursor) -> Self {
        let limit = limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| more);
        let next_cursor = last.map(|row| {
            let cursor = cursor(row);
            let json = serde_json::json!({"key": cursor.key, "id": cursor.id});
            URL_SAFE_NO_PAD.encode(json.to_string())
        });
        Self {
            items: rows,
            next_cursor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(n: &u32) -> Cursor {
        Cursor {
            key: n.to_string(),
            id: "x".to_owned(),
        }
    }

    #[test]
    fn the_last_page_has_no_cursor_and_the_others_lead_on() {
        let page = Page::of(vec![1, 2, 3], 2, cursor);
        assert_eq!(page.items, [1, 2]);
        let next = PageOf {
            cursor: page.next_cursor,
            limit: None,
        };
        assert_eq!(next.cursor().unwrap(), Some(cursor(&2)));
        assert_eq!(Page::of(vec![1, 2], 2, cursor).next_cursor, None);
    }

    #[test]
    fn a_cursor_of_somebody_elses_making_is_refused() {
        let page = PageOf {
            cursor: Some("bm9wZQ".to_owned()),
            limit: None,
        };
        assert!(page.cursor().is_err());
    }
}
