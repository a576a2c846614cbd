//! The thread behind one connection: it reaches the server, makes the TLS
//! connection, and carries bytes both ways until one side ends.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use futures_util::future::{Either, select};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, split};
use tokio::net::{TcpStream, UnixListener, UnixStream, lookup_host};
use tokio::runtime;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::place::{End, Network};
use super::trust::explain;

pub(super) struct Relay {
    pub end: End,
    pub config: Arc<ClientConfig>,
    pub network: Network,
    /// The name of the socket that libpq is to come to.
    pub socket: String,
    /// Told when libpq can come, or why not.
    pub ready: mpsc::Sender<Result<(), String>>,
}

impl Relay {
    pub(super) fn run(self) {
        match runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(self.serve()),
            Err(error) => drop(self.ready.send(Err(error.to_string()))),
        }
    }

    async fn serve(self) {
        let limit = self.network.connect;
        let reached = within(limit, self.reach()).await.unwrap_or_else(|| Err("it does not answer in time".into()));
        let entrance = reached.and_then(|server| Ok((server, entrance(&self.socket)?)));
        let (server, listener) = match entrance {
            Ok(entrance) => entrance,
            Err(cause) => return drop(self.ready.send(Err(cause))),
        };
        if self.ready.send(Ok(())).is_err() {
            return;
        }
        // libpq is in this process; where it does not come at once, it never does.
        let client = within(Some(Duration::from_secs(10)), admit(&listener)).await;
        drop(listener);
        if let Some(Ok(client)) = client
            && let Err(error) = carry(client, server).await
        {
            log::warn!("the connection to PostgreSQL at {} broke: {error}", self.end);
        }
    }

    /// A TLS connection to the server.
    async fn reach(&self) -> Result<TlsStream<TcpStream>, String> {
        let name = ServerName::try_from(self.end.name.clone());
        let name = name.map_err(|_| format!("{:?} is neither a name nor an address", self.end.name))?;
        let mut stream = self.dial().await?;
        ask_for_tls(&mut stream).await?;
        TlsConnector::from(self.config.clone()).connect(name, stream).await.map_err(|error| describe(&error))
    }

    /// A connection to the first of the host's addresses that answers. Each is
    /// given its part of the time.
    async fn dial(&self) -> Result<TcpStream, String> {
        let End { address, port, .. } = &self.end;
        let found = lookup_host((address.as_str(), *port)).await;
        let found: Vec<_> = found.map_err(|error| format!("its address cannot be found: {error}"))?.collect();
        let part = self.network.connect.map(|limit| limit / u32::try_from(found.len().max(1)).unwrap_or(1));
        let mut last = "it has no address".to_owned();
        for address in found {
            match within(part, TcpStream::connect(address)).await {
                Some(Ok(stream)) => {
                    self.settle(&stream).map_err(|error| error.to_string())?;
                    return Ok(stream);
                }
                Some(Err(error)) => last = error.to_string(),
                None => last = "it does not answer in time".into(),
            }
        }
        Err(last)
    }

    /// As libpq does with a connection of its own.
    fn settle(&self, stream: &TcpStream) -> io::Result<()> {
        let Network { keepalive, idle, interval, count, unacknowledged, .. } = self.network;
        stream.set_nodelay(true)?;
        let socket = SockRef::from(stream);
        if keepalive {
            let mut settings = TcpKeepalive::new();
            settings = idle.into_iter().fold(settings, TcpKeepalive::with_time);
            settings = interval.into_iter().fold(settings, TcpKeepalive::with_interval);
            settings = count.into_iter().fold(settings, TcpKeepalive::with_retries);
            socket.set_tcp_keepalive(&settings)?;
        }
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(unacknowledged)?;
        Ok(())
    }
}

/// A socket that has a name without a file, so that nothing is left behind,
/// however the program ends.
#[cfg(target_os = "linux")]
fn entrance(name: &str) -> Result<UnixListener, String> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener as Listener};

    let bound = SocketAddr::from_abstract_name(name).and_then(|name| Listener::bind_addr(&name)).and_then(|listener| {
        listener.set_nonblocking(true)?;
        UnixListener::from_std(listener)
    });
    bound.map_err(|error| format!("no socket can be made for libpq: {error}"))
}

#[cfg(not(target_os = "linux"))]
fn entrance(_: &str) -> Result<UnixListener, String> {
    Err("PostgreSQL over TLS needs Linux, where sockets can have names without files".into())
}

/// Lets this process in. Any other on the machine may find the name of the
/// socket, and is turned away.
async fn admit(listener: &UnixListener) -> io::Result<UnixStream> {
    loop {
        let (client, _) = listener.accept().await?;
        if client.peer_cred()?.pid().and_then(|id| u32::try_from(id).ok()) == Some(std::process::id()) {
            return Ok(client);
        }
    }
}

