use cache_core::ErrorKind;

use super::*;

const SECRET: &str = "Tr0ub4dorX";

fn refused(url: &str) -> String {
    let error = RedisConfig::new(url).expect_err(url);
    assert_eq!(error.kind(), ErrorKind::Config, "{url}");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(SECRET), "{shown}");
    error.to_string()
}

fn accepted(url: &str) {
    assert!(RedisConfig::new(url).is_ok(), "{url}");
}

fn read(pairs: &[(&str, &str)]) -> Result<RedisConfig> {
    RedisConfig::from_vars(|name| {
        pairs
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn urls_are_understood() {
    let cases = [
        ("redis://cache.internal", "redis://cache.internal:6379/0"),
        (
            "redis://cache.internal:6380/",
            "redis://cache.internal:6380/0",
        ),
        ("REDIS://127.0.0.1:6380/15", "redis://127.0.0.1:6380/15"),
        ("rediss://h:1", "rediss://h:1/0"),
        ("valkeys://h/2?protocol=resp3", "rediss://h:6379/2"),
        ("redis://[::1]:7000/3", "redis://[::1]:7000/3"),
        ("redis://:Tr0ub4dorX@h", "redis://:***@h:6379/0"),
        ("redis://app:Tr0ub4dorX@h/1", "redis://app:***@h:6379/1"),
        ("redis://app@h", "redis://app@h:6379/0"),
        (
            "redis://default:Tr0ub4dorX:with:colons@h",
            "redis://default:***@h:6379/0",
        ),
        ("unix:///run/redis.sock?db=2", "unix:///run/redis.sock?db=2"),
        (
            "redis+unix:///run/redis.sock?user=u&pass=Tr0ub4dorX",
            "unix:///run/redis.sock?db=0&user=u&pass=***",
        ),
    ];
    for (url, described) in cases {
        let config = RedisConfig::new(url).expect(url);
        assert_eq!(config.describe(), described, "{url}");
        assert_eq!(config.source(), "url");
    }
}

#[test]
fn credentials_are_decoded() {
    let config = RedisConfig::new("redis://a%40b:p%2Fw%23%25%3A@h").unwrap();
    assert_eq!(config.address.username.as_deref(), Some("a@b"));
    assert_eq!(config.address.password.as_deref(), Some("p/w#%:"));
    let config = config.username("c/d").password("e%20f");
    assert_eq!(config.address.username.as_deref(), Some("c/d"));
    assert_eq!(config.address.password.as_deref(), Some("e%20f"));
}

#[test]
fn what_is_pasted_wrongly_is_told_without_the_password() {
    let cases = [
        ("", "is empty"),
        (" \n", "is empty"),
        ("\"redis://:Tr0ub4dorX@h\"", "in quotes"),
        ("'redis://:Tr0ub4dorX@h'", "in quotes"),
        ("redis://:Tr0ub4dorX@h'", "in quotes"),
        ("“redis://:Tr0ub4dorX@h”", "in quotes"),
        ("REDIS_URL=redis://:Tr0ub4dorX@h", "variable's name"),
        ("export REDIS_URL=redis://:Tr0ub4dorX@h", "variable's name"),
        ("$env:REDIS_URL = redis://:Tr0ub4dorX@h", "variable's name"),
        ("redis-cli -u redis://:Tr0ub4dorX@h", "follows -u"),
        (" redis://:Tr0ub4dorX@h", "space or a line break"),
        ("redis://:Tr0ub4dorX@h\n", "space or a line break"),
        ("redis://:Tr0ub4dorX @h", "%20"),
        ("redis://:Tr0ub4dorX@h\r\n", "space or a line break"),
        ("cache.internal:6379", "no scheme"),
        ("Tr0ub4dorX@cache.internal:6379", "no scheme"),
        ("https://eu1-Tr0ub4dorX.upstash.io", "REST"),
        ("postgres://:Tr0ub4dorX@h", "unknown scheme"),
        ("redis+tls://:Tr0ub4dorX@h", "rediss://"),
        ("redis://", "names no host"),
        ("redis://:Tr0ub4dorX@", "names no host"),
        ("redis:///0", "names no host"),
        ("redis://:Tr0ub4dorX@h:port", "bad port"),
        ("redis://:Tr0ub4dorX@h:65536", "bad port"),
        ("redis://:Tr0ub4dorX@h:0", "port 0"),
        ("redis://user:Tr0ub4dorX", "bad port"),
        ("redis://:Tr0ub4dorX@h/zero", "not a number"),
        ("redis://:Tr0ub4dorX@h/-1", "not a number"),
        ("redis://:Tr0ub4dorX@h/0/1", "not a number"),
        ("redis://:Tr0ub4dorX/more@h", "percent-encode"),
        ("redis://:Tr0ub4dorX#more@h", "percent-encode"),
        ("redis://:Tr0ub4dorX?more@h", "percent-encode"),
        ("redis://:more@Tr0ub4dorX@h", "percent-encode"),
        ("redis://:Tr0ub4dorX%@h", "percent-encode"),
        ("redis://:Tr0ub4dorX%2@h", "percent-encode"),
        ("redis://:Tr0ub4dorX%ff@h", "UTF-8"),
        ("redis://h?password=Tr0ub4dorX", "options after ?"),
        ("redis://h?ssl_cert_reqs=none", "options after ?"),
        ("rediss://h#insecure", "always verified"),
        ("unix://run/redis.sock", "three slashes"),
        ("unix:///run/redis.sock?pass=Tr0ub4dorX#7", "is written %23"),
        (
            "unix:///run/redis.sock?password=Tr0ub4dorX",
            "unknown option",
        ),
    ];
    for (url, part) in cases {
        let text = refused(url);
        assert!(text.contains(part), "{url}: {text}");
    }
}

#[test]
fn hosts_that_demand_tls_are_not_spoken_to_in_the_clear() {
    let demanding = [
        "redis://:Tr0ub4dorX@eu1-fond-1.upstash.io:6379",
        "redis://:Tr0ub4dorX@x.db.ondigitalocean.com:25061",
        "redis://c-abc.serverless.euw1.cache.amazonaws.com:6379",
        "redis://:Tr0ub4dorX@mine.redis.cache.windows.net:6380",
    ];
    for url in demanding {
        assert!(refused(url).contains("rediss:// (with two s)"), "{url}");
        accepted(&url.replacen("redis", "rediss", 1));
    }
    // It may be switched on; and this one is not serverless.
    accepted("redis://mine.redis.cache.windows.net:6379");
    accepted("redis://c.abc.euw1.cache.amazonaws.com");
}

#[test]
fn the_environment_is_read_in_order() {
    let everything = [
        ("REDIS_HOST", "parts"),
        ("REDIS_URL", "redis://plain"),
        ("UPSTASH_REDIS_URL", "rediss://:x@one.upstash.io:6379"),
    ];
    let config = read(&everything).unwrap();
    assert_eq!(config.source(), "UPSTASH_REDIS_URL");
    assert_eq!(config.describe(), "rediss://:***@one.upstash.io:6379/0");
    let config = read(&everything[..2]).unwrap();
    assert_eq!(
        (config.source(), &*config.describe()),
        ("REDIS_URL", "redis://plain:6379/0")
    );
    let config = read(&everything[..1]).unwrap();
    assert_eq!(
        (config.source(), &*config.describe()),
        ("REDIS_HOST", "redis://parts:6379/0")
    );
    let config = read(&[]).unwrap();
    assert_eq!(
        (config.source(), &*config.describe()),
        ("default", "redis://127.0.0.1:6379/0")
    );
}

#[test]
fn empty_variables_are_unset() {
    let config = read(&[
        ("UPSTASH_REDIS_URL", ""),
        ("REDIS_URL", "  "),
        ("REDIS_HOST", ""),
        ("REDIS_PORT", "7001"),
        ("REDIS_PASSWORD", ""),
    ])
    .unwrap();
    assert_eq!(config.source(), "REDIS_PORT");
    assert_eq!(config.describe(), "redis://127.0.0.1:7001/0");
}

#[test]
fn parts_are_put_together() {
    let config = read(&[
        ("REDIS_HOST", "::1"),
        ("REDIS_PORT", "7002"),
        ("REDIS_USERNAME", "app"),
        ("REDIS_PASSWORD", "Tr0ub4dorX/#%@"),
        ("REDIS_DB", "4"),
    ])
    .unwrap();
    assert_eq!(config.describe(), "redis://app:***@[::1]:7002/4");
    assert_eq!(config.address.password.as_deref(), Some("Tr0ub4dorX/#%@"));
    assert!(!format!("{config:?}").contains(SECRET));
}

#[test]
fn wrong_parts_are_named() {
    let cases = [
        ("REDIS_URL", "'redis://:Tr0ub4dorX@h'", "quotes"),
        ("UPSTASH_REDIS_URL", "https://:Tr0ub4dorX@h", "REST"),
        ("REDIS_HOST", "redis://:Tr0ub4dorX@h", "REDIS_URL"),
        ("REDIS_HOST", "h:6379", "REDIS_PORT"),
        ("REDIS_HOST", "\"h\"", "quote"),
        ("REDIS_HOST", "x.upstash.io", "rediss://"),
        ("REDIS_PORT", "tcp://10.0.0.1:6379", "Kubernetes"),
        ("REDIS_PORT", "0", "6379"),
        ("REDIS_PORT", "six", "6379"),
        ("REDIS_DB", "zero", "number"),
        ("REDIS_PASSWORD", "Tr0ub4dorX\n", "line break"),
        ("REDIS_USERNAME", "app\r\n", "line break"),
    ];
    for (name, value, part) in cases {
        let error = read(&[(name, value)]).expect_err(value);
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(
            text.starts_with(&format!("{name}: ")) && text.contains(part),
            "{text}"
        );
        assert!(!format!("{error:?}").contains(SECRET), "{text}");
    }
}

#[test]
#[cfg(feature = "tls")]
fn certificates_are_read_when_it_is_built() {
    let config = || RedisConfig::new("rediss://:Tr0ub4dorX@h").unwrap();
    let refused = |config: RedisConfig, part: &str| {
        let error = config.build().expect_err(part);
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(part), "{error}");
        assert!(!format!("{error:?}").contains(SECRET), "{error:?}");
    };
    refused(
        config().ca_certificate("no PEM"),
        "-----BEGIN CERTIFICATE-----",
    );
    refused(
        config().ca_certificate_file("/nowhere/ca.pem"),
        "/nowhere/ca.pem",
    );
    refused(
        config()
            .roots(Roots::Webpki)
            .client_certificate("no PEM", SECRET),
        "client_certificate",
    );
    refused(
        RedisConfig::new("redis://h").unwrap().ca_certificate("x"),
        "rediss:// (with two s)",
    );
    let store = config().roots(Roots::Webpki).build().unwrap();
    let shown = format!("{store:?} {:?}", config());
    assert!(
        shown.contains("rediss://:***@h:6379/0") && !shown.contains(SECRET),
        "{shown}"
    );
}

#[test]
fn what_is_described_can_be_read_again() {
    for (url, described) in [
        ("redis://a%40b:p@h", "redis://a%40b:***@h:6379/0"),
        ("redis://a%2Fb@h", "redis://a%2Fb@h:6379/0"),
        ("unix:///a%20b%3Fc", "unix:///a%20b%3Fc?db=0"),
        (
            "unix:///run/redis.sock?user=a%26b",
            "unix:///run/redis.sock?db=0&user=a%26b",
        ),
    ] {
        assert_eq!(RedisConfig::new(url).unwrap().describe(), described);
        assert_eq!(RedisConfig::new(described).unwrap().describe(), described);
    }
}

#[test]
fn replicas_are_waited_for_in_reason() {
    let config = |count, timeout| {
        let config = RedisConfig::new("redis://h").unwrap();
        config.replicas(count, Duration::from_millis(timeout))
    };
    assert!(config(1, 1).endpoint().is_ok());
    assert!(config(2, 999).endpoint().is_ok());
    let cases = [
        (0, 100, "asks for none"),
        (1, 0, "at least 1 ms"),
        (1, 1000, "less than 1s"),
        (1, 5000, "less than 1s"),
    ];
    for (count, timeout, what) in cases {
        let Err(error) = config(count, timeout).endpoint() else {
            panic!("{count} {timeout}");
        };
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(what), "{error}");
    }
}
