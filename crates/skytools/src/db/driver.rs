//! What goes on behind a session: its messages are moved, its notices logged, its notifications passed on.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio_postgres::AsyncMessage;
use tokio_postgres::error::{DbError, Severity};
use tracing::{debug, info, warn};

/// How the sessions of a connection are driven.
#[derive(Clone, Debug)]
pub struct Driver {
    name: Arc<str>,
    notified: Arc<Notify>,
}

/// A session's task. It ends by itself when the session's client is gone; aborted, it cuts the socket.
#[derive(Debug)]
pub struct Driving(AbortHandle);

impl Driver {
    /// Messages call the connection `name`; notifications wake whoever waits at `notified`.
    pub fn new(name: &str, notified: Arc<Notify>) -> Self {
        Self { name: name.into(), notified }
    }

    /// How messages call the connection.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Drives a session until its end.
    pub fn start<S, T>(&self, mut connection: tokio_postgres::Connection<S, T>) -> Driving
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let driver = self.clone();
        let task = tokio::spawn(async move {
            loop {
                match std::future::poll_fn(|context| connection.poll_message(context)).await {
                    Some(Ok(AsyncMessage::Notification(_))) => driver.notified.notify_one(),
                    Some(Ok(AsyncMessage::Notice(notice))) => driver.log(&notice),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => {
                        warn!("{}: connection lost: {}", driver.name, crate::error::told(&error));
                        // Nothing will be told here any more: who waits has to look, over another connection.
                        driver.notified.notify_one();
                        return;
                    }
                    None => return,
                }
            }
        });
        Driving(task.abort_handle())
    }

    fn log(&self, notice: &DbError) {
        let (name, text) = (&self.name, crate::error::with_detail(notice));
        match notice.parsed_severity() {
            Some(Severity::Debug | Severity::Log) => debug!("{name}: {text}"),
            Some(Severity::Info | Severity::Notice) => info!("{name}: {text}"),
            _ => warn!("{name}: {text}"),
        }
    }
}

impl Driving {
    /// Ends the session now, whoever still holds it: what is open on it is rolled back by the server.
    pub fn cut(&self) {
        self.0.abort();
    }
}
