//! Listening and serving, until told to stop.

use std::net::TcpListener;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Compress, NormalizePath};
use actix_web::rt::signal::unix::{SignalKind, signal};
use actix_web::{HttpServer, rt, web};

use crate::call::App;
use crate::routes;

/// The application, as it is served and as it is tested.
///
/// Repeated and trailing slashes are taken out of the path rather than
/// redirected: clients lose bodies on redirects.
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
    actix_web::App::new()
        .app_data(web::Data::new(app))
        .configure(routes::configure)
        .wrap(NormalizePath::trim())
        .wrap(Compress::default())
}

/// Serves until SIGINT or SIGTERM. Then new connections are refused, requests
/// in flight are finished, for as long as the configuration allows.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, shared: App) -> std::io::Result<()> {
    let (workers, timeout) = (shared.config.workers, shared.config.shutdown_timeout);
    let server = HttpServer::new(move || app(shared.clone()))
        .workers(workers)
        .disable_signals()
        .shutdown_timeout(timeout)
        .client_request_timeout(Duration::from_secs(10))
        .listen(listener)?
        .run();
    let handle = server.handle();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    rt::spawn(async move {
        futures_util::future::select(Box::pin(interrupt.recv()), Box::pin(terminate.recv())).await;
        log::info!("stopping: requests in flight are finished, for {timeout} s at the most");
        handle.stop(true).await;
    });
    server.await
}
