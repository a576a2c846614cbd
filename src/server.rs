//! Listening and serving, until told to stop.

use std::io;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, AcceptEncoding, Encoding, HeaderMap};
use actix_web::middleware::Compress;
use actix_web::rt::signal::unix::{Signal, SignalKind, signal};
use actix_web::{HttpServer, rt, web};
use futures_util::future::select;

use crate::call::{App, Streams, handle};
use crate::routes;
use crate::tls::serve::Identity;

/// The application, as it is served and as it is tested.
pub fn app(
    app: App,
) -> actix_web::App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    let router = routes::router(&app.config);
    actix_web::App::new()
        .app_data(web::Data::new(app))
        .app_data(web::Data::new(router))
        .default_service(web::to(handle))
        .wrap(Compress::default())
        .wrap_fn(|mut request, service| {
            tolerate_encodings(request.headers_mut());
            service.call(request)
        })
}

/// Compression is an offer: a client that accepts none of what there is gets
/// the plain bytes, where the middleware would have it turned away.
fn tolerate_encodings(headers: &mut HeaderMap) {
    let offered = [Encoding::brotli(), Encoding::gzip(), Encoding::deflate(), Encoding::zstd(), Encoding::identity()];
    let wanted = wanted_encodings(headers);
    if !wanted.is_empty() && wanted.negotiate(offered.iter()).is_none() {
        headers.remove(header::ACCEPT_ENCODING);
    }
}

/// Whether the client asks for gzip.
pub fn takes_gzip(headers: &HeaderMap) -> bool {
    wanted_encodings(headers).negotiate([Encoding::gzip()].iter()) == Some(Encoding::gzip())
}

fn wanted_encodings(headers: &HeaderMap) -> AcceptEncoding {
    let lists = headers.get_all(header::ACCEPT_ENCODING).filter_map(|list| list.to_str().ok());
    AcceptEncoding(lists.flat_map(|list| list.split(',')).filter_map(|wanted| wanted.trim().parse().ok()).collect())
}

/// The wish of an operator that the gateway ends: SIGINT or SIGTERM.
pub struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Listens for the signals from now on.
    ///
    /// # Errors
    /// When the system does not let it.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn wait(mut self) {
        select(pin!(self.interrupt.recv()), pin!(self.terminate.recv())).await;
    }
}

/// Serves until told to stop, with TLS where there is a certificate. Then new
/// connections are refused and requests in flight are finished, for as long as the
/// configuration allows.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, identity: Option<Arc<Identity>>, shared: App, stop: Stop) -> io::Result<()> {
    let (workers, timeout, limits) = (workers(&shared), shared.config.shutdown_timeout, &shared.config.limits);
    let (reads, pool) = (shared.reads.clone(), shared.pool.clone());
    if let Some(reads) = reads.clone() {
        rt::spawn(reads.enter_every_second(pool.clone()));
    }
    let (head_timeout, keep_alive) = (limits.head_timeout, limits.keep_alive);
    // The framework has them for each worker.
    let connections = (limits.max_connections as usize / workers).max(1);
    let server = HttpServer::new(move || app(shared.clone()))
        .workers(workers)
        .disable_signals()
        .shutdown_timeout(timeout)
        .client_request_timeout(Duration::from_secs(head_timeout))
        .keep_alive(Duration::from_secs(keep_alive))
        .max_connections(connections);
    let server = match identity {
        Some(identity) => {
            let acceptance = identity.acceptance().map_err(io::Error::other)?;
            rt::spawn(identity.follow());
            let server = server.on_connect(|_, connection| drop(connection.insert(Streams::default())));
            server.listen_rustls_0_23(listener, acceptance)?.run()
        }
        None => server.listen(listener)?.run(),
    };
    let handle = server.handle();
    rt::spawn(async move {
        stop.wait().await;
        log::info!("stopping: requests in flight are finished, for {timeout} s at the most");
        handle.stop(true).await;
    });
    let outcome = server.await;
    if let Some(reads) = reads {
        reads.enter(&pool).await;
    }
    outcome
}

/// Short reads run where they arrive. SQLite's keep a processor busy all the
/// while; those of PostgreSQL mostly wait, and others can be at it meanwhile.
fn workers(app: &App) -> usize {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    app.config.workers.unwrap_or(if app.pool.is_sqlite() { processors } else { 4 * processors })
}
