//! What a libpq connection URI says about where the server is and how it is
//! spoken to. Everything else is left to libpq.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::Tunnel;
use super::trust::{Roots, Trust};

/// A server that may be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// The name that its certificate is to be for.
    pub name: String,
    /// Where it is: a name or an address.
    pub address: String,
    pub port: u16,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} port {}", self.name, self.port)
    }
}

/// How long the network is waited for. `None` leaves it to the system.
#[derive(Clone, Copy, Debug)]
pub(super) struct Network {
    pub connect: Option<Duration>,
    pub keepalive: bool,
    pub idle: Option<Duration>,
    pub interval: Option<Duration>,
    pub count: Option<u32>,
    pub unacknowledged: Option<Duration>,
}

/// What is said to the tunnel and not to libpq.
const OURS: [&str; 9] =
    ["host", "hostaddr", "port", "ssl", "sslmode", "sslrootcert", "sslcert", "sslkey", "channel_binding"];

/// A URI in its parts, as libpq takes it apart.
struct Uri<'u> {
    /// Scheme, user and password.
    front: &'u str,
    hosts: &'u str,
    database: &'u str,
    /// As they were written; of two with the same name the later one counts.
    parameters: Vec<&'u str>,
}

impl<'u> Uri<'u> {
    fn read(url: &'u str) -> Self {
        let scheme = url.find("://").map_or(0, |found| found + 3);
        let rest = url.get(scheme..).unwrap_or_default();
        let user = rest.find(['@', '/']).filter(|found| rest[*found..].starts_with('@')).map_or(0, |found| found + 1);
        let (front, rest) = url.split_at(scheme + user);
        let (place, said) = rest.split_once('?').unwrap_or((rest, ""));
        let (hosts, database) = place.split_at(place.find('/').unwrap_or(place.len()));
        let parameters = said.split('&').filter(|parameter| !parameter.is_empty()).collect();
        Self { front, hosts, database, parameters }
    }

    fn names(&self) -> impl Iterator<Item = Cow<'u, str>> {
        self.parameters.iter().map(|parameter| decoded(parameter.split('=').next().unwrap_or_default()))
    }

    fn said(&self, name: &str) -> Option<Cow<'u, str>> {
        let value = |parameter: &&'u str| {
            let (found, value) = parameter.split_once('=')?;
            (decoded(found) == name).then(|| decoded(value))
        };
        self.parameters.iter().rev().find_map(value).filter(|value| !value.is_empty())
    }

    fn mode(&self) -> Option<Cow<'u, str>> {
        let required = self.said("ssl").filter(|value| value == "true").map(|_| "require".into());
        self.said("sslmode").or(required)
    }

    /// The hosts and their ports, as in front or as parameters.
    fn places(&self) -> (Vec<String>, Vec<String>) {
        let split = |entry: &str| match entry.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host.to_owned(), port.to_owned()),
            _ => (entry.to_owned(), String::new()),
        };
        let (hosts, ports): (Vec<_>, Vec<_>) = self.hosts.split(',').map(split).unzip();
        let hosts = hosts.iter().map(|host| decoded(host.trim_matches(['[', ']'])).into_owned()).collect();
        (self.listed("host").unwrap_or(hosts), self.listed("port").unwrap_or(ports))
    }

    fn listed(&self, name: &str) -> Option<Vec<String>> {
        Some(self.said(name)?.split(',').map(str::to_owned).collect())
    }
}

fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

