//! One JSON line per run, and percentiles of what was measured.

use std::time::Duration;

use serde_json::{Map, Value, json};

#[derive(Debug)]
pub(crate) struct Line(Map<String, Value>);

impl Line {
    pub(crate) fn new(kind: &str, name: &str) -> Self {
        Self(Map::new()).with("kind", kind).with("name", name)
    }

    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.into(), value.into());
        self
    }

    /// Milliseconds at a percentile, null when nothing was measured.
    pub(crate) fn milliseconds(self, key: &str, of: &mut Samples, percentile: f64) -> Self {
        let value = of.percentile(percentile).map(|d| d.as_secs_f64() * 1e3);
        self.with(key, json!(value))
    }

    pub(crate) fn print(self) {
        println!("{}", Value::Object(self.0));
    }
}

#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    pub(crate) fn push(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    pub(crate) fn extend(&mut self, other: &Samples) {
        self.0.extend(&other.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn percentile(&mut self, percentile: f64) -> Option<Duration> {
        let last = self.0.len().checked_sub(1)?;
        self.0.sort_unstable();
        Some(self.0[(last as f64 * percentile).round() as usize])
    }
}

/// A ratio, or null when the divisor is nothing.
pub(crate) fn per(value: f64, divisor: f64) -> Value {
    if divisor > 0.0 {
        json!(value / divisor)
    } else {
        Value::Null
    }
}
