//! The service sends traces to a collector of OpenTelemetry: a request, the cached calls below it with what
//! came of them, and the loads below those.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use cache_tests::server::{RedisServer, free_port};
use cache_tests::service::{Service, database, program};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use prost::Message as _;

const BINARY: &str = env!("CARGO_BIN_EXE_tested-shifts");

/// A collector that keeps the spans it is sent.
struct Collector {
    url: String,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let spans = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&spans);
        // It ends with the test's process.
        thread::spawn(move || {
            for connection in listener.incoming() {
                let kept = Arc::clone(&kept);
                thread::spawn(move || take(&connection.expect("a connection"), &kept));
            }
        });
        Self {
            url: format!("http://{address}"),
            spans,
        }
    }

    /// The spans of a service that has ended.
    fn spans(&self) -> Vec<Span> {
        std::mem::take(&mut self.spans.lock().expect("nobody panics with it"))
    }
}

/// Reads requests, one after the other, until the connection ends.
fn take(connection: &TcpStream, kept: &Mutex<Vec<Span>>) {
    let mut reader = BufReader::new(connection);
    loop {
        let mut length = 0;
        let mut head = String::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().expect("a length");
            }
            head.push_str(&line);
            if line.trim().is_empty() {
                break;
            }
        }
        assert!(head.starts_with("POST /v1/traces HTTP/1.1"), "{head}");
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("as long as it said");
        let sent = ExportTraceServiceRequest::decode(&*body).expect("OTLP in protobuf");
        let spans = sent
            .resource_spans
            .into_iter()
            .flat_map(|resource| resource.scope_spans)
            .flat_map(|scope| scope.spans);
        kept.lock().expect("nobody panics with it").extend(spans);
        let answer =
            "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        let mut writer = connection;
        writer
            .write_all(answer.as_bytes())
            .expect("it waits for it");
    }
}

/// Attributes as text, by name.
fn attributes(of: &[KeyValue]) -> BTreeMap<&str, String> {
    of.iter()
        .map(|pair| {
            let value = pair.value.as_ref().and_then(|value| value.value.as_ref());
            let text = match value {
                Some(Value::StringValue(text)) => text.clone(),
                Some(Value::IntValue(number)) => number.to_string(),
                other => format!("{other:?}"),
            };
            (&*pair.key, text)
        })
        .collect()
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

fn below<'a>(spans: &'a [Span], parent: &Span) -> Vec<&'a Span> {
    spans
        .iter()
        .filter(|span| span.parent_span_id == parent.span_id)
        .collect()
}

/// Starts a service that traces, has it asked, and ends it, by which it has sent all spans.
fn traced(collector: &Collector, redis: &RedisServer, ask: impl FnOnce(&Service)) -> Vec<Span> {
    let (_directory, db) = database();
    let arguments = ["--warm", "0", "--otlp", &collector.url];
    let mut service = Service::start(BINARY, &db, Some(&redis.url()), &arguments);
    ask(&service);
    service.signal("-TERM");
    assert!(service.wait().success(), "{}", service.log());
    collector.spans()
}

