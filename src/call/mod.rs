//! One request on its way through the gateway, and its answer.
//!
//! Every operation is a function from [`Call`] to [`Answer`]. [`handle`] reads
//! the request, runs the function that it leads to, writes the answer or the
//! error document, and logs one line.

mod answer;
mod progress;
mod receive;
mod streams;

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{self, Duration};

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::rt::time::timeout;
use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::future::{FutureExt, LocalBoxFuture};
use uuid::Uuid;

pub use answer::{Answer, ErrorDocument, PLAIN, Refuse, error_answer};
pub use progress::Progress;
pub use receive::wants_json_api;
pub use streams::Streams;

use crate::audit::{Reads, Records};
use crate::auth::{self, Scope, Scopes};
use crate::config::Config;
use crate::db::{Conn, Pool, Weight};
use crate::error::{Error, Fault, Kind, Result};
use crate::id::Id;
use crate::idempotency::Once;
use crate::jsonapi::Parameters;
use crate::jsonapi::answer::Meta;
use crate::limits::{Limits, Rate};
use crate::loaded::Loaded;
use crate::resource::Resource;
use crate::router::{Found, Router};
use crate::time::{Clock, Instant};

/// Bytes of a body from which on it matters whose it is: it takes memory and time.
const LARGE: usize = 64 * 1024;

/// The media type of JSON:API.
pub const JSON_API: &str = "application/vnd.api+json";

/// What every request of a gateway shares.
#[derive(Clone)]
pub struct App {
    /// The settings.
    pub config: Arc<Config>,
    /// The database.
    pub pool: Pool,
    /// The time.
    pub clock: Clock,
    /// The scopes of the tokens in use.
    pub scopes: Scopes,
    /// The reads that are not in the audit trail yet, where it has any.
    pub reads: Option<Reads>,
    /// What keeps clients from each other's way.
    pub limits: Limits,
}

impl App {
    /// A gateway with these settings on this database.
    pub fn new(config: Config, pool: Pool, clock: Clock) -> Self {
        let limits = Limits::new(&config.limits);
        let reads = config.audit_reads.unwrap_or(false).then(Reads::default);
        Self { config: Arc::new(config), pool, clock, scopes: Scopes::default(), reads, limits }
    }
}

/// A request.
pub struct Call {
    /// The gateway.
    pub app: web::Data<App>,
    /// The id of this request.
    pub req_id: Uuid,
    /// The path, as links repeat it.
    pub path: String,
    /// The id in the path; empty where there is none.
    pub id: String,
    /// The query parameters.
    pub parameters: Parameters,
    request: HttpRequest,
    /// The body.
    pub body: Bytes,
    /// Where from it comes, if that is known.
    pub address: Option<IpAddr>,
    /// How far it has come.
    pub progress: Arc<Progress>,
}

