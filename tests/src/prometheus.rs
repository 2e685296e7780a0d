//! A real Prometheus of one test's own: on a free port of the loopback, with a directory of its own, killed
//! on drop, its log in the panic; and promtool.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use ureq::Agent;

use crate::server::free_port;
use crate::service::{Service, until};

/// How long it may take to come up.
const DEADLINE: Duration = Duration::from_secs(20);

/// What its configuration is called.
const CONFIG: &str = "prometheus.yml";

/// A running server.
pub struct Prometheus {
    child: Child,
    url: String,
    client: Agent,
    /// Shared with attempts that found no free port.
    directory: Arc<TempDir>,
}

/// A figure with its labels.
#[derive(Clone, Debug)]
pub struct Series {
    /// The labels, its name among them if it still has one.
    pub labels: BTreeMap<String, String>,
    /// The figure.
    pub value: f64,
}

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What it records, or what the alert is called.
    pub name: String,
    /// What it asks.
    pub expression: String,
    /// Whether it is an alert.
    pub is_alert: bool,
}

impl Prometheus {
    /// Starts a server that asks these services each second, evaluates these rules as often, and waits
    /// until it was answered by all of them. The services get the label `namespace="tests"`.
    ///
    /// # Panics
    ///
    /// When there is no Prometheus, or it does not come up.
    pub fn start(services: &[&Service], rules: &Path) -> Self {
        let directory = tempfile::tempdir().expect("the temporary directory can be written");
        let directory = Arc::new(directory);
        let config = directory.path().join(CONFIG);
        fs::write(&config, configuration(services, rules)).expect("it can be written");
        promtool(&["check", "config", &config.to_string_lossy()], "");
        // Between finding a free port and using it, another test may take it.
        let server = (0..20)
            .find_map(|attempt| Self::spawn(&directory, attempt))
            .expect("there is a free port");
        until("all services were asked", || {
            let up = server.query("up == 1");
            up.len() == services.len()
        });
        server
    }

    /// Starts the process; `None` if it ends at once, as it does where its port is taken.
    fn spawn(directory: &Arc<TempDir>, attempt: u32) -> Option<Self> {
        let place = directory.path();
        let log = File::create(place.join("log")).expect("it can be written");
        let address = format!("127.0.0.1:{}", free_port());
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", place.join(CONFIG).display()))
            .arg(format!(
                "--storage.tsdb.path={}/data-{attempt}",
                place.display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| missing("prometheus", &error));
        let mut server = Self {
            child,
            url: format!("http://{address}"),
            client: Agent::config_builder()
                .http_status_as_error(false)
                .timeout_global(Some(DEADLINE))
                .proxy(None)
                .build()
                .into(),
            directory: Arc::clone(directory),
        };
        let begun = Instant::now();
        while begun.elapsed() < DEADLINE {
            if let Ok(Some(_)) = server.child.try_wait() {
                return None;
            }
            if server.answers() {
                return Some(server);
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("prometheus does not answer:\n{}", server.log());
    }

    /// Whether this very process answers: another one may have got the port.
    fn answers(&self) -> bool {
        let ready = self.client.get(format!("{}/-/ready", self.url)).call();
        if !ready.is_ok_and(|answer| answer.status() == 200) {
            return false;
        }
        let flags = self.client.get(format!("{}/api/v1/status/flags", self.url));
        flags.call().is_ok_and(|mut answer| {
            let flags = answer.body_mut().read_to_string().unwrap_or_default();
            flags.contains(&*self.directory.path().to_string_lossy())
        })
    }

    /// What a query gives now.
    ///
    /// # Panics
    ///
    /// When it is refused.
    pub fn query(&self, query: &str) -> Vec<Series> {
        let answer = self.ask("query", &[("query", query)]);
        let result = answer["data"]["result"].as_array();
        let result = result.unwrap_or_else(|| panic!("{query}: {answer}"));
        result
            .iter()
            .map(|series| {
                let labels = series["metric"].as_object().expect("labels").iter();
                let value = series["value"][1].as_str().expect("a number as text");
                Series {
                    labels: labels
                        .map(|(name, value)| (name.clone(), text(value)))
                        .collect(),
                    value: value.parse().expect("a number"),
                }
            })
            .collect()
    }

    /// The rules it has loaded, as it has understood them.
    ///
    /// # Panics
    ///
    /// When one of them can't be evaluated.
    pub fn rules(&self) -> Vec<Rule> {
        let answer = self.ask("rules", &[]);
        let groups = answer["data"]["groups"].as_array().expect("groups").iter();
        groups
            .flat_map(|group| group["rules"].as_array().expect("rules"))
            .map(|rule| {
                assert_ne!(rule["health"], "err", "{rule}");
                Rule {
                    name: text(&rule["name"]),
                    expression: text(&rule["query"]),
                    is_alert: rule["type"] == "alerting",
                }
            })
            .collect()
    }

    /// The values of a label among the series that match.
    ///
    /// # Panics
    ///
    /// When that is refused.
    pub fn label_values(&self, matching: &str, label: &str) -> Vec<String> {
        let answer = self.ask(&format!("label/{label}/values"), &[("match[]", matching)]);
        let values = answer["data"].as_array().expect("a list").iter();
        values.map(text).collect()
    }

    fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let mut request = self.client.get(format!("{}/api/v1/{path}", self.url));
        for (name, value) in parameters {
            request = request.query(name, value);
        }
        let mut answer = request
            .call()
            .unwrap_or_else(|error| panic!("{path} {parameters:?}: {error}"));
        let body = answer.body_mut().read_to_string().expect("text");
        let answer: Value = serde_json::from_str(&body).unwrap_or(Value::String(body));
        assert_eq!(answer["status"], "success", "{parameters:?}: {answer}");
        answer
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // One that has ended already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprint!("log of prometheus on {}:\n{}", self.url, self.log());
        }
    }
}

/// Runs promtool with something to read; returns what it wrote.
///
/// # Panics
///
/// When it is not there, or is not content: with what it says.
pub fn promtool(arguments: &[&str], input: &str) -> String {
    let output = run_promtool(arguments, input);
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
    said
}

fn run_promtool(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| missing("promtool", &error));
    let mut stdin = child.stdin.take().expect("it is piped");
    let input = input.to_owned();
    // While it reads it may write: neither pipe is to fill up.
    let writer = thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    // One that does not read what it is given has other words for that.
    let _ = writer.join();
    output
}

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn configuration(services: &[&Service], rules: &Path) -> String {
    let mut text = String::from("global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\n");
    // Writing to a string does not fail.
    let _ = write!(text, "rule_files:\n  - {:?}\n", rules.display().to_string());
    text.push_str("scrape_configs:\n  - job_name: shifts\n    static_configs:\n      - targets:\n");
    for service in services {
        let _ = writeln!(text, "          - {:?}", service.address());
    }
    text.push_str("        labels:\n          namespace: tests\n");
    text
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn missing(program: &str, error: &io::Error) -> ! {
    match error.kind() {
        io::ErrorKind::NotFound => panic!(
            "there is no {program}: install it with apt-get install prometheus, as tests/run does"
        ),
        _ => panic!("{program} can't be started: {error}"),
    }
}