#[test]
fn a_request_its_cached_call_and_the_load_are_one_trace() {
    let (collector, redis) = (Collector::start(), RedisServer::start());
    let spans = traced(&collector, &redis, |service| {
        for path in [
            "/employees/7",
            "/employees/7",
            "/metrics",
            "/health",
            "/nowhere",
        ] {
            service.get(path);
        }
    });

    let requests = named(&spans, "GET /employees/{id}");
    assert_eq!(requests.len(), 2, "{spans:#?}");
    for request in &requests {
        assert_eq!(request.kind(), SpanKind::Server);
        let told = attributes(&request.attributes);
        let wanted = [
            ("http.request.method", "GET"),
            ("http.route", "/employees/{id}"),
            ("http.response.status_code", "200"),
        ];
        for (name, value) in wanted {
            assert_eq!(told.get(name).map(String::as_str), Some(value), "{told:?}");
        }
    }
    let is_parent = |request: &&&Span| !below(&spans, request).is_empty();
    let (misses, hits): (Vec<&&Span>, Vec<&&Span>) = requests.iter().partition(is_parent);
    let ([missed], [hit]) = (&*misses, &*hits) else {
        panic!("the first one missed, and the second one hit: {spans:#?}");
    };

    // The first one asked both tiers, and ran the function.
    let calls = below(&spans, missed);
    let [call] = &*calls else {
        panic!("{calls:#?}");
    };
    let told = attributes(&call.attributes);
    assert_eq!(
        (&*call.name, &*told["kind"], &*told["outcome"]),
        ("cached", "user_profile", "miss"),
        "{told:?}"
    );
    assert!(!told["function"].is_empty());
    let loads = below(&spans, call);
    let [load] = &*loads else {
        panic!("{loads:#?}");
    };
    let told = attributes(&load.attributes);
    assert_eq!(
        (&*load.name, &*told["kind"], &*told["outcome"]),
        ("load", "user_profile", "ok")
    );
    assert_eq!(load.trace_id, missed.trace_id);

    // The second one was answered by the local tier: an event is all there is.
    let [event] = &*hit.events else {
        panic!("{hit:#?}");
    };
    let told = attributes(&event.attributes);
    let told = ["kind", "outcome", "tier"].map(|name| &*told[name]);
    assert_eq!(
        (&*event.name, told),
        ("cached", ["user_profile", "hit", "local"])
    );

    // What machines ask again and again is not traced; what is not there has no name of its own.
    let others: Vec<&str> = spans
        .iter()
        .filter(|span| span.kind() == SpanKind::Server)
        .map(|span| &*span.name)
        .filter(|name| *name != "GET /employees/{id}")
        .collect();
    assert_eq!(others, ["GET ?"]);
    // Nothing names what was looked up.
    let all = format!("{spans:?}");
    assert!(!all.contains("employees/7"), "{all}");
}

#[test]
fn a_value_of_the_shared_tier_is_told_from_one_that_was_loaded() {
    let (collector, redis) = (Collector::start(), RedisServer::start());
    let ask = |service: &Service| assert_eq!(service.get("/settings/currency").status, 200);
    traced(&collector, &redis, ask);
    let spans = traced(&collector, &redis, ask);
    let calls = named(&spans, "cached");
    let [call] = &*calls else {
        panic!("{spans:#?}");
    };
    let told = attributes(&call.attributes);
    let told = ["kind", "outcome", "tier"].map(|name| &*told[name]);
    assert_eq!(told, ["settings", "hit", "shared"]);
    assert!(named(&spans, "load").is_empty(), "{spans:#?}");
}

#[test]
fn a_write_and_a_trace_that_a_caller_has_begun_go_on() {
    let (collector, redis) = (Collector::start(), RedisServer::start());
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let spans = traced(&collector, &redis, |service| {
        let url = format!("http://{}/settings/currency", service.address());
        let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
        let answer = agent
            .put(url)
            .header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"))
            .header("content-type", "application/json")
            .send(r#"{"value":"EUR"}"#);
        assert_eq!(answer.expect("an answer").status(), 200);
    });
    let requests = named(&spans, "PUT /settings/{key}");
    let [request] = &*requests else {
        panic!("{spans:#?}");
    };
    let trace_id = request.trace_id.iter();
    let hex = trace_id.fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    assert_eq!(hex, trace);
    // The write runs in a task of its own, and yet belongs to it.
    let invalidated = request
        .events
        .iter()
        .find(|event| event.name == "invalidated");
    let told = attributes(&invalidated.expect("an event").attributes);
    assert_eq!(told["outcome"], "applied");
}

#[test]
fn without_a_collector_the_service_works_and_ends_as_ever() {
    let (_directory, db) = database();
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let arguments = ["--warm", "0", "--otlp", &nobody];
    let mut service = Service::start(BINARY, &db, None, &arguments);
    assert_eq!(service.get("/employees/7").status, 200);
    service.signal("-TERM");
    assert!(service.wait().success(), "{}", service.log());
}

#[test]
fn a_collector_that_would_want_tls_is_refused_without_showing_its_url() {
    for (option, name) in [(true, "--otlp"), (false, "OTEL_EXPORTER_OTLP_ENDPOINT")] {
        let url = "https://me:secret@collector.example";
        let mut command = program(BINARY, None);
        if option {
            command.args(["--otlp", url]);
        } else {
            command.env(name, url);
        }
        let output = command.output().expect("it can be started");
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(name) && said.contains("http://"), "{said}");
        assert!(!said.contains("secret"), "{said}");
    }
}