impl Call {
    /// The method.
    pub fn method(&self) -> &Method {
        self.request.method()
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// The query, as it was sent.
    pub fn query(&self) -> &str {
        self.request.query_string()
    }

    /// The id in the path; `None` when it has a form that no resource has.
    pub fn path_id(&self) -> Option<Id> {
        Id::parse(&self.id)
    }

    /// The `meta` that every answer has.
    pub fn meta(&self) -> Meta {
        Meta::of(self.req_id)
    }

    /// Runs queries for the caller that change nothing; again, when the
    /// connection is lost.
    ///
    /// # Errors
    /// 401 when the caller has no good token; whatever `work` fails with.
    pub async fn read<T, F>(&self, weight: Weight, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Conn, &Scope) -> Result<T> + Send + 'static,
    {
        let caller = self.caller(false)?;
        self.app
            .pool
            .read(weight, move |db| {
                let scope = caller.identify(db)?;
                work(db, &scope)
            })
            .await
    }

    /// Carries a write out for the caller, in one transaction, and answers with
    /// what `show` makes of it. With an `Idempotency-Key` that happens once, and
    /// the answer is made and kept in the same transaction; otherwise it is made
    /// afterwards, since others wait for the transaction to end.
    ///
    /// # Errors
    /// 401 when the caller has no good token; whatever `work` fails with, and
    /// then nothing is stored.
    pub async fn write<T, W, S>(&self, weight: Weight, work: W, show: S) -> Result<Answer>
    where
        T: Send + 'static,
        W: Fn(&mut Conn, &Scope) -> Result<T> + Send + 'static,
        S: Fn(T) -> Result<Answer> + Send + 'static,
    {
        let caller = self.caller(true)?;
        let pool = &self.app.pool;
        let Some(once) = Once::asked(self) else {
            let write = move |db: &mut Conn| {
                let scope = caller.identify(db)?;
                work(db, &scope)
            };
            return show(pool.write(weight, write).await?);
        };
        let write = move |db: &mut Conn| {
            let scope = caller.identify(db)?;
            let once = once.as_ref().map_err(|fault| Error::from(fault.clone()))?;
            once.carry_out(db, &scope, |db| show(work(db, &scope)?))
        };
        pool.write(weight, write).await
    }

    /// Notes for the audit trail what an answer shows.
    pub fn note_read<R: Resource>(&self, loaded: &Loaded<R>) {
        if let Some(witness) = self.witness() {
            witness.note(&loaded.records());
        }
    }

    /// Who notes that, where it is noted.
    pub fn witness(&self) -> Option<Witness> {
        let reads = self.app.reads.clone()?;
        Some(Witness { reads, clock: self.app.clock.clone(), progress: self.progress.clone() })
    }

    /// Checks what can be checked of a write before its body is read. A large
    /// body costs time to read, so its token is looked up first; otherwise that
    /// happens where the write does, once.
    ///
    /// # Errors
    /// 415 for another media type; 401 when the caller has no good token.
    pub async fn admit(&self) -> Result<()> {
        self.check_content_type()?;
        if self.body.len() > LARGE {
            self.read(Weight::Short, |_, _| Ok(())).await?;
        }
        Ok(())
    }

    fn caller(&self, writes: bool) -> Result<Caller> {
        Caller::of(&self.request, &self.app, &self.progress, writes)
    }

    /// Checks the media type of a body that is to be JSON:API.
    ///
    /// # Errors
    /// 415 when it is another.
    pub fn check_content_type(&self) -> Result<()> {
        let sent = media_type(self.headers());
        let (essence, parameters) = sent.split_once(';').unwrap_or((&sent, ""));
        let tolerated = |parameter: &str| {
            let parameter = parameter.trim().replace('"', "");
            parameter.is_empty() || parameter.eq_ignore_ascii_case("charset=utf-8")
        };
        let known = match essence.trim() {
            JSON_API => parameters.split(';').all(tolerated),
            "application/json" => true,
            _ => false,
        };
        if known {
            return Ok(());
        }
        let detail = format!(
            "The Content-Type {sent:?} is not taken here. Send \"Content-Type: {JSON_API}\" without parameters, or application/json."
        );
        Err(Fault::new(Kind::UnsupportedMediaType, detail).into())
    }
}

/// The `Content-Type`, in lower case; empty when there is none.
pub fn media_type(headers: &HeaderMap) -> String {
    let header = headers.get(header::CONTENT_TYPE).and_then(|header| header.to_str().ok());
    header.unwrap_or_default().to_ascii_lowercase()
}

/// Notes for the audit trail what is shown to the caller of one request.
pub struct Witness {
    reads: Reads,
    clock: Clock,
    progress: Arc<Progress>,
}

impl Witness {
    /// Notes these records.
    pub fn note(&self, records: &Records) {
        if let Some((organization, client)) = self.progress.caller() {
            self.reads.note(*organization, client, self.clock.now(), self.progress.req_id, records);
        }
    }
}

/// Who asks, until the database is there to say what that means.
struct Caller {
    bearer: String,
    now: Instant,
    scopes: Scopes,
    requests: Option<Arc<Rate>>,
    progress: Arc<Progress>,
    writes: bool,
}

impl Caller {
    fn of(request: &HttpRequest, app: &App, progress: &Arc<Progress>, writes: bool) -> Result<Self> {
        let header = request.headers().get(header::AUTHORIZATION).and_then(|header| header.to_str().ok());
        Ok(Self {
            bearer: auth::bearer(header)?,
            now: app.clock.now(),
            scopes: app.scopes.clone(),
            requests: app.limits.requests.clone(),
            progress: progress.clone(),
            writes,
        })
    }