async fn within<T>(limit: Option<Duration>, work: impl Future<Output = T>) -> Option<T> {
    match limit {
        Some(limit) => timeout(limit, work).await.ok(),
        None => Some(work.await),
    }
}

/// PostgreSQL's `SSLRequest`: its length, and the code in place of a version.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Reads no more than the one byte of the answer: what follows is under TLS, and
/// is nothing that somebody in between could have put there.
async fn ask_for_tls(stream: &mut TcpStream) -> Result<(), String> {
    let asked = async {
        stream.write_all(&SSL_REQUEST).await?;
        stream.read_u8().await
    };
    match asked.await {
        Ok(b'S') => Ok(()),
        Ok(b'N') => Err("the server does not speak TLS (ssl = off), and sslmode says that it has to".into()),
        Ok(_) => Err("what answers there is not PostgreSQL".into()),
        Err(error) => Err(format!("the server ended the connection when it was asked for TLS: {error}")),
    }
}

fn describe(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(fault) => explain(fault),
        None => format!("TLS failed: {error}"),
    }
}

/// Carries what either side says to the other, until one of them ends.
async fn carry(mut client: UnixStream, mut server: TlsStream<TcpStream>) -> io::Result<()> {
    if let Err(error) = introduce(&mut client, &mut server).await {
        // A server that does not like the client's certificate says so only now.
        return client.write_all(&complaint(&describe(&error))).await;
    }
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = split(server);
    let outward = pin!(async {
        copy(&mut from_client, &mut to_server).await?;
        to_server.shutdown().await
    });
    let inward = pin!(async { copy(&mut from_server, &mut to_client).await.map(drop) });
    match select(outward, inward).await {
        Either::Right((ended, _)) => ended,
        // The server takes its leave, too; it need not be waited for for long.
        Either::Left((ended, farewell)) => {
            within(Some(Duration::from_secs(1)), farewell).await;
            ended
        }
    }
}

/// Carries the client's first message, and the server's first ones up to the
/// question how the client proves who it is.
async fn introduce(client: &mut UnixStream, server: &mut TlsStream<TcpStream>) -> io::Result<()> {
    let length = client.read_u32().await?;
    let first = [&length.to_be_bytes()[..], &body(client, length).await?].concat();
    let sent = async {
        server.write_all(&first).await?;
        server.flush().await
    };
    // A server that has hung up already is heard out: it may have said why.
    drop(sent.await);
    loop {
        let (kind, length) = (server.read_u8().await?, server.read_u32().await?);
        let mut message = body(server, length).await?;
        if kind == AUTHENTICATION {
            message = without_channel_binding(message);
        }
        client.write_u8(kind).await?;
        client.write_u32(u32::try_from(message.len()).unwrap_or(0) + 4).await?;
        client.write_all(&message).await?;
        if kind != NEGOTIATION {
            return Ok(());
        }
    }
}

const AUTHENTICATION: u8 = b'R';
const NEGOTIATION: u8 = b'v';

/// What comes after a length that counts itself.
async fn body(from: &mut (impl AsyncReadExt + Unpin), length: u32) -> io::Result<Vec<u8>> {
    const LONGEST: u32 = 64 * 1024;
    let rest = length.checked_sub(4).filter(|rest| *rest <= LONGEST);
    let rest = rest.ok_or_else(|| io::Error::other("a first message of PostgreSQL has no such length"))?;
    let mut message = vec![0; usize::try_from(rest).unwrap_or(0)];
    from.read_exact(&mut message).await?;
    Ok(message)
}

/// Takes the ways of proof out that bind it to the TLS connection, which libpq
/// does not know to be one: it would refuse to go on.
fn without_channel_binding(message: Vec<u8>) -> Vec<u8> {
    const SASL: [u8; 4] = [0, 0, 0, 10];
    let Some(ways) = message.strip_prefix(&SASL) else { return message };
    let kept = ways.split_inclusive(|byte| *byte == 0).filter(|way| !way.ends_with(b"-PLUS\0"));
    SASL.into_iter().chain(kept.flatten().copied()).collect()
}

/// PostgreSQL's `ErrorResponse`, of an error that ends the connection.
fn complaint(cause: &str) -> Vec<u8> {
    let fields = format!("SFATAL\0VFATAL\0C08001\0M{cause}\0\0");
    let length = u32::try_from(fields.len()).unwrap_or(0) + 4;
    [b"E", &length.to_be_bytes()[..], fields.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::without_channel_binding;

    #[test]
    fn proofs_that_are_bound_to_the_channel_are_not_offered() {
        let offered = |message: &[u8]| without_channel_binding(message.to_vec());
        let both = offered(b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0");
        assert_eq!(both, b"\0\0\0\x0aSCRAM-SHA-256\0\0");
        let clear = b"\0\0\0\x03";
        assert_eq!(offered(clear), clear);
    }
}