impl Tunnel {
    /// What the URL says; `None` when it does not ask for TLS.
    ///
    /// # Errors
    /// A sentence for the operator when it asks for what there is not.
    pub fn asked_for(url: &str) -> Result<Option<Self>, String> {
        let uri = Uri::read(url);
        let Some(trust) = trust(&uri)? else { return Ok(None) };
        let known = |name: &str| !name.starts_with("ssl") || OURS.contains(&name);
        if let Some(unknown) = uri.names().find(|name| !known(name)) {
            return Err(format!(
                "{unknown} in the database URL is not known here; of libpq's parameters for TLS these are: sslmode, \
                 sslrootcert, sslcert, sslkey"
            ));
        }
        if uri.said("channel_binding").is_some_and(|value| value == "require") {
            return Err("channel_binding=require in the database URL cannot be granted here; \
                        sslmode=verify-full makes sure who the server is"
                .into());
        }
        let client = match (uri.said("sslcert"), uri.said("sslkey")) {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                Some((PathBuf::from(certificate.into_owned()), PathBuf::from(key.into_owned())))
            }
            _ => return Err("the database URL needs both of sslcert and sslkey, or neither".into()),
        };
        let kept = |parameter: &&&str| !OURS.contains(&&*decoded(parameter.split('=').next().unwrap_or_default()));
        let kept: String = uri.parameters.iter().filter(kept).flat_map(|parameter| [parameter, "&"]).collect();
        let database = if uri.database.is_empty() { "/" } else { uri.database };
        let rest = format!("{}{database}?{kept}", uri.front);
        Ok(Some(Self { ends: ends(&uri)?, trust, client, network: network(&uri)?, rest }))
    }
}

fn trust(uri: &Uri<'_>) -> Result<Option<Trust>, String> {
    let roots = uri.said("sslrootcert").map(|value| match &*value {
        "system" => Roots::System,
        file => Roots::File(file.into()),
    });
    let mode = uri.mode();
    let mode = mode.as_deref().unwrap_or(if roots == Some(Roots::System) { "verify-full" } else { "prefer" });
    match (mode, roots) {
        ("disable" | "allow" | "prefer", None) => Ok(None),
        ("disable" | "allow" | "prefer", Some(_)) => Err(format!(
            "sslrootcert in the database URL says whom to trust, but sslmode={mode} does not ask; say sslmode=verify-full"
        )),
        ("verify-full", Some(roots)) => Ok(Some(Trust::IssuerAndName(roots))),
        (mode, Some(Roots::System)) => Err(format!(
            "sslrootcert=system trusts so many that sslmode={mode} proves nothing; say sslmode=verify-full"
        )),
        ("require", None) => Ok(Some(Trust::Anybody)),
        ("require" | "verify-ca", Some(roots)) => Ok(Some(Trust::Issuer(roots))),
        ("verify-ca" | "verify-full", None) => Err(format!(
            "sslmode={mode} in the database URL needs sslrootcert=FILE, the certificates of those who are trusted, or \
             sslrootcert=system for those whom this system trusts"
        )),
        _ => Err(format!(
            "sslmode={mode} in the database URL is none of disable, allow, prefer, require, verify-ca, verify-full"
        )),
    }
}

fn ends(uri: &Uri<'_>) -> Result<Vec<End>, String> {
    let ((names, ports), addresses) = (uri.places(), uri.listed("hostaddr").unwrap_or_default());
    let mut ends = Vec::new();
    for index in 0..names.len().max(addresses.len()) {
        let given = |list: &[String]| list.get(index).filter(|text| !text.is_empty()).cloned();
        let address = given(&addresses).or_else(|| given(&names)).unwrap_or_default();
        if address.is_empty() || address.starts_with(['/', '@']) {
            return Err(
                "the database URL asks for TLS, so it has to name a host: a socket on this machine needs no TLS, \
                        and without a host it would be one"
                    .into(),
            );
        }
        let port = match ports.as_slice() {
            [one] => Some(one.clone()).filter(|text| !text.is_empty()),
            _ => given(&ports),
        };
        let port = port.map_or(Ok(5432), |text| text.parse().map_err(|_| format!("{text:?} is no port")))?;
        ends.push(End { name: given(&names).unwrap_or_else(|| address.clone()), address, port });
    }
    Ok(ends)
}

fn network(uri: &Uri<'_>) -> Result<Network, String> {
    let number = |name: &str| match uri.said(name) {
        None => Ok(None),
        Some(text) => match text.parse::<i32>() {
            Ok(number) => Ok(u32::try_from(number).ok().filter(|number| *number > 0)),
            Err(_) => Err(format!("{name}={text} in the database URL is no whole number")),
        },
    };
    let seconds = |name| Ok::<_, String>(number(name)?.map(|count| Duration::from_secs(count.into())));
    Ok(Network {
        connect: seconds("connect_timeout")?,
        keepalive: uri.said("keepalives").is_none_or(|value| value != "0"),
        idle: seconds("keepalives_idle")?,
        interval: seconds("keepalives_interval")?,
        count: number("keepalives_count")?,
        unacknowledged: number("tcp_user_timeout")?.map(|count| Duration::from_millis(count.into())),
    })
}

