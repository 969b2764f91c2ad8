//! The small HTTP server behind `/metrics` and `/healthz`.
//!
//! Answers GET and nothing else, on its own runtime thread. Invariants: at most `CONNECTIONS` at a
//! time, and a client that sends its request slowly is cut off, so nobody can hold them all.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{Figures, Health};

const CONNECTIONS: usize = 16;
/// For the head of a request; also how long an idle connection stays.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves until cancelled.
pub(crate) async fn serve(listener: TcpListener, figures: Arc<Figures>, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of files, most likely: others will close theirs.
                tracing::warn!(%error, "a connection for metrics could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            continue;
        };
        let (figures, stop) = (Arc::clone(&figures), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = converse(stream, figures) => {}
            }
            drop(place);
        });
    }
}

async fn converse(stream: TcpStream, figures: Arc<Figures>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = answer(request.method(), request.uri().path(), &figures);
        async move { Ok::<_, Infallible>(response) }
    });
    // A client that breaks off is its own affair.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn answer(method: &Method, path: &str, figures: &Figures) -> Response<Full<Bytes>> {
    if method != Method::GET {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "use GET\n");
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET"));
        return response;
    }
    match path {
        "/metrics" => {
            let mut response = text(StatusCode::OK, figures.render());
            response.headers_mut().insert(
                CONTENT_TYPE,
                HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
            );
            response
        }
        "/healthz" => match figures.health() {
            Health::Well => text(StatusCode::OK, "well\n"),
            Health::Degraded => text(
                StatusCode::OK,
                "degraded: calls go on, the store cannot be written; see the log\n",
            ),
            Health::Stuck => text(
                StatusCode::SERVICE_UNAVAILABLE,
                "stuck: the main loop has not turned for seconds\n",
            ),
        },
        _ => text(StatusCode::NOT_FOUND, "here are /metrics and /healthz\n"),
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}
