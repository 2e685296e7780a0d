//! The page with the cache's live figures, for whoever sits at this machine.

use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Version;
use axum::http::header::{HOST, HeaderName};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use cache_core::Cache;
use cache_core::dashboard::Dashboard;

/// Where it is mounted.
pub(super) const PATH: &str = "/cache";

/// The page; with `writes`, what is cached can be invalidated from it.
pub(super) fn router(cache: Cache, writes: bool) -> Router {
    Dashboard::new(cache)
        .invalidation(writes)
        .access(is_of_this_machine)
        .router()
}

/// There are no users here who could be asked who they are. So the connection has to come from this
/// machine; and it has to be meant for it, or a web site that has its own name point here could read along
/// in the browser of whoever visits it.
///
/// A proxy on this machine comes from here and means it, for whoever has asked it. One that says that it is
/// one is refused. One that says nothing of itself can't be told apart: put no such proxy before this, or
/// leave `--dashboard` out.
fn is_of_this_machine(request: &Parts) -> bool {
    let peer = request.extensions.get::<ConnectInfo<SocketAddr>>();
    let host = request.headers.get(HOST);
    let host = host.and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    peer.is_some_and(|peer| peer.0.ip().to_canonical().is_loopback())
        && host.is_some_and(|host| is_loopback(host.host()))
        && !is_passed_on(request)
}

/// Whether a proxy lets itself be seen: by a header, or by a version of HTTP that no browser speaks any more,
/// which is all that shows of many an nginx that is told nothing but where to pass requests on to.
fn is_passed_on(request: &Parts) -> bool {
    let says_so = |name: &HeaderName| {
        let name = name.as_str();
        matches!(name, "forwarded" | "via" | "x-real-ip") || name.starts_with("x-forwarded-")
    };
    request.version < Version::HTTP_11 || request.headers.keys().any(says_so)
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    #[test]
    fn only_who_sits_at_this_machine_and_means_it_is_let_in() {
        for (peer, host, wanted) in [
            ("127.0.0.1:50000", "127.0.0.1:3000", true),
            ("127.0.0.1:50000", "localhost", true),
            ("[::1]:50000", "[::1]:3000", true),
            ("[::ffff:127.0.0.1]:50000", "LOCALHOST:3000", true),
            ("127.0.0.1:50000", "rebound.example:3000", false),
            ("127.0.0.1:50000", "localhost.rebound.example", false),
            ("127.0.0.1:50000", "127.0.0.1.rebound.example", false),
            ("127.0.0.1:50000", "", false),
            ("192.0.2.7:50000", "localhost:3000", false),
        ] {
            let peer: SocketAddr = peer.parse().expect("an address");
            let request = Request::builder()
                .header(HOST, host)
                .extension(ConnectInfo(peer))
                .body(())
                .expect("a request");
            let (request, ()) = request.into_parts();
            assert_eq!(is_of_this_machine(&request), wanted, "{peer} {host}");
        }
        let (unknown, ()) = Request::new(()).into_parts();
        assert!(!is_of_this_machine(&unknown));
    }

    #[test]
    fn what_a_proxy_passes_on_is_refused() {
        let asked = |version, header: &'static str| {
            let peer: SocketAddr = "127.0.0.1:50000".parse().expect("an address");
            let request = Request::builder()
                .version(version)
                .header(HOST, "127.0.0.1:3000")
                .header(header, "192.0.2.7")
                .extension(ConnectInfo(peer))
                .body(())
                .expect("a request");
            is_of_this_machine(&request.into_parts().0)
        };
        for header in ["accept", "x-forwarding", "viable"] {
            assert!(asked(Version::HTTP_11, header), "{header}");
        }
        for header in [
            "Forwarded",
            "X-Forwarded-For",
            "X-Forwarded-Host",
            "X-Forwarded-Proto",
            "X-Real-IP",
            "Via",
        ] {
            assert!(!asked(Version::HTTP_11, header), "{header}");
        }
        // As nginx long did unless it was told otherwise.
        assert!(!asked(Version::HTTP_10, "connection"));
    }
}