/// The host on another machine that a URL speaks to in the clear without having
/// said that it means to.
pub fn unencrypted(url: &str) -> Option<String> {
    let uri = Uri::read(url);
    if uri.mode().is_some_and(|mode| mode == "disable" || mode == "require" || mode.starts_with("verify"))
        || uri.said("sslrootcert").is_some()
    {
        return None;
    }
    uri.listed("hostaddr").unwrap_or_else(|| uri.places().0).into_iter().find(|host| !is_here(host))
}

fn is_here(host: &str) -> bool {
    host.is_empty()
        || host.starts_with(['/', '@'])
        || host == "localhost"
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::{End, Tunnel, unencrypted};

    fn end(name: &str, address: &str, port: u16) -> End {
        End { name: name.into(), address: address.into(), port }
    }

    #[test]
    fn a_url_that_asks_for_tls_is_taken_apart() {
        let url = "postgres://user:p%40ss@a,[::1]:5433,c/records?ssl%6Dode=require&application_name=x&ho%73t=&\
                   connect_timeout=3";
        let tunnel = Tunnel::asked_for(url).unwrap().unwrap();
        assert_eq!(tunnel.ends, [end("a", "a", 5432), end("::1", "::1", 5433), end("c", "c", 5432)]);
        assert_eq!(tunnel.rest, "postgres://user:p%40ss@/records?application_name=x&connect_timeout=3&");

        let url = "postgresql:///?host=a,b&hostaddr=10.0.0.1,&port=6000&ssl=true&user=u";
        let tunnel = Tunnel::asked_for(url).unwrap().unwrap();
        assert_eq!(tunnel.ends, [end("a", "10.0.0.1", 6000), end("b", "b", 6000)]);
        assert_eq!(tunnel.rest, "postgresql:///?user=u&");
    }

    #[test]
    fn what_a_url_cannot_have_is_refused() {
        for (parameters, wanted) in [
            ("sslmode=verify-full", "needs sslrootcert=FILE"),
            ("sslmode=verify-ca&sslrootcert=system", "say sslmode=verify-full"),
            ("sslmode=prefer&sslrootcert=a", "say sslmode=verify-full"),
            ("sslmode=requre", "none of disable, allow, prefer, require"),
            ("sslmode=require&sslcrl=a", "sslcrl in the database URL is not known"),
            ("sslmode=require&sslcert=a", "both of sslcert and sslkey"),
            ("sslmode=require&channel_binding=require", "channel_binding=require"),
            ("sslmode=require&host=/run/postgresql", "has to name a host"),
            ("sslmode=require&port=a", "\"a\" is no port"),
            ("sslmode=require&connect_timeout=soon", "connect_timeout=soon"),
        ] {
            let complaint = Tunnel::asked_for(&format!("postgres://h/d?{parameters}")).unwrap_err();
            assert!(complaint.contains(wanted), "{parameters}: {complaint}");
        }
        for parameters in ["", "sslmode=disable", "sslmode=allow", "sslmode=prefer", "ssl=false"] {
            assert!(Tunnel::asked_for(&format!("postgres://h/d?{parameters}")).unwrap().is_none(), "{parameters}");
        }
    }

    #[test]
    fn a_host_elsewhere_is_spoken_to_in_the_clear_only_when_that_is_said() {
        for (url, wanted) in [
            ("postgres://db.example.com/d", Some("db.example.com")),
            ("postgres://u:p@localhost,10.0.0.1/d?sslmode=prefer", Some("10.0.0.1")),
            ("postgres://localhost/d?hostaddr=10.0.0.1", Some("10.0.0.1")),
            ("postgres://db.example.com/d?sslmode=disable", None),
            ("postgres://db.example.com/d?sslmode=require", None),
            ("postgres://db.example.com/d?sslrootcert=system", None),
            ("postgres://u@localhost:5433/d", None),
            ("postgres://[::1]/d", None),
            ("postgres://%2Frun%2Fpostgresql/d", None),
            ("postgres:///d", None),
        ] {
            assert_eq!(unencrypted(url).as_deref(), wanted, "{url}");
        }
    }
}
