//! The page's files, as they are in the repository, and where a browser finds them.

use std::fmt::Write as _;

const PAGE: &str = include_str!("assets/index.html");
/// What the page loads, by name.
pub(super) const ASSETS: [(&str, &str, &str); 7] = [
    (
        "/icon.svg",
        "image/svg+xml",
        include_str!("assets/icon.svg"),
    ),
    ("/page.css", "text/css", include_str!("assets/page.css")),
    ("/theme.js", JAVASCRIPT, include_str!("assets/theme.js")),
    ("/page.js", JAVASCRIPT, include_str!("assets/page.js")),
    ("/dom.js", JAVASCRIPT, include_str!("assets/dom.js")),
    ("/charts.js", JAVASCRIPT, include_str!("assets/charts.js")),
    ("/lookup.js", JAVASCRIPT, include_str!("assets/lookup.js")),
];
const JAVASCRIPT: &str = "text/javascript";

/// The page itself, for a browser that has asked for this path.
pub(super) fn page(asked: &str) -> String {
    PAGE.replace("{here}", &here(asked))
}

/// The path of the page's own files, relative to the page: a browser that asked for `/cache` looks for
/// them in `/`, and one that asked for `/cache/` in `/cache/`.
fn here(asked: &str) -> String {
    let mut here = "./".to_owned();
    let last = asked.rsplit('/').next().unwrap_or_default();
    for byte in last.bytes() {
        // What may stand in an attribute stands as it is; `%` too, since the path is escaped already.
        if byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte) {
            here.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(here, "%{byte:02X}");
        }
    }
    if !last.is_empty() {
        here.push('/');
    }
    here
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_files_are_beside_it_wherever_it_is() {
        for (asked, beside) in [
            ("/", "./"),
            ("", "./"),
            ("/cache", "./cache/"),
            ("/cache/", "./"),
            ("/admin/of%20all/the:cache", "./the%3Acache/"),
            ("/a/\"><script>", "./%22%3E%3Cscript%3E/"),
        ] {
            assert_eq!(here(asked), beside, "{asked}");
        }
    }
}
