//! What was asked of the interface, by route: how often, how it ended, how long it took.
//!
//! A route is its template, never the address that was asked for, so there are as many figures as
//! routes; what fits none is one route together.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use crate::core::Core;

pub(crate) const TOTAL: (&str, &str) = (
    "antiphon_cloud_http_requests_total",
    "Requests, by method, template of the route and class of the answer.",
);
pub(crate) const SECONDS: (&str, &str) = (
    "antiphon_cloud_http_request_seconds",
    "How long requests took until their answer began, by method and template of the route.",
);

/// Upper ends, in milliseconds.
const BUCKETS: [u64; 8] = [5, 10, 25, 100, 250, 1_000, 2_500, 10_000];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

#[derive(Debug, Default)]
pub(crate) struct Requests {
    routes: RwLock<BTreeMap<(&'static str, String), Arc<Route>>>,
}

#[derive(Debug, Default)]
struct Route {
    classes: [AtomicU64; CLASSES.len()],
    /// Each request in the first bucket that it fits into.
    buckets: [AtomicU64; BUCKETS.len() + 1],
    micros: AtomicU64,
}

/// Around all routes.
pub(super) async fn counted(State(core): State<Core>, request: Request, next: Next) -> Response {
    let template = request.extensions().get::<MatchedPath>();
    let template = template.map_or("", MatchedPath::as_str).to_owned();
    let route = core.tally.requests.route(request.method(), template);
    let began = Instant::now();
    let response = next.run(request).await;
    route.count(response.status(), began.elapsed());
    response
}

impl Requests {
    fn route(&self, method: &Method, template: String) -> Arc<Route> {
        let key = (name(method), template);
        let known = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(route) = known.get(&key) {
            return Arc::clone(route);
        }
        drop(known);
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(routes.entry(key).or_default())
    }

    /// In the text format of Prometheus.
    pub(crate) fn write(&self, text: &mut String) {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        // Writing to a string does not fail.
        let (name, help) = TOTAL;
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} counter\n");
        for ((method, template), route) in routes.iter() {
            for (class, count) in CLASSES.iter().zip(&route.classes) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    let labels =
                        format!("method=\"{method}\",route=\"{template}\",status=\"{class}\"");
                    let _ = writeln!(text, "{name}{{{labels}}} {count}");
                }
            }
        }
        let (name, help) = SECONDS;
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} histogram\n");
        for ((method, template), route) in routes.iter() {
            let labels = format!("method=\"{method}\",route=\"{template}\"");
            route.write_seconds(name, &labels, text);
        }
    }
}

impl Route {
    fn count(&self, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        self.classes[class].fetch_add(1, Ordering::Relaxed);
        let bucket = BUCKETS.partition_point(|&end| Duration::from_millis(end) < took);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    fn write_seconds(&self, name: &str, labels: &str, text: &mut String) {
        let mut count = 0;
        let ends = BUCKETS.iter().map(|&end| (end as f64 / 1e3).to_string());
        for (end, bucket) in ends.chain(["+Inf".to_owned()]).zip(&self.buckets) {
            count += bucket.load(Ordering::Relaxed);
            let _ = writeln!(text, "{name}_bucket{{{labels},le=\"{end}\"}} {count}");
        }
        let seconds = self.micros.load(Ordering::Relaxed) as f64 / 1e6;
        let _ = writeln!(text, "{name}_sum{{{labels}}} {seconds}");
        let _ = writeln!(text, "{name}_count{{{labels}}} {count}");
    }
}

/// Methods that anybody may make up are one.
fn name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g5_requests_are_counted_by_route_class_and_time() {
        let requests = Requests::default();
        let route = || requests.route(&Method::GET, "/api/v1/sites/{site}".to_owned());
        route().count(StatusCode::OK, Duration::from_millis(5));
        route().count(StatusCode::NOT_FOUND, Duration::from_millis(6));
        route().count(StatusCode::OK, Duration::from_secs(60));
        let mut text = String::new();
        requests.write(&mut text);
        let labels = "method=\"GET\",route=\"/api/v1/sites/{site}\"";
        for line in [
            format!("antiphon_cloud_http_requests_total{{{labels},status=\"2xx\"}} 2\n"),
            format!("antiphon_cloud_http_requests_total{{{labels},status=\"4xx\"}} 1\n"),
            format!("antiphon_cloud_http_request_seconds_bucket{{{labels},le=\"0.005\"}} 1\n"),
            format!("antiphon_cloud_http_request_seconds_bucket{{{labels},le=\"0.01\"}} 2\n"),
            format!("antiphon_cloud_http_request_seconds_bucket{{{labels},le=\"10\"}} 2\n"),
            format!("antiphon_cloud_http_request_seconds_bucket{{{labels},le=\"+Inf\"}} 3\n"),
            format!("antiphon_cloud_http_request_seconds_sum{{{labels}}} 60.011\n"),
            format!("antiphon_cloud_http_request_seconds_count{{{labels}}} 3\n"),
        ] {
            assert!(text.contains(&line), "{line}in\n{text}");
        }
    }

    #[test]
    fn addresses_and_methods_that_anybody_makes_up_add_no_figures() {
        let requests = Requests::default();
        for made_up in ["BREW", "PROPFIND", "X"] {
            let method = Method::from_bytes(made_up.as_bytes()).unwrap();
            requests.route(&method, String::new());
        }
        assert_eq!(requests.routes.read().unwrap().len(), 1);
    }
}
