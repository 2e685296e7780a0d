//! What stands between the page and those who should not use it: the host's check, the headers that
//! bind the browser, and the refusal of what other sites make a browser send.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName, HeaderValue, ORIGIN,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode};

use super::routes::Refusal;

/// Everything from here, nothing inline, and nothing else at all: should a name ever become markup after
/// all, the browser runs none of it and sends nothing anywhere. Browsers that know trusted types refuse to
/// make markup of text in the first place.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// What the page sends with whatever changes something. Its value does not matter.
pub(super) const MARK: HeaderName = HeaderName::from_static("x-cache-dashboard");

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Adds what every answer carries.
pub(super) fn bind(headers: &mut HeaderMap) {
    let fixed = [
        (CONTENT_SECURITY_POLICY, POLICY),
        // A value that is text stays text.
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // For browsers that don't know frame-ancestors: nobody lays the page under a page of theirs and
        // has people click through it.
        (X_FRAME_OPTIONS, "DENY"),
        // A key in the address tells nobody.
        (REFERRER_POLICY, "no-referrer"),
        // Figures are of now; and what was let through for one person is not kept for the next.
        (CACHE_CONTROL, "no-store"),
        // No other site embeds an answer as a script or a picture, or holds on to the page's window.
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Refuses a request that another site made a browser send.
///
/// What reads is refused only where the browser says so itself: its answer could not be read from there
/// anyway, but how long it took could. What changes something has to come from the page:
///
/// - `Sec-Fetch-Site`, which no script can set, says where the request comes from. Browsers send it over
///   TLS and to this machine.
/// - Where it is missing, `Origin`, which no script can set either, must name the host that was asked.
///   This stops a form or a `fetch` of another site, for which the browser adds the visitor's cookies.
/// - A header of the page's own and a media type that no form can send: a browser asks before it sends
///   these across origins (a preflight), and nothing here ever says yes. This stops what comes from a
///   browser or a proxy that leaves both of the others out.
///
/// None of it stops DNS rebinding, where a foreign name is made to point here: to the browser that is one
/// site. The host's authentication does, since cookies are bound to the name; and so does a check of the
/// `Host` header in [`access`](super::Dashboard::access).
pub(super) fn same_site(parts: &Parts) -> Result<(), Refusal> {
    let site = text(&parts.headers, &SITE);
    if parts.method != Method::POST {
        return match site {
            Some("cross-site" | "same-site") => Err(cross_site()),
            _ => Ok(()),
        };
    }
    match site {
        Some("same-origin") => {}
        Some(_) => return Err(cross_site()),
        None => {
            let origin = text(&parts.headers, &ORIGIN).and_then(host_of);
            let host = text(&parts.headers, &HOST)
                .or_else(|| parts.uri.authority().map(Authority::as_str));
            let same = matches!((origin, host), (Some(origin), Some(host)) if origin.eq_ignore_ascii_case(host));
            if !same {
                return Err(cross_site());
            }
        }
    }
    let json = text(&parts.headers, &CONTENT_TYPE)
        .and_then(|media| media.split(';').next())
        .is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"));
    if !json {
        return Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the content type must be application/json",
        ));
    }
    if !parts.headers.contains_key(MARK) {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "the header x-cache-dashboard is missing: send it with any value, as the page does",
        ));
    }
    Ok(())
}

fn cross_site() -> Refusal {
    Refusal::new(
        StatusCode::FORBIDDEN,
        "this was sent by another site, or by a browser that does not say which: use the page itself \
         (a program sends the header origin with the scheme and the host it asks)",
    )
}

/// The host and port of an origin such as `https://example.org:8443`.
fn host_of(origin: &str) -> Option<&str> {
    let (scheme, host) = origin.split_once("://")?;
    matches!(scheme, "http" | "https").then_some(host)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