    fn identify(&self, db: &mut Conn) -> Result<Scope> {
        let scope = Scope { req_id: Some(self.progress.req_id), ..self.scopes.of(db, &self.bearer, self.now)? };
        if self.progress.identify(scope.organization, &scope.client)
            && let Some(requests) = &self.requests
        {
            requests.count(&scope.client, self.now)?;
        }
        self.progress.begin(self.writes)?;
        Ok(scope)
    }
}

/// An operation of the API.
pub struct Operation {
    run: Box<dyn Fn(Call) -> LocalBoxFuture<'static, Result<Answer>>>,
    refuse: Refuse,
    /// Whether it is for those, too, who have no token.
    open: bool,
}

impl Operation {
    /// An operation that is carried out by `run`; `refuse` answers requests that
    /// do not arrive whole.
    pub fn new<F, Fut>(run: F, refuse: Refuse) -> Self
    where
        F: Fn(Call) -> Fut + 'static,
        Fut: Future<Output = Result<Answer>> + 'static,
    {
        Self { run: Box::new(move |call| run(call).boxed_local()), refuse, open: false }
    }

    /// The same operation for those, too, who have no token. It takes no large
    /// bodies.
    #[must_use]
    pub fn open(self) -> Self {
        Self { open: true, ..self }
    }
}

/// Answers a request, whatever it is.
pub async fn handle(
    request: HttpRequest,
    payload: web::Payload,
    app: web::Data<App>,
    router: web::Data<Router>,
) -> HttpResponse {
    let began = time::Instant::now();
    let Found { place, path, id } = router.find(request.match_info().as_str());
    let operation = place.operation(request.method());
    let req_id = Uuid::new_v4();
    let progress = Arc::new(Progress::of(req_id));
    let address = app.config.limits.trusted_proxies.client(&request);
    let limit = if operation.open { LARGE.min(app.config.body_limit) } else { app.config.body_limit };
    let known = || is_known(&request, &app, &progress);
    let (_share, received) = match Streams::enter(&request) {
        Ok(share) => (share, receive::receive(&request, payload, &app.config, limit, known).await),
        Err(error) => (None, Err(error)),
    };
    let outcome = match received.and_then(|received| Ok((received, app.limits.turns.take_for(&place.pattern)?))) {
        Ok(((parameters, body), _turn)) => {
            let patience = Duration::from_secs(app.config.limits.request_timeout);
            let (request, progress) = (request.clone(), progress.clone());
            let call = Call { app, req_id, path, id, parameters, request, body, address, progress };
            timeout(patience, (operation.run)(call)).await.map_err(|_| patience)
        }
        Err(error) => Ok(Ok((operation.refuse)(request.headers(), &error, req_id))),
    };
    let answer = match outcome {
        Ok(outcome) => outcome.unwrap_or_else(|error| error_answer(&error, req_id)),
        Err(patience) => {
            log::warn!("req_id={req_id} was given up after {} s", patience.as_secs());
            (operation.refuse)(request.headers(), &progress.give_up(request.method(), patience), req_id)
        }
    };
    log::info!(
        target: "access",
        "req_id={req_id} address={} client={} operation=\"{} {}\" status={} ms={:.1}",
        address.map_or_else(|| "-".to_owned(), |address| address.to_string()),
        progress.caller().map_or("-", |(_, client)| client),
        request.method(),
        place.pattern,
        answer.status.as_u16(),
        began.elapsed().as_secs_f64() * 1000.0,
    );
    let mut response = answer.respond(req_id);
    if request.app_config().secure() {
        // A browser that was here over TLS never comes without it.
        let year = HeaderValue::from_static("max-age=31536000");
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    response
}

/// Whether a request has a good token.
async fn is_known(request: &HttpRequest, app: &App, progress: &Arc<Progress>) -> Result<bool> {
    let known = match Caller::of(request, app, progress, false) {
        Ok(caller) => app.pool.read(Weight::Short, move |db| caller.identify(db).map(drop)).await,
        Err(error) => Err(error),
    };
    match known {
        Ok(()) => Ok(true),
        Err(error) if error.is_unauthorized() => Ok(false),
        Err(error) => Err(error),
    }
}
