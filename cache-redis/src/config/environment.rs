//! Which variables say where Redis is, in which order.

use cache_core::{Error, ErrorKind, Result};

use super::address::{self, Address};
use super::hygiene;

const URLS: [&str; 2] = ["UPSTASH_REDIS_URL", "REDIS_URL"];
const HOST: &str = "REDIS_HOST";
const PORT: &str = "REDIS_PORT";
const USERNAME: &str = "REDIS_USERNAME";
const PASSWORD: &str = "REDIS_PASSWORD";
const DATABASE: &str = "REDIS_DB";

/// The address, and the variable it came from.
pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Result<(Address, &'static str)> {
    let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    for name in URLS {
        if let Some(url) = set(name) {
            let address = address::parse(&url).map_err(|error| wrong(name, &error.to_string()))?;
            return Ok((address, name));
        }
    }
    let parts = [HOST, PORT, USERNAME, PASSWORD, DATABASE];
    let Some(first) = parts.into_iter().find(|name| set(name).is_some()) else {
        return Ok((Address::local(), "default"));
    };

    let host = match set(HOST) {
        Some(host) => check_host(&host)?,
        None => "127.0.0.1".to_owned(),
    };
    let port = match set(PORT) {
        Some(port) => read_port(&port)?,
        None => 6379,
    };
    hygiene::demand_tls(&host, port).map_err(|_| {
        wrong(
            HOST,
            &format!("{host} demands TLS: set REDIS_URL to rediss://user:password@{host}:{port}"),
        )
    })?;
    let mut address = Address::tcp(&host, port);
    address.username = set(USERNAME)
        .map(|text| one_line(USERNAME, text))
        .transpose()?;
    address.password = set(PASSWORD)
        .map(|text| one_line(PASSWORD, text))
        .transpose()?;
    if let Some(database) = set(DATABASE) {
        address.database = address::database(&database)
            .map_err(|_| wrong(DATABASE, "the database is not a number: write 0 to 15"))?;
    }
    Ok((address, first))
}

fn wrong(name: &str, what: &str) -> Error {
    Error::new(ErrorKind::Config, format!("{name}: {what}"))
}

fn check_host(host: &str) -> Result<String> {
    if host.contains("://") || host.contains('@') {
        return Err(wrong(
            HOST,
            "holds a URL: set REDIS_URL to it instead, or write only the host's name",
        ));
    }
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    if host.matches(':').count() == 1 {
        return Err(wrong(HOST, "holds a port too: write it into REDIS_PORT"));
    }
    if host.contains(|c: char| c.is_whitespace() || "\"'`/?#\\".contains(c)) {
        return Err(wrong(
            HOST,
            "contains a quote, a space or a slash: write only the host's name",
        ));
    }
    Ok(host.to_owned())
}

fn read_port(port: &str) -> Result<u16> {
    if port.starts_with("tcp://") {
        return Err(wrong(
            PORT,
            "holds an address that Kubernetes made up for a service named redis: set REDIS_URL, or \
             enableServiceLinks: false in the pod",
        ));
    }
    port.parse()
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| wrong(PORT, "the port is not a number from 1 to 65535: write 6379"))
}

/// Secrets are often read from files, with the line break at their end.
fn one_line(name: &str, text: String) -> Result<String> {
    if text.contains(['\n', '\r']) {
        return Err(wrong(name, "contains a line break: remove it"));
    }
    Ok(text)
}
