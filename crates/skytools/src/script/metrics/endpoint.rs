//! A thread that answers `GET /metrics`, and whom nobody can keep busy for long.

use std::collections::VecDeque;
use std::future::ready;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::http;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use prometheus::TEXT_FORMAT;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tracing::{error, info};

use super::Figures;
use crate::{Error, Result};

/// From accepting a connection to the end of the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many at a time; for one more, the oldest has to go.
const CONNECTIONS: usize = 32;
/// What a request may take, in bytes: it has no body.
const REQUEST: usize = 8 * 1024;
/// When there are no more sockets for us, there may be some later.
const BREATH: Duration = Duration::from_millis(200);

/// See the module. It ends with the value.
#[derive(Debug)]
pub struct Endpoint {
    address: String,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Endpoint {
    /// Listens at `HOST:PORT`, or says why that cannot be.
    pub fn open(address: String, figures: Arc<Figures>) -> Result<Self> {
        let failed = || Error::io(format!("config parameter metrics_listen: listen at {address}"));
        let listener = TcpListener::bind(&address).map_err(failed())?;
        listener.set_nonblocking(true).map_err(failed())?;
        let bound = listener.local_addr().map_err(failed())?;
        let (end, ended) = oneshot::channel();
        let serve = async {
            tokio::select! {
                _ = ended => {}
                () = accept(listener, figures) => {}
            }
        };
        let serve = || match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(serve),
            Err(error) => error!("no figures for Prometheus: {error}"),
        };
        let thread = thread::Builder::new().name("metrics".to_owned()).spawn(serve).map_err(failed())?;
        info!("figures for Prometheus are at http://{bound}/metrics");
        Ok(Self { address, end: Some(end), thread: Some(thread) })
    }

    /// Where it was asked to listen.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // The thread never waits for anybody, so its end is near; then the port is free.
        drop(self.end.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Takes connections for ever.
async fn accept(listener: TcpListener, figures: Arc<Figures>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("it is a listener that does not block");
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            sleep(BREATH).await;
            continue;
        };
        open.retain(|connection| !connection.is_finished());
        if open.len() == CONNECTIONS {
            open.pop_front().expect("it is full").abort();
        }
        let connection = tokio::spawn(timeout(PATIENCE, serve(socket, Arc::clone(&figures))));
        open.push_back(connection.abort_handle());
    }
}

async fn serve(socket: TcpStream, figures: Arc<Figures>) {
    let service = service_fn(|request| ready(answer(&request, &figures)));
    let mut http = http1::Builder::new();
    let connection =
        http.keep_alive(false).max_buf_size(REQUEST).serve_connection(TokioIo::new(socket), service);
    // Whoever has broken off the connection does not want to hear more.
    let _ = connection.await;
}

fn answer(request: &Request<Incoming>, figures: &Figures) -> http::Result<Response<String>> {
    let response = Response::builder();
    match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => match figures.text() {
            Ok(text) => response.header(CONTENT_TYPE, TEXT_FORMAT).body(text),
            Err(error) => response.status(StatusCode::INTERNAL_SERVER_ERROR).body(format!("{error}\n")),
        },
        (_, "/metrics") => {
            response.status(StatusCode::METHOD_NOT_ALLOWED).header(ALLOW, "GET, HEAD").body(String::new())
        }
        _ => response.status(StatusCode::NOT_FOUND).body("the figures are at /metrics\n".to_owned()),
    }
}
