//! What the dashboard and the rules ask Prometheus, and whether it has an answer.

use std::collections::BTreeSet;
use std::fs;

use cache_tests::prometheus::{Prometheus, promtool, repository};
use cache_tests::service::until;
use serde_json::{Value, json};

fn dashboard() -> Value {
    let dashboard = fs::read_to_string(repository("docs/grafana/cache.json"));
    serde_json::from_str(&dashboard.expect("it is there")).expect("JSON")
}

/// Where several jobs are chosen, their fleets add up, each of which is told of by all its nodes; and where
/// nothing is asked there is no ratio, rather than one that is no number.
#[test]
fn fleets_add_up_and_nothing_by_nothing_is_no_ratio() {
    const FLEETS: [(&str, &str, u64); 4] =
        [("a", "1", 2), ("a", "2", 3), ("b", "1", 4), ("b", "2", 4)];
    let mut series = BTreeSet::new();
    let mut tests = Vec::new();
    for (_, query) in dashboard_queries(&dashboard()) {
        let is_ratio = query.contains(" / ");
        let is_sum = query.contains("cache_fleet_") && !query.contains("cache_fleet_readable");
        if !is_ratio && !is_sum {
            continue;
        }
        let query = substituted(&query.replace("$__rate_interval", "5m"));
        for selector in selectors(&query) {
            let name = selector.split('{').next().unwrap_or_default();
            for (job, instance, value) in FLEETS {
                let of = format!("namespace=\"n\",job=\"{job}\",instance=\"{instance}\"");
                let calls = ",kind=\"k\",outcome=\"hit_local\"";
                let of = if is_ratio { of + calls } else { of };
                series.insert((format!("{name}{{{of}}}"), format!("{value}x20")));
            }
        }
        let wanted = if is_sum {
            json!([{ "labels": "{}", "value": 7 }])
        } else {
            json!([])
        };
        tests.push(json!({ "expr": query, "eval_time": "10m", "exp_samples": wanted }));
    }
    assert!(tests.len() >= 9, "{tests:#?}");
    let series: Vec<Value> = series
        .into_iter()
        .map(|(series, values)| json!({ "series": series, "values": values }))
        .collect();
    let test = json!({ "interval": "1m", "input_series": series, "promql_expr_test": tests });
    let directory = tempfile::tempdir().expect("the temporary directory can be written");
    let file = directory.path().join("dashboard.test.yml");
    // JSON is YAML.
    fs::write(&file, json!({ "tests": [test] }).to_string()).expect("it can be written");
    promtool(&["test", "rules", &file.to_string_lossy()], "");
}

/// Asks everything that the dashboard asks.
pub(crate) fn of_the_dashboard(prometheus: &Prometheus) {
    let dashboard = dashboard();
    let queries = dashboard_queries(&dashboard);
    assert!(queries.len() > 40, "{}", queries.len());
    for (title, query) in queries {
        let query = substituted(&query);
        // Rates want two answers of each process, and quantiles a load between them.
        until(&format!("{title} shows something: {query}"), || {
            let found = prometheus.query(&query);
            found.iter().any(|series| series.value.is_finite())
        });
    }
    for variable in dashboard["templating"]["list"]
        .as_array()
        .expect("variables")
    {
        let Some(definition) = variable["definition"].as_str() else {
            assert_eq!(variable["type"], "datasource", "{variable}");
            continue;
        };
        let inner = definition
            .strip_prefix("label_values(")
            .and_then(|rest| rest.strip_suffix(')'));
        let (matching, label) = inner
            .and_then(|inner| inner.rsplit_once(", "))
            .expect("label_values");
        assert_eq!(variable["name"].as_str(), Some(label), "{variable}");
        let values = prometheus.label_values(&substituted(matching), label);
        assert!(
            !values.is_empty(),
            "{definition} has nothing to choose from"
        );
    }
}

/// Asks everything that the rules ask. An alert that has no reason to fire gives nothing, but what it looks
/// at is there; that each of them fires when it should is for promtool's tests.
pub(crate) fn of_the_rules(prometheus: &Prometheus) {
    let rules = prometheus.rules();
    assert_eq!(rules.len(), 11, "{rules:#?}");
    for rule in rules {
        let expression = rule.expression;
        let asked = if rule.is_alert {
            prometheus.query(&expression);
            selectors(&expression)
        } else {
            BTreeSet::from([expression.clone()])
        };
        assert!(!asked.is_empty(), "{expression}");
        for query in asked {
            until(
                &format!("there is what {} looks at: {query}", rule.name),
                || !prometheus.query(&query).is_empty(),
            );
        }
    }
}

/// Every query of the dashboard's panels, with the name of its panel.
fn dashboard_queries(dashboard: &Value) -> Vec<(String, String)> {
    let panels = dashboard["panels"].as_array().expect("panels");
    panels
        .iter()
        .flat_map(|panel| {
            let title = panel["title"].as_str().expect("a title").to_owned();
            let targets = panel["targets"].as_array().cloned().unwrap_or_default();
            assert!(
                panel["type"] == "row" || !targets.is_empty(),
                "{title} asks nothing"
            );
            targets.into_iter().map(move |target| {
                let query = target["expr"].as_str().expect("a query").to_owned();
                (title.clone(), query)
            })
        })
        .collect()
}

/// The query as Grafana would send it, with everything chosen.
fn substituted(query: &str) -> String {
    let query = query.replace("$__rate_interval", "10s");
    let query = ["namespace", "job", "instance", "kind"]
        .iter()
        .fold(query, |query, name| {
            query.replace(&format!("${name}"), ".*")
        });
    assert!(
        !query.contains('$'),
        "a variable that is not known: {query}"
    );
    query
}

/// The selectors of an expression: `cache_loads_total`, `cache_requests_total{outcome="miss"}`.
fn selectors(expression: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = expression;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    while let Some(start) = rest.find(is_name) {
        rest = &rest[start..];
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        rest = after;
        if name.starts_with("cache_") || name.contains(":cache_") {
            let labels = match after.find('}') {
                Some(end) if after.starts_with('{') => &after[..=end],
                _ => "",
            };
            found.insert(format!("{name}{labels}"));
        }
    }
    found
}
